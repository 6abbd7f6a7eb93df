/** Removing snapshots that nothing leads to, and sweeping files that nothing refers to. */
import { readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseTableMetadata, stringifyTableMetadata } from '../../iceberg/metadata.ts'
import { applyUpdates } from '../../iceberg/metadataUpdates.ts'
import { planScan } from '../../iceberg/scan.ts'
import { reachableDataFiles, sweepMetadata } from '../../iceberg/sweepMetadata.ts'
import { Table } from '../../iceberg/table.ts'
import { dayFile, manifestsOf, namesOf, openTestCatalog, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
let table: Table
let clockMs = 1_000_000
beforeEach(async () => {
  lake = await openTestCatalog(() => (clockMs += 10))
  table = await lake.createTable('t')
})
afterEach(() => lake.close())

const metadataFolder = () => lake.fileIO.localPath(`${table.location}/metadata`)
const live = async (ref = 'main') => namesOf((await planScan(table, { ref })).files)
const soon = () => Date.now() + 1_000

/** A table with a line of three on `main`, a branch, a tag on a dropped branch, and a dropped branch of two. */
async function grown() {
  const first = await table.append({ ref: 'main', files: [dayFile('a', 1)] })
  await table.createBranch('kept', { from: first.snapshotId })
  const kept = await table.append({ ref: 'kept', files: [dayFile('k', 2)] })
  await table.createBranch('dropped', { from: first.snapshotId })
  const gone = [
    await table.append({ ref: 'dropped', files: [dayFile('x', 3)] }),
    await table.append({ ref: 'dropped', files: [dayFile('y', 4)] }),
  ]
  await table.append({ ref: 'main', files: [dayFile('b', 5)] })
  const last = await table.append({ ref: 'main', files: [dayFile('c', 6)] })
  await table.dropBranch('dropped')
  return { first, kept, gone, last }
}

describe('snapshots that no branch or tag leads to', () => {
  test('go in one commit; every other one stays, with its rows', async () => {
    const { gone } = await grown()
    const stale = await lake.catalog.loadTable(table.identifier)
    const version = table.metadata['metadata-log'].length
    expect(await table.removeUnreachable()).toBe(2)
    expect(table.metadata['metadata-log'].length).toBe(version + 1)
    expect(table.snapshots()).toHaveLength(4)
    for (const { snapshotId } of gone) expect(table.snapshot(snapshotId)).toBeNull()
    expect(await live()).toEqual(['a', 'b', 'c'])
    expect(await live('kept')).toEqual(['a', 'k'])
    expect(table.metadata['snapshot-log']).toHaveLength(3)
    expect(await table.removeUnreachable()).toBe(0)
    // Another one who has not seen it yet finds nothing left to do, and can go on.
    expect(await stale.removeUnreachable()).toBe(0)
    await stale.append({ ref: 'main', files: [dayFile('d', 7)] })
    await table.refresh()
    expect(await live()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('stay while they are young', async () => {
    const { gone } = await grown()
    const [older, younger] = gone
    expect(await table.removeUnreachable({ committedBefore: (older?.timestampMs ?? 0) - 1 })).toBe(0)
    expect(await table.removeUnreachable({ committedBefore: older?.timestampMs })).toBe(1)
    expect(table.snapshot(younger?.snapshotId ?? 0n)).not.toBeNull()
  })

  test('take their statistics with them, and nobody else’s', async () => {
    const { gone, last } = await grown()
    const statistics = [gone[0], last].map((snapshot) => ({
      'snapshot-id': snapshot?.snapshotId ?? 0n,
      'statistics-path': `${table.location}/metadata/${snapshot?.snapshotId}.stats`,
      'file-size-in-bytes': 7,
    }))
    const metadata = { ...table.metadata, statistics, 'partition-statistics': statistics }
    const ids = gone.map(({ snapshotId }) => snapshotId)
    const removed = applyUpdates(metadata, [{ action: 'remove-snapshots', 'snapshot-ids': ids }], 2_000)
    const reread = parseTableMetadata(stringifyTableMetadata(removed), 'file:///m.json')
    expect(reread.statistics).toEqual([statistics[1]])
    expect(reread['partition-statistics']).toEqual([statistics[1]])
  })
})

describe('files below metadata/ that nothing refers to', () => {
  test('go once they are old; everything that the metadata leads to stays', async () => {
    const { gone } = await grown()
    const manifests = (await Promise.all(gone.map((snapshot) => manifestsOf(table, snapshot)))).flat()
    const doomed = [
      ...new Set(manifests.map(({ manifest }) => manifest.path)),
      ...gone.map(({ manifestList }) => manifestList),
    ]
    await table.removeUnreachable()
    const before = readdirSync(metadataFolder())
    const used = before.filter((name) => !doomed.some((path) => path.endsWith(name)))
    // The manifest of `a` is in the dropped branch's lists and in main's.
    const shared = (await manifestsOf(table, table.ancestorsOf('main')[2] ?? fail())).map(
      (m) => m.manifest.path,
    )
    const debris = ['snap-1-1-x.avro', 'x-m0.avro', '00009-x.metadata.json', '00009-x.metadata.json.y.tmp']
    for (const name of debris) writeFileSync(join(metadataFolder(), name), 'what a dead commit left')
    for (const name of ['version-hint.text', 'notes.stats']) writeFileSync(join(metadataFolder(), name), '1')

    expect(await sweepMetadata(table, Date.now() - 60_000)).toBe(0)
    expect(readdirSync(metadataFolder())).toHaveLength(before.length + debris.length + 2)
    const old = new Date(Date.now() - 120_000)
    utimesSync(join(metadataFolder(), 'x-m0.avro'), old, old)
    expect(await sweepMetadata(table, Date.now() - 60_000)).toBe(1)

    expect(await sweepMetadata(table, soon())).toBe(debris.length - 1 + doomed.length - shared.length)
    const names = [
      ...used,
      ...shared.map((path) => path.replace(/^.*\//, '')),
      'version-hint.text',
      'notes.stats',
    ]
    expect(readdirSync(metadataFolder()).sort()).toEqual([...new Set(names)].sort())
    for (const snapshot of table.snapshots()) await planScan(table, { snapshotId: snapshot.snapshotId })
    expect(await sweepMetadata(table, soon())).toBe(0)
  })

  test('a commit that is made between the listing and the reading loses nothing', async () => {
    await grown()
    const { listWithTimes } = lake.fileIO
    const other = await lake.catalog.loadTable(table.identifier)
    const fileIO = {
      ...lake.fileIO,
      async *listWithTimes(folder: string) {
        yield* listWithTimes(folder)
        await other.append({ ref: 'main', files: [dayFile('late', 9)] })
        yield* listWithTimes(folder)
      },
    }
    const { catalog } = lake
    const { identifier } = table
    const state = await catalog.currentState(identifier, null)
    const watched = new Table({ catalog, fileIO, identifier, state, now: Date.now })
    await sweepMetadata(watched, soon())
    await table.refresh()
    expect(await live()).toEqual(['a', 'b', 'c', 'late'])
  })
})

test('the data files that can be read are those of branches and tags, not of what is left of a dropped one', async () => {
  await grown()
  const names = [...(await reachableDataFiles(table))].map((path) => path.replace(/^.*\/|\.parquet$/g, ''))
  expect(names.sort()).toEqual(['a', 'b', 'c', 'k'])
})

function fail(): never {
  throw new Error('main has no third snapshot')
}
