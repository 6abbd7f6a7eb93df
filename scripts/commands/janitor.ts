/** `asof janitor`: sweeps what lost runs and dead commits left behind. */
import { resultOf } from '../../client/index.ts'
import type { Config } from '../../worker/config.ts'
import type { JanitorInput, SweptTraining } from '../../workflows/contract.ts'
import { print, table, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'
import { connectClient, startJanitor } from '../temporal.ts'

export async function janitor(config: Config, input: JanitorInput, format: Format): Promise<void> {
  const client = await connectClient(config, requireStack(config.home))
  try {
    const handle = await startJanitor(client, config, input)
    const swept = await resultOf(handle.result())
    const rows = swept.groups.map(({ group, runs, branches, tags, snapshots, files }) => [
      group,
      ...[runs, branches, tags, snapshots, files].map(String),
    ])
    const header = [
      ...['group', 'runs ended', 'branches dropped', 'tags expired'],
      ...['snapshots removed', 'files deleted'],
    ]
    print(format, swept, [table(header, rows), ...trainingLine(swept.training)].join('\n'))
  } finally {
    await client.connection.close()
  }
}

function trainingLine(training: SweptTraining | null): string[] {
  if (training === null) return []
  const { failed, sets, files } = training
  return [`training sets: ${failed} ended as failed, ${sets} unfinished swept, ${files} files deleted`]
}
