/** Heartbeats on a timer beside long queries: DuckDB works off the event loop, and says little of its progress. */
import { Context } from '@temporalio/activity'

const everyMs = 5_000

/**
 * Runs a step with heartbeats and hands it a signal that aborts when the activity is cancelled. Outside an activity
 * (the command line) it only runs the step.
 */
export async function withHeartbeat<T>(
  step: (signal: AbortSignal, note: (details: unknown) => void) => Promise<T>,
): Promise<T> {
  const context = currentContext()
  if (context === null) return step(new AbortController().signal, () => undefined)
  let details: unknown
  const timer = setInterval(() => context.heartbeat(details), everyMs)
  try {
    return await step(context.cancellationSignal, (newest) => {
      details = newest
      context.heartbeat(newest)
    })
  } finally {
    clearInterval(timer)
  }
}

function currentContext(): Context | null {
  try {
    return Context.current()
  } catch {
    return null
  }
}
