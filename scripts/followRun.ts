/** How the command line follows a run: a live line on stderr, fed by the workflow's query. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkflowHandle } from '@temporalio/client'
import { queryNames } from '../workflows/names.ts'
import type { RunProgress } from '../workflows/progress.ts'
import { say } from './output.ts'
import { resultOf } from './temporal.ts'

/** Shows a live line until the run ends or a gate holds it. */
export async function followRun<Result>(
  handle: Pick<WorkflowHandle, 'query'> & { result(): Promise<Result> },
): Promise<Result | 'waiting'> {
  const ended = resultOf(handle.result())
  const over = ended.then(
    () => true,
    () => true,
  )
  let shown = ''
  for (;;) {
    const done = await Promise.race([over, sleep(250, false)])
    if (done) break
    const progress = await handle.query<RunProgress>(queryNames.progress).catch(() => null)
    if (progress === null) continue
    const line = progressLine(progress)
    if (line !== shown) writeLine(line)
    shown = line
    if (progress.step === 'waiting') {
      endLine()
      for (const { verdict, sentence } of progress.gates.filter(({ verdict: found }) => found !== 'pass')) {
        say(`  ${verdict}: ${sentence}`)
      }
      return 'waiting'
    }
  }
  endLine()
  return ended
}

function progressLine({ step, group, chunksDone, chunks, rows, intervals }: RunProgress): string {
  const filled = chunks === 0 ? 0 : Math.round((20 * chunksDone) / chunks)
  const bar = `${'█'.repeat(filled)}${'░'.repeat(20 - filled)}`
  return `  ${group} ${bar} ${step}: ${chunksDone} of ${chunks} chunks, ${intervals} intervals, ${rows} rows`
}

/** One line that is written over on a terminal, and a line each where there is none. */
function writeLine(line: string): void {
  process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`)
}

function endLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\n')
}
