/** `asof janitor`: sweeps what lost runs and dead commits left behind. */
import type { Config } from '../../worker/config.ts'
import type { JanitorInput } from '../../workflows/contract.ts'
import { print, table, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'
import { connectClient, resultOf, startJanitor } from '../temporal.ts'

export async function janitor(config: Config, input: JanitorInput, format: Format): Promise<void> {
  const client = await connectClient(config, requireStack(config.home))
  try {
    const handle = await startJanitor(client, config, input)
    const swept = await resultOf(handle.result())
    const rows = swept.groups.map(({ group, runs, branches, snapshots, files }) => [
      group,
      ...[runs, branches, snapshots, files].map(String),
    ])
    print(
      format,
      swept,
      table(['group', 'runs ended', 'branches dropped', 'snapshots removed', 'files deleted'], rows),
    )
  } finally {
    await client.connection.close()
  }
}
