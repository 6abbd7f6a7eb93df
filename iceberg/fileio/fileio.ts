/**
 * Where a table's files are: the contract of a file store.
 *
 * A location is an absolute address with a scheme, written plainly (`file:///warehouse/flights/data/a b.parquet`,
 * nothing percent-encoded), and is what metadata and manifests hold. Files never change once they are written, so an
 * implementation may cache them as it likes.
 */
export interface FileIO {
  /** @throws NoSuchFile */
  read(location: string): Promise<Uint8Array>
  /**
   * Writes a file that is not there yet, whole and durably, or not at all; of two writers one wins.
   * @throws FileExists
   */
  writeExclusive(location: string, bytes: Uint8Array): Promise<void>
  exists(location: string): Promise<boolean>
  /** In bytes. @throws NoSuchFile */
  size(location: string): Promise<number>
  /** A file that is missing is fine. */
  delete(location: string): Promise<void>
  /** Locations of all files below a folder, at any depth, written as the folder is; none where it is missing. */
  list(folder: string): AsyncIterable<string>
  /** As `list`, with when each file was written; one that goes away meanwhile may be left out. */
  listWithTimes(folder: string): AsyncIterable<ListedFile>
  /** What DuckDB opens for a location. */
  localPath(location: string): string
}

export interface ListedFile {
  readonly location: string
  /** By the file store's own clock, in milliseconds since the epoch. */
  readonly modifiedMs: number
}
