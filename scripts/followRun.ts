/** How the command line follows a run: a live line on stderr, fed by the workflow's query. */
import type { WorkflowHandle } from '@temporalio/client'
import { resultOf } from '../client/index.ts'
import type { RunProgress } from '../workflows/progress.ts'
import { bar, follow } from './liveLine.ts'
import { say } from './output.ts'

/** Shows a live line until the run ends or a gate holds it. */
export async function followRun<Result>(
  handle: Pick<WorkflowHandle, 'query'> & { result(): Promise<Result> },
): Promise<Result | 'waiting'> {
  const ended = resultOf(handle.result())
  const held = await follow<RunProgress>({
    ...{ handle, ended, lineOf: progressLine },
    isHeld: ({ step }) => step === 'waiting',
  })
  if (held === null) return ended
  for (const { verdict, sentence } of held.gates.filter(({ verdict: found }) => found !== 'pass')) {
    say(`  ${verdict}: ${sentence}`)
  }
  return 'waiting'
}

function progressLine({ step, group, chunksDone, chunks, rows, intervals }: RunProgress): string {
  return `  ${group} ${bar(chunksDone, chunks)} ${step}: ${chunksDone} of ${chunks} chunks, ${intervals} intervals, ${rows} rows`
}
