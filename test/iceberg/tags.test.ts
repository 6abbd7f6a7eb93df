/** Tags: names that keep a snapshot and its files, for as long as they say. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CommitConflict } from '../../iceberg/errors.ts'
import { parseTableMetadata, stringifyTableMetadata } from '../../iceberg/metadata.ts'
import { planScan } from '../../iceberg/scan.ts'
import { InvalidInput } from '../../iceberg/singleValue.ts'
import type { Snapshot } from '../../iceberg/snapshot.ts'
import { reachableDataFiles, sweepMetadata } from '../../iceberg/sweepMetadata.ts'
import { Table } from '../../iceberg/table.ts'
import { expiredTags } from '../../iceberg/tags.ts'
import { dayFile, namesOf, openTestCatalog, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
let table: Table
let first: Snapshot
let second: Snapshot
let clockMs = 1_000_000
beforeEach(async () => {
  lake = await openTestCatalog(() => (clockMs += 10))
  table = await lake.createTable('t')
  first = await table.append({ ref: 'main', files: [dayFile('a', 1)] })
  second = await table.append({ ref: 'main', files: [dayFile('b', 2)] })
})
afterEach(() => lake.close())

const another = () => lake.catalog.loadTable(table.identifier)
const live = async (ref: string) => namesOf((await planScan(await another(), { ref })).files)
const storedRefs = async () => {
  const text = new TextDecoder().decode(await lake.fileIO.read((await another()).metadataLocation))
  return (JSON.parse(text) as { refs: Record<string, Record<string, unknown>> }).refs
}

describe('a tag', () => {
  test('is written as the specification has it, and reads what its snapshot held', async () => {
    await table.createTag('v1', { snapshotId: first.snapshotId, maxRefAgeMs: 60_000 })
    await table.createTag('v2', { snapshotId: second.snapshotId })
    expect((await another()).refs()).toEqual([
      { name: 'main', type: 'branch', snapshotId: second.snapshotId, maxRefAgeMs: null },
      { name: 'v1', type: 'tag', snapshotId: first.snapshotId, maxRefAgeMs: 60_000 },
      { name: 'v2', type: 'tag', snapshotId: second.snapshotId, maxRefAgeMs: null },
    ])
    const { v1, v2 } = await storedRefs()
    expect(v1).toMatchObject({ type: 'tag', 'max-ref-age-ms': 60_000 })
    expect([Object.keys(v1 ?? {}).sort(), Object.keys(v2 ?? {}).sort()]).toEqual([
      ['max-ref-age-ms', 'snapshot-id', 'type'],
      ['snapshot-id', 'type'],
    ])
    await table.append({ ref: 'main', files: [dayFile('c', 3)] })
    expect([await live('v1'), await live('v2'), await live('main')]).toEqual([
      ['a'],
      ['a', 'b'],
      ['a', 'b', 'c'],
    ])
  })

  test('reads with its snapshot’s columns, a branch with the newest', async () => {
    await table.createTag('v1', { snapshotId: first.snapshotId })
    await table.addColumns([{ name: 'gate', type: 'int' }])
    const columnsOf = async (ref: string) =>
      (await planScan(table, { ref })).schema.fields.map(({ name }) => name)
    expect(await columnsOf('v1')).toEqual(['event_timestamp', 'delay'])
    expect(await columnsOf('main')).toEqual(['event_timestamp', 'delay', 'gate'])
  })

  test('made twice is made once, and lives as long as was asked last', async () => {
    const { snapshotId } = first
    await table.createTag('v1', { snapshotId, maxRefAgeMs: 60_000 })
    const stale = await another()
    const { metadataLocation } = table
    await table.createTag('v1', { snapshotId, maxRefAgeMs: 60_000 })
    await stale.createTag('v1', { snapshotId, maxRefAgeMs: 60_000 })
    expect((await another()).metadataLocation).toBe(metadataLocation)
    await stale.createTag('v1', { snapshotId })
    expect((await another()).refs().find(({ name }) => name === 'v1')).toMatchObject({
      snapshotId,
      maxRefAgeMs: null,
    })
  })

  test('does not take a name that is taken, nor give its own away', async () => {
    const { snapshotId } = first
    await table.createTag('v1', { snapshotId })
    const moved = table.createTag('v1', { snapshotId: second.snapshotId })
    await expect(moved).rejects.toThrow(CommitConflict)
    await expect(moved).rejects.toMatchObject({ ref: 'v1' })
    await expect(moved).rejects.toThrow(`a tag v1 already, at snapshot ${snapshotId}`)
    await table.createBranch('run', { from: snapshotId })
    await expect(table.createTag('run', { snapshotId })).rejects.toThrow(/a branch run already/)
    await expect(table.createBranch('v1', { from: snapshotId })).rejects.toThrow(/a tag v1 already/)
    await expect(table.createTag('main', { snapshotId: second.snapshotId })).rejects.toThrow(InvalidInput)
    await expect(table.append({ ref: 'v1', files: [] })).rejects.toThrow(/v1 is a tag/)
    expect([table.ref('v1'), table.ref('run')]).toEqual([snapshotId, snapshotId])
  })

  test('of a snapshot that is not there, or for a time that other engines do not read, is refused', async () => {
    const branch = await table.append({ ref: 'run', files: [dayFile('c', 3)] })
    const stale = await another()
    await table.dropBranch('run')
    await table.removeUnreachable()
    const gone = stale.createTag('v1', { snapshotId: branch.snapshotId })
    await expect(gone).rejects.toThrow(InvalidInput)
    await expect(gone).rejects.toThrow(`Snapshot ${branch.snapshotId} cannot be tagged v1`)
    for (const maxRefAgeMs of [0, -1, 1.5, NaN, Infinity]) {
      const { snapshotId } = first
      await expect(table.createTag('v1', { snapshotId, maxRefAgeMs })).rejects.toThrow(
        `v1 cannot be kept for ${maxRefAgeMs} ms`,
      )
      await expect(table.createBranch('v1', { from: snapshotId, maxRefAgeMs })).rejects.toThrow(InvalidInput)
    }
    expect((await another()).refs().map(({ name }) => name)).toEqual(['main'])
  })

  test('is dropped as often as one likes, and never as a branch', async () => {
    await table.createTag('v1', { snapshotId: first.snapshotId })
    await table.createBranch('run', { from: first.snapshotId })
    await expect(table.dropTag('run')).rejects.toThrow('run is a branch, not a tag')
    await expect(table.dropTag('main')).rejects.toThrow(InvalidInput)
    await expect(table.dropBranch('v1')).rejects.toThrow('v1 is a tag, not a branch')
    expect(table.refs().map(({ name }) => name)).toEqual(['main', 'v1', 'run'])
    await table.dropTag('v1')
    await table.dropTag('v1')
    expect((await another()).refs().map(({ name }) => name)).toEqual(['main', 'run'])
  })

  test('that has a published branch’s name is left alone when the publish is made again', async () => {
    const staged = await table.append({ ref: 'run', files: [dayFile('c', 3)] })
    const publish = {
      branch: 'run',
      expectMain: second.snapshotId,
      expectBranch: staged.snapshotId,
      dropBranch: true,
    }
    await table.publish(publish)
    await table.createTag('run', { snapshotId: staged.snapshotId })
    await table.publish(publish)
    expect((await another()).refs().map(({ name, type }) => [name, type])).toEqual([
      ['main', 'branch'],
      ['run', 'tag'],
    ])
    const older = { branch: 'old', expectMain: staged.snapshotId, expectBranch: first.snapshotId }
    await table.createTag('old', { snapshotId: first.snapshotId })
    await table.publish({ ...older, dropBranch: true })
    expect(table.ref('old')).toBe(first.snapshotId)
  })
})

describe('what a tag is at', () => {
  const soon = () => Date.now() + 1_000
  const readable = async () =>
    [...(await reachableDataFiles(table))].map((path) => path.replace(/^.*\/|\.parquet$/g, '')).sort()

  test('stays, with its manifests and data files, until the tag is gone', async () => {
    await table.append({ ref: 'run', files: [dayFile('x', 3)] })
    const judged = await table.append({ ref: 'run', files: [dayFile('y', 4)] })
    const later = await table.append({ ref: 'run', files: [dayFile('z', 5)] })
    await table.createTag('judged', { snapshotId: judged.snapshotId })
    await table.dropBranch('run')

    expect(await table.removeUnreachable()).toBe(1)
    expect(table.snapshot(later.snapshotId)).toBeNull()
    // The dropped snapshot's list and its one manifest.
    expect(await sweepMetadata(table, soon())).toBe(2)
    expect(await live('judged')).toEqual(['a', 'b', 'x', 'y'])
    expect(await readable()).toEqual(['a', 'b', 'x', 'y'])

    await table.dropTag('judged')
    expect(await readable()).toEqual(['a', 'b'])
    expect(await table.removeUnreachable()).toBe(2)
    expect(await sweepMetadata(table, soon())).toBe(4)
    await expect(live('judged')).rejects.toThrow(/no branch or tag "judged"/)
    expect(await live('main')).toEqual(['a', 'b'])
  })

  test('stays where the tag came while another one was about to remove it', async () => {
    const judged = await table.append({ ref: 'run', files: [dayFile('x', 3)] })
    await table.dropBranch('run')
    const stale = await another()
    await table.createTag('judged', { snapshotId: judged.snapshotId })
    expect(await stale.removeUnreachable()).toBe(0)
    expect(await live('judged')).toEqual(['a', 'b', 'x'])
  })
})

describe('tags whose time is over', () => {
  test('go in one commit; a snapshot of exactly that age, branches and tags without an age stay', async () => {
    await table.createTag('short', { snapshotId: first.snapshotId, maxRefAgeMs: 5_000 })
    await table.createTag('long', { snapshotId: first.snapshotId, maxRefAgeMs: 6_000 })
    await table.createTag('ever', { snapshotId: first.snapshotId })
    await table.createBranch('run', { from: first.snapshotId, maxRefAgeMs: 1 })
    const stale = await another()
    const { metadataLocation } = table
    expect(await table.expireTags(first.timestampMs + 5_000)).toEqual([])
    expect((await another()).metadataLocation).toBe(metadataLocation)
    expect(await table.expireTags(first.timestampMs + 5_001)).toEqual(['short'])
    expect(await stale.expireTags(first.timestampMs + 5_001)).toEqual([])
    expect((await another()).refs().map(({ name }) => name)).toEqual(['main', 'long', 'ever', 'run'])
    expect(await table.expireTags(Number.MAX_SAFE_INTEGER)).toEqual(['long'])
    expect(table.refs().map(({ name }) => name)).toEqual(['main', 'ever', 'run'])
  })

  test('are as old as their snapshot, whenever they were made', async () => {
    clockMs += 60_000
    await table.createTag('late', { snapshotId: first.snapshotId, maxRefAgeMs: 50_000 })
    expect(await table.expireTags(clockMs)).toEqual(['late'])
  })

  test('take the table’s property where they have no age of their own; one that is no age keeps them', async () => {
    await table.createTag('plain', { snapshotId: first.snapshotId })
    await table.createTag('own', { snapshotId: first.snapshotId, maxRefAgeMs: 9_000 })
    const at = first.timestampMs + 5_001
    for (const value of ['', '0', 'a week', '-5', '5001']) {
      await table.setProperties({ 'history.expire.max-ref-age-ms': value })
      expect(await table.expireTags(at), value).toEqual([])
    }
    await table.setProperties({ 'history.expire.max-ref-age-ms': '5000' })
    expect(await table.expireTags(at)).toEqual(['plain'])
  })

  test('leave main alone, whatever another engine wrote of it', async () => {
    const state = await lake.catalog.currentState(table.identifier, null)
    const main = { type: 'branch' as const, 'snapshot-id': second.snapshotId, 'max-ref-age-ms': 1 }
    await lake.catalog.commit(
      table.identifier,
      state,
      [],
      [{ action: 'set-snapshot-ref', 'ref-name': 'main', ...main }],
    )
    expect(await table.expireTags(Number.MAX_SAFE_INTEGER)).toEqual([])
    expect((await another()).ref('main')).toBe(second.snapshotId)
  })
})

test('an age that does not fit a number, as Java writes "for ever", survives and keeps its tag', async () => {
  await table.createTag('v1', { snapshotId: first.snapshotId, maxRefAgeMs: 7 })
  const text = stringifyTableMetadata(table.metadata).replace(
    '"max-ref-age-ms":7',
    '"max-ref-age-ms":9223372036854775807',
  )
  const metadata = parseTableMetadata(text, 'file:///m.json')
  expect(stringifyTableMetadata(metadata)).toContain('"max-ref-age-ms":9223372036854775807')
  expect(expiredTags(metadata, Number.MAX_SAFE_INTEGER)).toEqual([])
  expect(expiredTags(table.metadata, Number.MAX_SAFE_INTEGER)).toEqual(['v1'])
  const { catalog, fileIO } = lake
  const state = { metadata, metadataLocation: table.metadataLocation }
  const { identifier } = table
  const read = new Table({ catalog, fileIO, identifier, state, now: Date.now })
  expect(read.refs().find(({ name }) => name === 'v1')?.maxRefAgeMs).toBe(2 ** 63)
})
