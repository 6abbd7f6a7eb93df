/**
 * Errors, by what their reader can do about them.
 *
 * Every message names the thing, the value and the cure; `context` carries the same facts as data.
 * The activities turn the class into a Temporal failure type, the command line into an exit code.
 */
export type ErrorContext = Readonly<Record<string, string | number | boolean | null>>

abstract class AsofError extends Error {
  /** What a caller should do: change the input, start again from the newest state, wait and retry, or report it. */
  abstract readonly remedy: 'change-input' | 'start-again' | 'retry' | 'report'
  readonly context: ErrorContext

  constructor(message: string, context: ErrorContext = {}, options?: { cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
    this.context = context
  }
}

/** The definition, argument or source data is wrong; trying again unchanged fails again. */
export class InputError extends AsofError {
  readonly remedy = 'change-input'
}

/** Somebody else moved the state that this was built on; start again from the newest state. */
export class ConflictError extends AsofError {
  readonly remedy = 'start-again'
}

/** Something that is needed does not answer now; the same call may succeed later. */
export class UnavailableError extends AsofError {
  readonly remedy = 'retry'
}

/** Stored state contradicts itself, or an invariant of Asof is broken. Never retried, never papered over. */
export class IntegrityError extends AsofError {
  readonly remedy = 'report'
}

export { AsofError }
