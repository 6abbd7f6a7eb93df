/** `asof refresh`: computes what has come due, and reads again what late events may have changed. */
import type { Config } from '../../worker/config.ts'
import { parkedWorkflowId } from '../../workflows/names.ts'
import type { RunResult } from '../../workflows/run.ts'
import { followRun } from '../followRun.ts'
import { bold, CheckFailed, dim, print, say, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'
import { connectClient, startRefresh, workflowLink } from '../temporal.ts'
import { describeRun, registeredGroup } from './backfill.ts'
import { withStore } from './withStore.ts'

export async function refresh(config: Config, group: string, format: Format): Promise<void> {
  await withStore(config, (store) => registeredGroup(store, group))
  const stack = requireStack(config.home)
  const client = await connectClient(config, stack)
  try {
    const handle = await startRefresh(client, config, { group })
    const link = workflowLink(config, stack, handle.workflowId)
    if (link !== null) say(dim(link))
    const result = await followRun(handle)
    if (result === 'waiting') return
    print(format, result, describeRefresh(result))
    if (result.outcome === 'parked') {
      say(
        `Decide with ${bold(`asof resolve ${parkedWorkflowId(group, result.runId)} --decision retry|abort|override`)}`,
      )
      throw new CheckFailed()
    }
  } finally {
    await client.connection.close()
  }
}

function describeRefresh(result: RunResult): string {
  const { outcome, group, runId, reread, vanished } = result
  const said = {
    parked: `${group}: a gate blocks run ${runId}. Its intervals wait for a decision, and later refreshes go on without them; \`asof show ${runId}\` has the reports.`,
    nothing_to_do: `${group}: nothing has come due${reread === 0 ? '' : `, and nothing has changed in ${reread} intervals that were read again`}.`,
    published: describeRun(result),
    aborted: describeRun(result),
  }
  const lost =
    vanished === 0
      ? []
      : [`${vanished} published rows are not computed any more. They stay; \`asof show ${runId}\` says more.`]
  return [said[outcome], ...lost].join('\n')
}
