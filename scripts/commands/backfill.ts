/** `asof backfill`: starts the workflow, or joins it, and shows how far it is. */
import { InputError } from '../../model/index.ts'
import type { RegisteredGroup } from '../../registry/index.ts'
import type { Config } from '../../worker/config.ts'
import type { Store } from '../../worker/openStore.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import type { RunResult } from '../../workflows/run.ts'
import { followRun } from '../followRun.ts'
import { bold, CheckFailed, dim, print, say, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'
import { connectClient, startBackfill, workflowLink } from '../temporal.ts'
import { withStore } from './withStore.ts'

export interface BackfillOptions {
  group: string
  from: string
  to: string
  rewrite: boolean
  detach: boolean
  output: Format
}

/** @throws InputError that names the groups which there are */
export async function registeredGroup({ registry }: Store, group: string): Promise<RegisteredGroup> {
  const registered = await registry.group(group)
  if (registered !== null) return registered
  const known = (await registry.groups()).map(({ id }) => id).join(', ')
  throw new InputError(
    `There is no registered feature group ${group}. Registered: ${known || 'none; run `asof apply`'}.`,
    { group },
  )
}

export async function backfill(
  config: Config,
  { group, from, to, rewrite, detach, output }: BackfillOptions,
): Promise<void> {
  const { fingerprint } = await withStore(config, (store) => registeredGroup(store, group))
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
    const result = await followRun(handle)
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

export function describeResult({ live, ...history }: BackfillResult): string {
  return [history, ...(live === null ? [] : [live])].map(describeRun).join('\n')
}

export function describeRun({
  outcome,
  group,
  intervals,
  alreadyPublished,
  rows,
  snapshotId,
  entities,
}: RunResult): string {
  if (outcome === 'nothing_to_do')
    return `${group}: nothing is missing; ${alreadyPublished} intervals are published.`
  if (outcome === 'aborted') return `${group}: aborted; the published table is as it was.`
  const served = entities === null ? '' : `, ${entities} online values written`
  return `${group}: ${intervals} intervals and ${rows} rows published as snapshot ${snapshotId ?? ''}${served}.`
}
