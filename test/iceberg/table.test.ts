import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Catalog } from '../../iceberg/catalog/catalog.ts'
import { dataFileFromJson, dataFileToJson, type DataFileJson } from '../../iceberg/dataFileJson.ts'
import { CommitConflict, UnknownOutcome } from '../../iceberg/errors.ts'
import { planScan } from '../../iceberg/scan.ts'
import { InvalidInput } from '../../iceberg/singleValue.ts'
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

const another = () => lake.catalog.loadTable(table.identifier)
const live = async (ref = 'main') => namesOf((await planScan(await another(), { ref })).files)
describe('append', () => {
  test('writes one new manifest and carries the others as they are', async () => {
    const first = await table.append({
      ref: 'main',
      files: [dayFile('a', 1), dayFile('b', 2)],
      summary: { run: 'r1' },
    })
    const second = await table.append({ ref: 'main', files: [dayFile('c', 3)] })
    const [before, after] = [await manifestsOf(table, first), await manifestsOf(table, second)]
    expect(after).toHaveLength(2)
    expect(after[1]).toEqual(before[0])
    expect(after.map(({ manifest }) => manifest.sequenceNumber)).toEqual([2n, 1n])
    expect(after.map(({ manifest }) => manifest.addedSnapshotId)).toEqual([
      second.snapshotId,
      first.snapshotId,
    ])
    expect([first.parentSnapshotId, second.parentSnapshotId]).toEqual([null, first.snapshotId])
    expect(await live()).toEqual(['a', 'b', 'c'])
  })

  test('says in its summary what came and what there is', async () => {
    const first = await table.append({
      ref: 'main',
      files: [dayFile('a', 1), dayFile('b', 2)],
      summary: { run: 'r1' },
    })
    expect(first.summary).toEqual({
      operation: 'append',
      run: 'r1',
      'added-data-files': '2',
      'added-records': '20',
      'added-files-size': '2000',
      'changed-partition-count': '2',
      'total-data-files': '2',
      'total-records': '20',
      'total-files-size': '2000',
      'total-delete-files': '0',
      'total-position-deletes': '0',
      'total-equality-deletes': '0',
    })
    const lies = { operation: 'delete', 'total-records': '9' }
    const second = await table.append({ ref: 'main', files: [dayFile('c', 3)], summary: lies })
    expect([second.summary['operation'], second.summary['total-records']]).toEqual(['append', '30'])
  })

  test('of ids that do not fit a number, survives every load', async () => {
    const snapshots = [
      await table.append({ ref: 'main', files: [] }),
      await table.append({ ref: 'main', files: [] }),
    ]
    const loaded = await another()
    expect(loaded.snapshots()).toEqual(snapshots)
    expect(snapshots.every(({ snapshotId }) => snapshotId > 0n && snapshotId < 2n ** 63n)).toBe(true)
    expect(loaded.ref('main')).toBe(snapshots[1]?.snapshotId)
    expect(loaded.ancestorsOf('main').map(({ snapshotId }) => snapshotId)).toEqual(
      snapshots.map(({ snapshotId }) => snapshotId).reverse(),
    )
  })

  test('refuses a file given twice, or without its partition, or of another spec', async () => {
    const file = dayFile('a', 1)
    for (const files of [[file, file], [{ ...file, partition: {} }], [{ ...file, specId: 4 }]]) {
      await expect(table.append({ ref: 'main', files })).rejects.toThrow(InvalidInput)
    }
    expect(await lake.metadataFiles(table)).toHaveLength(1)
  })

  test('several at once through one object all land', async () => {
    const names = ['a', 'b', 'c', 'd', 'e']
    const snapshots = await Promise.all(
      names.map((name, at) => table.append({ ref: 'main', files: [dayFile(name, at)] })),
    )
    expect(await live()).toEqual(names)
    expect(new Set(snapshots.map(({ sequenceNumber }) => sequenceNumber)).size).toBe(5)
  })
})

