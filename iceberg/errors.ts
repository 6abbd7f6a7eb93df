/**
 * What can go wrong with a table, by what the caller can do about it. `InvalidInput` (singleValue.ts) is the sibling
 * for what a table cannot take.
 */
export class IcebergError extends Error {
  /** Whether the same call may succeed when it is made again on the table's new state. */
  readonly retryable: boolean = false
}

export class NoSuchNamespace extends IcebergError {
  override readonly name = 'NoSuchNamespace'
}

export class NoSuchTable extends IcebergError {
  override readonly name = 'NoSuchTable'
}

export class TableExists extends IcebergError {
  override readonly name = 'TableExists'
}

export class NoSuchFile extends IcebergError {
  override readonly name = 'NoSuchFile'
}

export class FileExists extends IcebergError {
  override readonly name = 'FileExists'
}

/** Somebody else has committed first; nothing of this commit can be seen. */
export class CommitConflict extends IcebergError {
  override readonly name = 'CommitConflict'
  override readonly retryable = true
  /** The branch or tag that is not where it was expected, where it is one. */
  readonly ref: string | null
  /** The table property that is not what was expected, where it is one. */
  readonly property: string | null

  constructor(
    message: string,
    options: ErrorOptions & { readonly ref?: string; readonly property?: string } = {},
  ) {
    super(message, options)
    this.ref = options.ref ?? null
    this.property = options.property ?? null
  }
}

/** The catalog did not answer: the commit may have been made. Load the table and look before doing it again. */
export class UnknownOutcome extends IcebergError {
  override readonly name = 'UnknownOutcome'
}

/** The table or file uses a part of the format that is not implemented here. */
export class Unsupported extends IcebergError {
  override readonly name = 'Unsupported'
}

/** A file of the table is not what the format says. */
export class Corrupt extends IcebergError {
  override readonly name = 'Corrupt'
}
