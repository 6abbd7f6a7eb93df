/** What `main` was at, at a moment. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { planScan } from '../../iceberg/scan.ts'
import { InvalidInput } from '../../iceberg/singleValue.ts'
import { expectSnapshotAsOf, snapshotAsOf } from '../../iceberg/snapshotAsOf.ts'
import type { Table } from '../../iceberg/table.ts'
import { day, dayFile, namesOf, openTestCatalog, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
let table: Table
const noon = Date.UTC(2001, 0, 8, 12)
let clockMs: number
beforeEach(async () => {
  clockMs = noon - 60_000
  lake = await openTestCatalog(() => clockMs)
  table = await lake.createTable('t')
})
afterEach(() => lake.close())

const readAt = async (asOf: number) => namesOf((await planScan(table, { asOf })).files)
const append = (name: string, atMs: number, ref = 'main') => {
  clockMs = atMs
  return table.append({ ref, files: [dayFile(name, 1)] })
}

describe('a scan as of a moment', () => {
  test('reads what was published by then, from its very millisecond on', async () => {
    const first = await append('a', noon)
    const second = await append('b', noon + 1_000)
    expect([await readAt(noon), await readAt(noon + 999)]).toEqual([['a'], ['a']])
    expect([await readAt(noon + 1_000), await readAt(noon + 9e9)]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
    const ids = [noon - 1, noon, noon + 999, noon + 1_000].map((ms) => table.snapshotAsOf(ms)?.snapshotId)
    expect(ids).toEqual([undefined, first.snapshotId, first.snapshotId, second.snapshotId])
    expect(table.snapshotAsOf(noon - 1)).toBeNull()
    expect((await planScan(table, { asOf: noon })).snapshot).toEqual(first)
  })

  test('takes the last of several moves in one millisecond', async () => {
    await append('a', noon)
    await append('b', noon)
    await append('c', noon + 1)
    expect(await readAt(noon)).toEqual(['a', 'b'])
  })

  test('sees a branch when it was published, not when it was staged', async () => {
    const base = await append('a', noon)
    const staged = await append('b', noon + 1_000, 'run')
    clockMs = noon + 5_000
    const publish = { branch: 'run', expectMain: base.snapshotId, expectBranch: staged.snapshotId }
    await table.publish({ ...publish, dropBranch: true })
    expect(staged.timestampMs).toBe(noon + 1_000)
    expect(await readAt(noon + 4_999)).toEqual(['a'])
    expect(await readAt(noon + 5_000)).toEqual(['a', 'b'])
  })

  test('sees what a rollback took away, and then what it brought back', async () => {
    const first = await append('a', noon)
    await append('b', noon + 1_000)
    clockMs = noon + 2_000
    await rollBack(first.snapshotId)
    expect(await Promise.all([999, 1_000, 1_999, 2_000].map((ms) => readAt(noon + ms)))).toEqual([
      ['a'],
      ['a', 'b'],
      ['a', 'b'],
      ['a'],
    ])
  })

  test('has the columns of that time, and prunes like any other', async () => {
    await append('a', noon)
    clockMs = noon + 1_000
    await table.addColumns([{ name: 'gate', type: 'int' }])
    await append('b', noon + 2_000)
    const columns = async (asOf: number) =>
      (await planScan(table, { asOf })).schema.fields.map(({ name }) => name)
    expect(await columns(noon + 1_500)).toEqual(['event_timestamp', 'delay'])
    expect(await columns(noon + 2_000)).toEqual(['event_timestamp', 'delay', 'gate'])
    const filter = { column: 'event_timestamp', op: 'ge', value: day(2) } as const
    expect((await planScan(table, { asOf: noon, filter })).files).toEqual([])
  })
})

describe('a moment that cannot be read', () => {
  test('before the first publish is refused, and the first one named', async () => {
    await expect(readAt(noon)).rejects.toThrow(
      'Table t has no snapshot as of 2001-01-08T12:00:00.000Z. Its log is empty: nothing has been published yet.',
    )
    await append('a', noon)
    const early = readAt(noon - 1)
    await expect(early).rejects.toThrow(InvalidInput)
    await expect(early).rejects.toThrow(
      'Table t has no snapshot as of 2001-01-08T11:59:59.999Z. The first moment after it that can be read is 2001-01-08T12:00:00.000Z.',
    )
    await expect(readAt(-9e18)).rejects.toThrow('as of -9000000000000000000 ms since the epoch')
  })

  test('before what has expired is refused: the log has no holes', async () => {
    const first = await append('a', noon)
    await append('b', noon + 1_000)
    clockMs = noon + 2_000
    await rollBack(first.snapshotId)
    expect(await table.removeUnreachable()).toBe(1)
    await expect(readAt(noon + 1_500)).rejects.toThrow(/first moment after it .* 2001-01-08T12:00:02\.000Z/)
    expect(await readAt(noon + 2_000)).toEqual(['a'])
  })

  test('whose snapshot another engine removed without its entry is not read as an older one', async () => {
    await append('a', noon)
    const gone = await append('b', noon + 1_000)
    await append('c', noon + 2_000)
    const snapshots = table.metadata.snapshots.filter((entry) => entry['snapshot-id'] !== gone.snapshotId)
    const metadata = { ...table.metadata, snapshots }
    expect(snapshotAsOf(metadata, noon + 1_500)).toBeNull()
    expect(() => expectSnapshotAsOf(metadata, 't', noon + 1_500)).toThrow(/12:00:02\.000Z/)
    expect(snapshotAsOf(metadata, noon + 500)).not.toBeNull()
  })

  test('that is none is refused', async () => {
    await append('a', noon)
    for (const asOf of [NaN, Infinity, -Infinity]) {
      await expect(readAt(asOf)).rejects.toThrow(`A scan cannot be as of ${asOf}`)
    }
  })
})

test('a scan takes one of ref, snapshot and time', async () => {
  const { snapshotId } = await append('a', noon)
  const both = [
    { ref: 'main', snapshotId },
    { ref: 'main', asOf: noon },
    { snapshotId, asOf: noon },
    { ref: 'main', snapshotId, asOf: noon },
  ]
  for (const options of both) {
    await expect(planScan(table, options)).rejects.toThrow(
      `one of ref, snapshotId and asOf, not ${Object.keys(options).join(' and ')}`,
    )
  }
})

/** As other engines do: `main` is set back to an earlier snapshot. */
async function rollBack(snapshotId: bigint): Promise<void> {
  const state = await lake.catalog.currentState(table.identifier, null)
  const main = { 'ref-name': 'main', type: 'branch', 'snapshot-id': snapshotId } as const
  await lake.catalog.commit(table.identifier, state, [], [{ action: 'set-snapshot-ref', ...main }])
  await table.refresh()
}
