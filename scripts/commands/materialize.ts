/** `asof materialize`: loads the newest published values into the online store. */
import { resultOf } from '../../client/index.ts'
import type { Config } from '../../worker/config.ts'
import { print, say, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'
import { connectClient, startMaterialize } from '../temporal.ts'

export async function materialize(
  config: Config,
  group: string,
  full: boolean,
  format: Format,
): Promise<void> {
  const client = await connectClient(config, requireStack(config.home))
  try {
    const handle = await startMaterialize(client, config, { group, full })
    const loaded = await resultOf(handle.result())
    const { entities, tombstones, considered, snapshotId } = loaded
    print(
      format,
      loaded,
      `${group}: looked at ${considered} entities, wrote ${entities} values (${tombstones} tombstones).`,
    )
    if (snapshotId === null) say('The table has no published snapshot yet; run a backfill first.')
  } finally {
    await client.connection.close()
  }
}