describe('branches', () => {
  test('keep their commits from main, and share its sequence numbers', async () => {
    const base = await table.append({ ref: 'main', files: [dayFile('a', 1)] })
    await table.createBranch('staging', { from: base.snapshotId, maxRefAgeMs: 60_000 })
    await table.createBranch('staging', { from: base.snapshotId })
    const staged = await table.append({ ref: 'staging', files: [dayFile('b', 2)] })
    const next = await table.append({ ref: 'main', files: [dayFile('c', 3)] })
    expect([base, staged, next].map(({ sequenceNumber }) => sequenceNumber)).toEqual([1n, 2n, 3n])
    expect([await live('main'), await live('staging')]).toEqual([
      ['a', 'c'],
      ['a', 'b'],
    ])
    expect((await another()).refs()).toEqual([
      { name: 'main', type: 'branch', snapshotId: next.snapshotId, maxRefAgeMs: null },
      { name: 'staging', type: 'branch', snapshotId: staged.snapshotId, maxRefAgeMs: 60_000 },
    ])
    await expect(table.createBranch('staging', { from: base.snapshotId })).rejects.toMatchObject({
      ref: 'staging',
    })
  })

  test('of an empty table come into being with their first commit, and main with their publish', async () => {
    await table.createBranch('staging', { from: null, maxRefAgeMs: 60_000 })
    expect(table.refs()).toEqual([])
    const staged = await table.append({ ref: 'staging', files: [dayFile('a', 1)] })
    expect(table.refs()).toEqual([
      { name: 'staging', type: 'branch', snapshotId: staged.snapshotId, maxRefAgeMs: 60_000 },
    ])
    const loaded = await another()
    expect([loaded.ref('main'), loaded.metadata['current-snapshot-id'], await live('main')]).toEqual([
      null,
      undefined,
      [],
    ])
    await loaded.publish({
      branch: 'staging',
      expectMain: null,
      expectBranch: staged.snapshotId,
      dropBranch: true,
    })
    expect(await live('main')).toEqual(['a'])
  })

  test('that do not exist are cut from main by a commit', async () => {
    const base = await table.append({ ref: 'main', files: [dayFile('a', 1)] })
    const staged = await table.append({ ref: 'other', files: [dayFile('b', 1)] })
    expect(staged.parentSnapshotId).toBe(base.snapshotId)
  })

  test('are dropped as often as one likes, main never', async () => {
    const base = await table.append({ ref: 'main', files: [] })
    await table.createBranch('staging', { from: base.snapshotId })
    await table.dropBranch('staging')
    await table.dropBranch('staging')
    expect((await another()).refs().map(({ name }) => name)).toEqual(['main'])
    await expect(table.dropBranch('main')).rejects.toThrow(InvalidInput)
  })

  test('that are tags are not committed to', async () => {
    const base = await table.append({ ref: 'main', files: [] })
    const state = await lake.catalog.currentState(table.identifier, null)
    await lake.catalog.commit(
      table.identifier,
      state,
      [],
      [{ action: 'set-snapshot-ref', 'ref-name': 'v1', type: 'tag', 'snapshot-id': base.snapshotId }],
    )
    await expect(table.append({ ref: 'v1', files: [dayFile('a', 1)] })).rejects.toThrow(/v1 is a tag/)
  })
})

describe('publish', () => {
  const stage = async (names: readonly string[], branch = 'staging') => {
    const base = table.ref('main')
    await table.createBranch(branch, { from: base })
    const staged = await table.append({ ref: branch, files: names.map((name, at) => dayFile(name, at)) })
    return { branch, expectMain: base, expectBranch: staged.snapshotId }
  }

  test('moves main and drops the branch in one commit, with no new snapshot', async () => {
    await table.append({ ref: 'main', files: [dayFile('a', 1)] })
    const staged = await stage(['b'])
    const versions = table.metadata['metadata-log'].length
    const published = await table.publish({ ...staged, dropBranch: true })
    expect(published.snapshotId).toBe(staged.expectBranch)
    const { metadata } = await another()
    expect(metadata['metadata-log']).toHaveLength(versions + 1)
    expect(Object.keys(metadata.refs)).toEqual(['main'])
    expect([metadata['last-sequence-number'], metadata.snapshots.length]).toEqual([2n, 2])
    const last = metadata['snapshot-log'].at(-1)
    expect(last?.['snapshot-id']).toBe(staged.expectBranch)
    expect(last?.['timestamp-ms']).toBeGreaterThan(published.timestampMs)
    expect(await live()).toEqual(['a', 'b'])
  })

  test('refuses when main has moved, and says so', async () => {
    await table.append({ ref: 'main', files: [dayFile('a', 1)] })
    const staged = await stage(['b'])
    await (await another()).append({ ref: 'main', files: [dayFile('c', 1)] })
    await expect(table.publish(staged)).rejects.toMatchObject({
      name: 'CommitConflict',
      ref: 'main',
      retryable: true,
    })
    expect(await live()).toEqual(['a', 'c'])
  })

  test('refuses when main has come into being', async () => {
    const staged = await stage(['b'])
    await (await another()).append({ ref: 'main', files: [dayFile('c', 1)] })
    await expect(table.publish(staged)).rejects.toMatchObject({ ref: 'main' })
  })

  test('refuses when the branch has moved or is gone, and says so', async () => {
    const staged = await stage(['b'])
    await (await another()).append({ ref: 'staging', files: [dayFile('c', 1)] })
    await expect(table.publish(staged)).rejects.toMatchObject({ name: 'CommitConflict', ref: 'staging' })
    await table.dropBranch('staging')
    await expect(table.publish(staged)).rejects.toMatchObject({ ref: 'staging' })
    expect(await live()).toEqual([])
  })

  test('refuses a branch that does not descend from main', async () => {
    const foreign = await stage(['b'])
    const main = await table.append({ ref: 'main', files: [dayFile('c', 1)] })
    await expect(table.publish({ ...foreign, expectMain: main.snapshotId })).rejects.toThrow(
      /does not descend/,
    )
    expect(await live()).toEqual(['c'])
  })

  test('done twice is done once', async () => {
    const staged = await stage(['b'])
    await table.publish(staged)
    const version = table.metadataLocation
    await table.publish(staged)
    expect((await another()).metadataLocation).toBe(version)
    await table.publish({ ...staged, dropBranch: true })
    await table.publish({ ...staged, dropBranch: true })
    expect((await another()).refs().map(({ name }) => name)).toEqual(['main'])
  })

  test('of two at once, one is refused', async () => {
    const [one, two] = [await stage(['b'], 's1'), await stage(['c'], 's2')]
    const outcomes = await Promise.allSettled([table.publish(one), (await another()).publish(two)])
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await live()).toHaveLength(1)
  })
})

