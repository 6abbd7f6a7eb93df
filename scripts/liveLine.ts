/** A live line on stderr, fed by a workflow's query: written over on a terminal, a line each where there is none. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkflowHandle } from '@temporalio/client'
import { queryNames } from '../workflows/names.ts'

export interface Followed<Progress> {
  readonly handle: Pick<WorkflowHandle, 'query'>
  /** What ends the line. */
  readonly ended: Promise<unknown>
  readonly lineOf: (progress: Progress) => string
  /** Whether nothing more is to be seen until somebody decides. */
  readonly isHeld?: (progress: Progress) => boolean
}

/** Shows how far a workflow is until it has ended, or is held: then with what it said of itself, else with null. */
export async function follow<Progress>({
  handle,
  ended,
  lineOf,
  isHeld = () => false,
}: Followed<Progress>): Promise<Progress | null> {
  const over = ended.then(
    () => true,
    () => true,
  )
  let shown = ''
  for (;;) {
    if (await Promise.race([over, sleep(250, false)])) break
    const progress = await handle.query<Progress>(queryNames.progress).catch(() => null)
    if (progress === null) continue
    const line = lineOf(progress)
    if (line !== shown) writeLine(line)
    shown = line
    if (!isHeld(progress)) continue
    endLine(shown)
    return progress
  }
  endLine(shown)
  return null
}

/** Twenty marks, as many of them full as is done. */
export function bar(done: number, all: number): string {
  const filled = all === 0 ? 0 : Math.round((20 * done) / all)
  return `${'█'.repeat(filled)}${'░'.repeat(20 - filled)}`
}

function writeLine(line: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`)
}

function endLine(shown: string): void {
  if (process.stderr.isTTY && shown !== '') process.stderr.write('\n')
}
