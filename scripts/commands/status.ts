/** `asof status`: groups, what is published of them, and the newest runs. */
import { formatInstant } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import { print, say, table, type Format } from '../output.ts'
import { readStack } from '../stack.ts'
import { withStore } from './withStore.ts'

export async function status(config: Config, format: Format): Promise<void> {
  const { now, isClockSet, groups, runs } = await withStore(config, async (store) => {
    const registered = await store.registry.groups()
    const groups = await Promise.all(
      registered.map(async ({ id }) => ({
        id,
        ...(await store.registry.ledgerSummary(id)),
        liveFrom: (await store.registry.ledgerState(id))?.liveFrom ?? null,
      })),
    )
    const runs = await store.registry.runs({ limit: 10 })
    return { now: await store.now(), isClockSet: store.clock.note !== null, groups, runs }
  })
  const at = (ms: number | null) => (ms === null ? '-' : formatInstant(Math.floor(ms / 1000) * 1000))
  if (isClockSet) say(`The store's clock is set: it is ${at(now)} there.`)
  if (groups.length === 0) say('Nothing is registered yet. Next: asof plan')
  const data = {
    now: at(now),
    groups: groups.map((group) => ({
      ...group,
      first: at(group.first),
      last: at(group.last),
      liveFrom: at(group.liveFrom),
    })),
    runs: runs.map((run) => ({ ...run, startedAt: at(run.startedAt), endedAt: at(run.endedAt) })),
    running: readStack(config.home) !== null,
  }
  const text = [
    table(
      ['group', 'intervals', 'first', 'last', 'live from'],
      data.groups.map(({ id, intervals, first, last, liveFrom }) => [
        id,
        String(intervals),
        first,
        last,
        liveFrom,
      ]),
    ),
    '',
    table(
      ['run', 'group', 'mode', 'status', 'intervals', 'rows', 'started', 'reason'],
      data.runs.map((run) => [
        run.runId,
        run.group,
        run.mode,
        run.status,
        String(run.intervals),
        String(run.rows ?? '-'),
        run.startedAt,
        run.reason ?? '',
      ]),
    ),
  ]
  print(format, data, text.join('\n'))
}
