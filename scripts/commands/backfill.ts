/** `asof backfill`: starts the workflow, or joins it, and shows how far it is. */
import type { WorkflowHandle } from '@temporalio/client'
import { setTimeout as sleep } from 'node:timers/promises'
import { InputError } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import type { BackfillResult, backfill as backfillWorkflow } from '../../workflows/backfill.ts'
import { queryNames } from '../../workflows/names.ts'
import type { BackfillProgress } from '../../workflows/progress.ts'
import { bold, CheckFailed, dim, print, say, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'
import { connectClient, resultOf, startBackfill, workflowLink } from '../temporal.ts'
import { withStore } from './withStore.ts'

export interface BackfillOptions {
  group: string
  from: string
  to: string
  rewrite: boolean
  detach: boolean
  output: Format
}

export async function backfill(
  config: Config,
  { group, from, to, rewrite, detach, output }: BackfillOptions,
): Promise<void> {
  const fingerprint = await withStore(config, async ({ registry }) => {
    const registered = await registry.group(group)
    if (registered !== null) return registered.fingerprint
    const known = (await registry.groups()).map(({ id }) => id).join(', ')
    throw new InputError(
      `There is no registered feature group ${group}. Registered: ${known || 'none; run `asof apply`'}.`,
      { group },
    )
  })
  const stack = requireStack(config.home)
  const client = await connectClient(config, stack)
  try {
    const handle = await startBackfill(client, config, { group, from, to, rewrite }, fingerprint)
    const link = workflowLink(config, stack, handle.workflowId)
    if (link !== null) say(dim(link))
    if (detach) {
      print(output, { workflowId: handle.workflowId, link }, handle.workflowId)
      return
    }
    const result = await followBackfill(handle)
    if (result === 'waiting') {
      say(`A gate holds the run. ${bold(`asof show <run>`)} has the reports; decide with`)
      say(`  ${bold(`asof resolve ${handle.workflowId} --decision retry|abort|override`)}`)
      throw new CheckFailed()
    }
    print(output, result, describeResult(result))
  } finally {
    await client.connection.close()
  }
}

/** Shows a live line until the run ends or a gate holds it. */
export async function followBackfill(
  handle: WorkflowHandle<typeof backfillWorkflow>,
): Promise<BackfillResult | 'waiting'> {
  const ended = resultOf(handle.result())
  const over = ended.then(
    () => true,
    () => true,
  )
  let shown = ''
  for (;;) {
    const done = await Promise.race([over, sleep(250, false)])
    if (done) break
    const progress = await handle.query<BackfillProgress>(queryNames.progress).catch(() => null)
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

function progressLine({ step, group, chunksDone, chunks, rows, intervals }: BackfillProgress): string {
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

export function describeResult({
  outcome,
  group,
  intervals,
  alreadyPublished,
  rows,
  snapshotId,
  entities,
}: BackfillResult): string {
  if (outcome === 'nothing_to_do')
    return `${group}: nothing is missing; ${alreadyPublished} intervals are published.`
  if (outcome === 'aborted') return `${group}: aborted; the published table is as it was.`
  const served = entities === null ? '' : `, ${entities} online values written`
  return `${group}: ${intervals} intervals and ${rows} rows published as snapshot ${snapshotId ?? ''}${served}.`
}