describe('an answer that is lost', () => {
  /** The catalog itself, but its answers to the first commits never arrive; `made` says which of those are made. */
  const losing = (made: readonly boolean[]): Catalog => {
    let count = 0
    return Object.assign(Object.create(lake.catalog) as Catalog, {
      ...bound(lake.catalog),
      commit: async (...given: Parameters<Catalog['commit']>) => {
        const isMade = made[count++]
        const state = isMade === false ? null : await lake.catalog.commit(...given)
        if (isMade === undefined && state) return state
        throw new UnknownOutcome('the connection was lost')
      },
    })
  }
  const bound = (catalog: Catalog) => ({ currentState: catalog.currentState.bind(catalog) })
  const through = async (catalog: Catalog): Promise<Table> => {
    const state = await lake.catalog.currentState(table.identifier, null)
    return new Table({ catalog, fileIO: lake.fileIO, identifier: table.identifier, state, now: Date.now })
  }

  test('to a commit that was made is found out: the files are there once', async () => {
    const snapshot = await (await through(losing([true]))).append({ ref: 'main', files: [dayFile('a', 1)] })
    expect((await another()).ref('main')).toBe(snapshot.snapshotId)
    expect(await live()).toEqual(['a'])
    expect((await another()).snapshots()).toHaveLength(1)
  })

  test('to a commit that was not made is made good', async () => {
    await (await through(losing([false, true]))).append({ ref: 'main', files: [dayFile('a', 1)] })
    expect(await live()).toEqual(['a'])
    expect((await another()).snapshots()).toHaveLength(1)
  })

  test('to a publish is found out', async () => {
    const staged = await table.append({ ref: 'staging', files: [dayFile('a', 1)] })
    const publish = { branch: 'staging', expectMain: null, expectBranch: staged.snapshotId, dropBranch: true }
    await (await through(losing([true]))).publish(publish)
    expect((await another()).refs().map(({ name }) => name)).toEqual(['main'])
  })

  test('again and again ends with an error that says so', async () => {
    const lost = (await through(losing([false, false, false, false]))).append({ ref: 'main', files: [] })
    await expect(lost).rejects.toThrow(UnknownOutcome)
  })
})

test('a publish requires properties in its own commit, however late they change', async () => {
  await table.setProperties({ meaning: 'one' })
  const before = (await another()).metadataLocation
  await table.setProperties({ meaning: 'one' })
  expect((await another()).metadataLocation).toBe(before)
  const staged = await table.append({ ref: 'staging', files: [dayFile('a', 1)] })
  const publish = { branch: 'staging', expectMain: null, expectBranch: staged.snapshotId }
  // This object has seen the property as it was.
  await (await another()).setProperties({ meaning: 'another' })
  const refused = table.publish({ ...publish, expectProperties: { meaning: 'one' } })
  await expect(refused).rejects.toMatchObject({ name: 'CommitConflict', property: 'meaning' })
  expect((await another()).ref('main')).toBe(null)
  await table.publish({ ...publish, expectProperties: { meaning: 'another' } })
  expect((await another()).ref('main')).toBe(staged.snapshotId)
})

test('conflicts are told from other errors', () => {
  expect(new CommitConflict('x').retryable).toBe(true)
  expect(new UnknownOutcome('x').retryable).toBe(false)
})

test('data files travel as JSON', () => {
  const file = dayFile('a', 1, {
    partition: { event_timestamp_day: 1, id: 2n ** 60n, airport: null, open: true },
  })
  const text = JSON.stringify(dataFileToJson(file))
  expect(dataFileFromJson(JSON.parse(text) as DataFileJson)).toEqual(file)
})
