/** `asof retire`: a group's version or a service is needed no more. */
import { retire as retireIn } from '../../activities/index.ts'
import type { Config } from '../../worker/config.ts'
import { print, say, type Format } from '../output.ts'
import { withStore } from './withStore.ts'

export async function retire(config: Config, id: string, format: Format): Promise<void> {
  const kind = await withStore(config, (store) => retireIn(store, id))
  print(format, { retired: id, kind }, '')
  say(
    kind === 'group'
      ? `Feature group ${id} is retired: its table stays, and nothing computes or loads it any more.`
      : `Feature service ${id} is not registered any more.`,
  )
}
