/**
 * The one place that turns errors into Temporal failures: by what can be done about them, never by their text.
 *
 * What a person must change and what starting again cures is not retried by Temporal; everything else is.
 */
import { ApplicationFailure, CancelledFailure } from '@temporalio/common'
import { CommitConflict, IcebergError, NoSuchFile, UnknownOutcome } from '../iceberg/index.ts'
import { AsofError, type ErrorContext } from '../model/index.ts'

/** Another run published intervals that this one wants to publish. */
export class Overtaken extends AsofError {
  readonly remedy = 'start-again'
}

/** DuckDB quotes whole statements, and a server ends a workflow over a failure of 2 MiB. */
const longestText = 4_000

export function toFailure(error: unknown): unknown {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error
  if (error instanceof CommitConflict) return failure(error.message, 'ConflictError', true, error, {})
  if (error instanceof IcebergError) return failure(error.message, error.name, !mayPass(error), error, {})
  if (error instanceof AsofError) {
    return failure(error.message, error.name, error.remedy !== 'retry', error, error.context)
  }
  if (error instanceof Error && !isShort(error)) return failure(error.message, error.name, false, error, {})
  return error
}

/** What a file store or a catalog may answer otherwise a moment later. */
const mayPass = (error: IcebergError) =>
  error.retryable || error instanceof UnknownOutcome || error instanceof NoSuchFile

function failure(
  message: string,
  type: string,
  nonRetryable: boolean,
  cause: Error,
  context: ErrorContext,
): ApplicationFailure {
  return ApplicationFailure.create({
    message: shortened(message),
    type,
    nonRetryable,
    // A cause travels with its message and stack.
    ...(isShort(cause) ? { cause } : {}),
    details: [
      Object.fromEntries(
        Object.entries(context).map(([name, value]) => [
          name,
          typeof value === 'string' ? shortened(value) : value,
        ]),
      ),
    ],
  })
}

/** With all its causes. */
function isShort(error: unknown): boolean {
  if (!(error instanceof Error)) return true
  return error.message.length <= longestText && isShort(error.cause)
}

/** Without its middle, where it is too long. */
function shortened(text: string): string {
  const excess = text.length - longestText
  if (excess <= 0) return text
  const end = text.slice(-longestText / 8)
  return `${text.slice(0, longestText - end.length)} … (${excess} characters are left out here) … ${end}`
}
