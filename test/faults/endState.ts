/** What a store ends up with, as plain data that is equal for two runs that did the same. */
import { readdirSync } from 'node:fs'
import { createActivities } from '../../activities/index.ts'
import type { Store } from '../../worker/openStore.ts'
import { orphanFiles, publishedRows, tableRefs } from '../support/published.ts'

export type EndState = Awaited<ReturnType<typeof endState>>

export interface Looks {
  /** By which it is asked what late events may still lack. */
  readonly latenessMs?: number
  /** Of created timestamps only the order, where they are the clock's. */
  readonly ranksCreated?: boolean
}

/** Sweeps as the janitor does once all is over and nothing is too young, then looks. */
export async function endState(store: Store, group: string, looks: Looks = {}) {
  const janitor = createActivities({ ...store, isOpen: () => Promise.resolve(false) })
  const { runs: lostRuns } = await janitor.takeBackLostRuns({ group })
  await janitor.sweepTable({ group, olderThan: '0s' })
  return { lostRuns, ...(await stateOf(store, group, looks)) }
}

/** Without run ids, and without the parts of file names that are made by chance. */
async function stateOf(store: Store, group: string, { latenessMs = 0, ranksCreated = false }: Looks) {
  const { registry } = store
  const runs = (await registry.runs({ group, limit: 1_000 })).reverse()
  // Of the others nothing may be left that has a name.
  const named = runs.filter(({ status }) => status === 'published')
  const names = new Map(named.map(({ runId }, at) => [runId, `run${at}`]))
  const always = { from: 0, to: Number.MAX_SAFE_INTEGER }
  const online: string[] = []
  for await (const { keys, value } of store.onlineStores[0]?.scan(group) ?? []) {
    online.push(text([keys, value?.eventTimestampMicros ?? null, value?.values ?? null]))
  }
  return {
    rows: await publishedRows(store, group, 'main', ranksCreated ? rankedCreated : undefined),
    unsettled: await registry.unsettled(group, latenessMs),
    ledger: (await registry.published(group, always)).map(({ end, runId, features, filled, letThrough }) =>
      text([end, names.get(runId), features, filled, letThrough]),
    ),
    runs: runs.map(({ mode, status, intervals, rows, reason }) =>
      text([mode, status, intervals, rows, reason]),
    ),
    refs: await tableRefs(store, group),
    online: online.sort(),
    orphans: await orphanFiles(store, group),
    ...(await filesOf(store, group, names)),
  }
}

async function filesOf(store: Store, group: string, names: ReadonlyMap<string, string>) {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const files: string[] = []
  for (const folder of ['data', 'runs', 'ledger', 'loads']) {
    for await (const location of store.fileIO.list(`${table.location}/${folder}`)) {
      let name = location.slice(table.location.length + 1)
      for (const [runId, short] of names) name = name.replaceAll(runId, short)
      files.push(
        name
          .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'U')
          .replaceAll(/\b[0-9a-f]{8}\b/g, 'H'),
      )
    }
  }
  const metadata = readdirSync(store.fileIO.localPath(`${table.location}/metadata`))
  const ending = (pattern: RegExp) => metadata.filter((name) => pattern.test(name)).length
  return {
    files: files.sort(),
    snapshots: table
      .snapshots()
      .map(({ summary }) => [summary['operation'], summary['total-records']].join(' ')),
    manifestLists: ending(/^snap-.*\.avro$/),
    manifests: ending(/-m0\.avro$/),
    // How many versions there were is a matter of how often it was tried; each of them is known.
    unknownVersions: ending(/metadata\.json$/) - table.metadata['metadata-log'].length - 1,
    temporary: ending(/\.tmp$/),
  }
}

/** Each row with the place of its created timestamp among all that there are. */
const rankedCreated =
  '* EXCLUDE (run_id) REPLACE (dense_rank() OVER (ORDER BY created_timestamp) AS created_timestamp)'

const text = (value: unknown): string =>
  JSON.stringify(value, (_, item: unknown) => (typeof item === 'bigint' ? `${item}n` : item))
