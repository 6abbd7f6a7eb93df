/** What failed, in words and by type, whichever step it was. */
import { ActivityFailure, ApplicationFailure, isCancellation } from '@temporalio/workflow'

export function failureTypeOf(error: unknown): string | null | undefined {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure
    ? error.cause.type
    : null
}

export function messageOf(error: unknown): string {
  if (isCancellation(error)) return 'cancelled'
  if (error instanceof ActivityFailure && error.cause !== undefined) return messageOf(error.cause)
  return error instanceof Error ? error.message : String(error)
}

/** The Temporal UI shows a workflow's own failure first: put the activity's sentence there. */
export function asWorkflowFailure(error: unknown): unknown {
  if (isCancellation(error) || !(error instanceof ActivityFailure)) return error
  return ApplicationFailure.create({
    message: messageOf(error),
    type: failureTypeOf(error) ?? 'ActivityFailure',
    nonRetryable: true,
    cause: error,
  })
}
