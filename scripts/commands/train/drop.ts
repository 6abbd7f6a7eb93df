/** `asof train drop`: a training set is needed no more, and neither are the snapshots that it keeps. */
import { dropTraining } from '../../../activities/index.ts'
import { openWorkflows } from '../../../worker/openWorkflows.ts'
import type { Config } from '../../../worker/config.ts'
import { print, say, type Format } from '../../output.ts'
import { readStack } from '../../stack.ts'
import { connectClient } from '../../temporal.ts'
import { withStore } from '../withStore.ts'

export async function trainDrop(config: Config, id: string, format: Format): Promise<void> {
  const stack = readStack(config.home)
  // Only a set that is said to be under way needs Temporal, to be asked whether it is.
  const client = stack === null ? null : await connectClient(config, stack)
  try {
    const dropped = await withStore(config, (store) =>
      dropTraining(
        client === null
          ? store
          : { ...store, isOpen: openWorkflows(client.connection, config.temporalNamespace) },
        id,
      ),
    )
    const { groups, leftAlone } = dropped
    print(format, dropped, '')
    say(`Training set ${id} is dropped; ${groups.join(', ') || 'no group'} kept a snapshot for it.`)
    if (leftAlone !== null) say(`Its files in ${leftAlone} are yours and stay.`)
  } finally {
    await client?.connection.close()
  }
}
