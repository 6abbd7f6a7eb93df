/** `asof train list`: all training sets, the newest first. */
import type { Config } from '../../../worker/config.ts'
import { print, say, table, type Format } from '../../output.ts'
import { withStore } from '../withStore.ts'
import { moment, shortHash } from './figures.ts'

export async function trainList(config: Config, format: Format): Promise<void> {
  const sets = await withStore(config, ({ registry }) => registry.trainingSets())
  if (sets.length === 0) say('There is no training set yet. Next: asof train build')
  const data = sets.map((set) => ({ ...set, startedAt: moment(set.startedAt), endedAt: moment(set.endedAt) }))
  const rows = data.map(({ id, status, rows, contentHash, startedAt, reason }) => [
    ...[id, status, String(rows ?? '-'), shortHash(contentHash), startedAt, reason ?? ''],
  ])
  print(format, data, table(['training set', 'status', 'rows', 'content', 'started', 'reason'], rows))
}
