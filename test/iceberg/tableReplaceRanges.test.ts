import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { planScan } from '../../iceberg/scan.ts'
import type { Table } from '../../iceberg/table.ts'
import type { DataFile, MicrosRange } from '../../iceberg/types.ts'
import {
  dataFile,
  day,
  dayFile,
  manifestsOf,
  namesOf,
  openTestCatalog,
  type TestCatalog,
} from './testCatalog.ts'

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
const days = (from: number, to: number): MicrosRange => ({ after: day(from, -1n), upTo: day(to, -1n) })
const neverRewrite = (file: DataFile): Promise<DataFile[]> =>
  Promise.reject(new Error(`rewrites ${file.filePath}`))
const replace = (
  ranges: readonly MicrosRange[],
  files: readonly DataFile[],
  rewriteOutside = neverRewrite,
  ref = 'main',
) => table.replaceRanges({ ref, column: 'event_timestamp', ranges, files, rewriteOutside })

describe('replaceRanges', () => {
  test('drops files inside, keeps files outside and hands over files across an edge', async () => {
    await table.append({
      ref: 'main',
      files: [dayFile('d1', 1), dayFile('d2', 2), dayFile('d3', 3), dayFile('d4', 4)],
    })
    const handed: string[] = []
    const range = { after: day(2, -1n), upTo: day(3, 499n) }
    const snapshot = await replace([range], [dataFile('new', day(2), day(2, 5n))], (file) => {
      handed.push(...namesOf([file]))
      return Promise.resolve([dataFile('rest', day(3, 500n), day(4, -1n), { recordCount: 4n })])
    })
    expect(handed).toEqual(['d3'])
    expect(await live()).toEqual(['d1', 'd4', 'new', 'rest'])
    expect(snapshot.summary).toMatchObject({
      operation: 'overwrite',
      'added-data-files': '2',
      'deleted-data-files': '2',
      'deleted-records': '20',
      'total-data-files': '4',
      'total-records': '34',
    })
  })

  test('has an open lower and a closed upper end', async () => {
    const point = (name: string, at: bigint) => dataFile(name, at, at)
    const files = [
      point('at after', day(5, 10n)),
      point('first', day(5, 11n)),
      point('at upTo', day(5, 20n)),
      point('next', day(5, 21n)),
    ]
    await table.append({ ref: 'main', files })
    await replace([{ after: day(5, 10n), upTo: day(5, 20n) }], [])
    expect(await live()).toEqual(['at after', 'next'])
  })

  test('takes ranges that touch as one, and a gap as an edge', async () => {
    await table.append({ ref: 'main', files: [dayFile('d1', 1)] })
    const halves = [
      { after: day(1, 500n), upTo: day(2, -1n) },
      { after: day(1, -1n), upTo: day(1, 500n) },
    ]
    await replace(halves, [dayFile('all', 1)])
    expect(await live()).toEqual(['all'])
    const withGap = [
      { after: day(1, -1n), upTo: day(1, 500n) },
      { after: day(1, 501n), upTo: day(2, -1n) },
    ]
    await replace(withGap, [], () => Promise.resolve([dataFile('gap', day(1, 501n), day(1, 501n))]))
    expect(await live()).toEqual(['gap'])
  })

  test('done twice leaves the same rows', async () => {
    await replace([days(1, 3)], [dayFile('a', 1), dayFile('b', 2)])
    await replace([days(1, 3)], [dayFile('a2', 1), dayFile('b2', 2)])
    const snapshot = await replace([days(1, 3)], [dayFile('a3', 1), dayFile('b3', 2)])
    expect(await live()).toEqual(['a3', 'b3'])
    expect(snapshot.summary).toMatchObject({ 'total-data-files': '2', 'total-records': '20' })
    expect(await manifestsOf(table, snapshot)).toHaveLength(2)
  })

  test('rewrites only manifests with such files; what stays names its own snapshot and numbers', async () => {
    const first = await table.append({ ref: 'main', files: [dayFile('a', 1), dayFile('b', 2)] })
    const second = await table.append({ ref: 'main', files: [dayFile('c', 8)] })
    const [before] = await manifestsOf(table, second)
    const third = await replace([days(2, 3)], [dayFile('b2', 2)])
    const after = await manifestsOf(table, third)
    expect(after).toHaveLength(3)
    expect(after.find(({ manifest }) => manifest.path === before?.manifest.path)).toEqual(before)
    const rewritten = after.find(({ manifest }) => manifest.existingFiles > 0)
    expect(rewritten?.manifest).toMatchObject({
      sequenceNumber: 3n,
      minSequenceNumber: 1n,
      existingFiles: 1,
      deletedFiles: 1,
    })
    expect(
      rewritten?.entries.map(({ status, snapshotId, sequenceNumber, fileSequenceNumber, file }) => [
        namesOf([file])[0],
        status,
        snapshotId,
        sequenceNumber,
        fileSequenceNumber,
      ]),
    ).toEqual([
      ['a', 'existing', first.snapshotId, 1n, 1n],
      ['b', 'deleted', third.snapshotId, 1n, 1n],
    ])
    const fourth = await replace([days(1, 2)], [])
    const [last] = (await manifestsOf(table, fourth)).filter(({ manifest }) => manifest.sequenceNumber === 4n)
    expect(last?.entries.map(({ status, snapshotId }) => [status, snapshotId])).toEqual([
      ['deleted', fourth.snapshotId],
    ])
    const fifth = await table.append({ ref: 'main', files: [] })
    expect((await manifestsOf(table, fifth)).map(({ manifest }) => manifest.sequenceNumber)).toEqual([3n, 2n])
  })

  test('of nothing appends, and carries the manifests of the same day as they are', async () => {
    const files = [dataFile('early', day(1), day(1, 10n))]
    const first = await table.append({ ref: 'main', files })
    const second = await replace(
      [{ after: day(1, 10n), upTo: day(2, -1n) }],
      [dataFile('a', day(1, 11n), day(1, 12n))],
    )
    expect(second.summary['operation']).toBe('append')
    expect((await manifestsOf(table, second))[1]).toEqual((await manifestsOf(table, first))[0])
  })

  test('takes a file that begins where a range does not reach yet as one across its edge', async () => {
    await table.append({ ref: 'main', files: [dataFile('edge', day(1, 10n), day(1, 15n))] })
    await replace([{ after: day(1, 10n), upTo: day(2, -1n) }], [], () =>
      Promise.resolve([dataFile('rest', day(1, 10n), day(1, 10n))]),
    )
    expect(await live()).toEqual(['rest'])
  })

  test('leaves files without a value alone, and rewrites what is not known', async () => {
    const ids = new Map([[1, 10n]])
    const allNull = dataFile('null', day(1), day(1), { nullValueCounts: ids, valueCounts: ids })
    const unknown = dayFile('unknown', 1, { lowerBounds: new Map(), upperBounds: new Map() })
    const elsewhere = dayFile('elsewhere', 7, { lowerBounds: new Map(), upperBounds: new Map() })
    const uncounted = dayFile('uncounted', 1, { nullValueCounts: new Map() })
    await table.append({ ref: 'main', files: [allNull, unknown, elsewhere, uncounted] })
    const handed: string[] = []
    const hand = (file: DataFile) => {
      handed.push(...namesOf([file]))
      return Promise.resolve([file].map((each) => ({ ...each, filePath: `${each.filePath}.rest` })))
    }
    await replace([{ after: day(1, -1n), upTo: day(1, 99n) }], [], hand)
    expect(handed.sort()).toEqual(['uncounted', 'unknown'])
    await replace([days(1, 2)], [], hand)
    expect(handed.slice(2)).toEqual(['uncounted.parquet.rest'])
    expect(await live()).toEqual(['elsewhere', 'null', 'uncounted.parquet.rest.rest'])
  })

  test('refuses ranges and files that make no sense, and leaves no file behind', async () => {
    await expect(replace([{ after: 5n, upTo: 5n }], [])).rejects.toThrow(/empty/)
    await expect(replace([days(1, 2)], [dataFile('wide', day(1), day(2))])).rejects.toThrow(
      /outside the ranges/,
    )
    const nulls = dayFile('nulls', 1, { nullValueCounts: new Map([[1, 1n]]) })
    await expect(replace([days(1, 2)], [nulls])).rejects.toThrow(/outside the ranges/)
    const onText = {
      ref: 'main',
      column: 'delay',
      ranges: [days(1, 2)],
      files: [],
      rewriteOutside: neverRewrite,
    }
    await expect(table.replaceRanges(onText)).rejects.toThrow(/no timestamp/)
    expect(await lake.metadataFiles(table)).toHaveLength(1)
  })

  test('that loses the race is planned again on the new state, and rewrites each file once', async () => {
    await table.append({ ref: 'main', files: [dayFile('a', 1), dayFile('b', 2)] })
    let rewrites = 0
    await replace([{ after: day(1, 9n), upTo: day(2, 9n) }], [], async (file) => {
      rewrites++
      if (rewrites === 1)
        await (
          await another()
        ).append({ ref: 'main', files: [dayFile('late', 9), dataFile('in', day(1, 20n), day(1, 30n))] })
      return [dataFile(`rest of ${namesOf([file])[0]}`, day(1), day(1, 9n))]
    })
    expect(rewrites).toBe(2)
    expect(await live()).toEqual(['late', 'rest of a', 'rest of b'])
    const used = new Set<string>()
    for (const snapshot of table.snapshots()) {
      used.add(snapshot.manifestList)
      for (const { manifest } of await manifestsOf(table, snapshot)) used.add(manifest.path)
    }
    const written = (await lake.metadataFiles(table)).filter((name) => name.endsWith('.avro'))
    expect(written.map((name) => `${table.location}/metadata/${name}`).sort()).toEqual([...used].sort())
  })
})
