/** Commits that race with others: each attempt is made for the table's newest state, until one is first. */
import { setTimeout as wait } from 'node:timers/promises'
import { CommitConflict, UnknownOutcome } from './errors.ts'
import type { Requirement, Update } from './metadataUpdates.ts'

export interface Attempt {
  readonly requirements: readonly Requirement[]
  readonly updates: readonly Update[]
  /** Deletes the files of this attempt alone, once it is certain that it was not committed. */
  readonly discard?: () => Promise<unknown>
}

const maxAttempts = 40
/** A database that keeps failing is not waited for as long as one that is busy. */
const maxUnanswered = 3
const firstPauseMs = 10
const longestPauseMs = 1_000

/**
 * @param prepare makes the attempt for the table's newest state, or returns null where nothing is left to do, be it
 *   that an attempt without an answer was committed after all; what it throws is final
 */
export async function commitRetrying(
  prepare: (attempt: number) => Promise<Attempt | null>,
  commit: (attempt: Attempt) => Promise<void>,
): Promise<void> {
  let unanswered: UnknownOutcome | null = null
  let unansweredCount = 0
  for (let count = 1; ; count++) {
    const attempt = await prepare(count).catch((error: unknown) => {
      throw unanswered === null || error instanceof CommitConflict ? error : unanswered
    })
    if (attempt === null) return
    try {
      await commit(attempt)
      return
    } catch (error) {
      if (error instanceof UnknownOutcome) {
        unanswered = error
        if (++unansweredCount === maxUnanswered) throw error
      } else {
        await attempt.discard?.()
        if (!(error instanceof CommitConflict) || count === maxAttempts) throw error
      }
    }
    await wait(Math.random() * Math.min(firstPauseMs * 2 ** count, longestPauseMs))
  }
}
