import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Unsupported } from '../../iceberg/errors.ts'
import { writeManifestList, type ManifestFile } from '../../iceberg/manifestList.ts'
import { fileMightMatch, type Filter } from '../../iceberg/mightMatch.ts'
import { planScan } from '../../iceberg/scan.ts'
import { fieldNamed, icebergSchema } from '../../iceberg/schema.ts'
import { compareValues, lowerBound, upperBound, type SingleValue } from '../../iceberg/singleValue.ts'
import type { Table } from '../../iceberg/table.ts'
import { applyTransform, type Comparison } from '../../iceberg/transforms.ts'
import type { DataFile, PartitionSpec, PrimitiveType } from '../../iceberg/types.ts'
import { day, manifestsOf, nameOf, namesOf, openTestCatalog, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
beforeAll(async () => {
  lake = await openTestCatalog()
})
afterAll(() => lake.close())

const schema = icebergSchema([
  { name: 'at', type: 'timestamptz' },
  { name: 'airport', type: 'string' },
  { name: 'delay', type: 'double' },
  { name: 'flight', type: 'long' },
  { name: 'tags', type: { type: 'list', element: 'string', 'element-required': false } },
])
const partitionFields: PartitionSpec['fields'] = [
  { 'source-id': 1, 'field-id': 1000, name: 'at_day', transform: 'day' },
  { 'source-id': 2, 'field-id': 1001, name: 'airport_bucket', transform: 'bucket[4]' },
  { 'source-id': 4, 'field-id': 1002, name: 'flight', transform: 'identity' },
]
const specOf = (chosen: number): PartitionSpec => ({
  'spec-id': 0,
  fields: partitionFields.filter((_, at) => chosen & (1 << at)),
})

type Row = Readonly<Record<'at' | 'airport' | 'delay' | 'flight', SingleValue | null>>
const columns = ['at', 'airport', 'delay', 'flight'] as const
type Column = (typeof columns)[number]

const values: Record<Column, fc.Arbitrary<SingleValue>> = {
  at: fc.oneof(
    fc.constantFrom(day(0), day(0, -1n), day(1), day(1, -1n), day(-1), day(2), day(-1, 1n)),
    fc.bigInt({ min: day(-3), max: day(3) }),
  ),
  airport: fc.oneof(
    fc.constantFrom(
      '',
      'SFO',
      'SFP',
      'a long name of an airport, 1',
      'a long name of an airport, 2',
      '\uffff',
      '😀',
    ),
    fc.string({ unit: 'grapheme', maxLength: 20 }),
  ),
  delay: fc.oneof(
    fc.constantFrom(0, -0, NaN, Infinity, -Infinity),
    fc.integer({ min: -3, max: 3 }),
    fc.double({ min: -3, max: 3 }),
  ),
  flight: fc.bigInt({ min: -3n, max: 3n }),
}
const row: fc.Arbitrary<Row> = fc.record({
  at: fc.option(values.at, { freq: 5 }),
  airport: fc.option(values.airport, { freq: 5 }),
  delay: fc.option(values.delay, { freq: 5 }),
  flight: fc.option(values.flight, { freq: 5 }),
})

const comparison: fc.Arbitrary<Filter> = fc.constantFrom(...columns).chain((column) =>
  fc.oneof(
    fc.record({
      column: fc.constant(column),
      op: fc.constantFrom('is_null' as const, 'not_null' as const),
    }),
    fc.record({
      column: fc.constant(column),
      op: fc.constant('in' as const),
      value: fc.array(values[column], { maxLength: 3 }),
    }),
    fc.record({
      column: fc.constant(column),
      op: fc.constantFrom('eq' as const, 'lt', 'le', 'gt', 'ge'),
      value: values[column],
    }),
  ),
)
const { filter } = fc.letrec<{ filter: Filter }>((tie) => ({
  filter: fc.oneof(
    { maxDepth: 3 },
    comparison,
    fc.record({ op: fc.constant('and' as const), filters: fc.array(tie('filter'), { maxLength: 3 }) }),
    fc.record({ op: fc.constant('or' as const), filters: fc.array(tie('filter'), { maxLength: 3 }) }),
  ),
}))

const typeOf = (column: string): PrimitiveType => fieldNamed(schema, column).type as PrimitiveType

/** SQL's answer for one row, with null for unknown taken as no. */
function holds(filter: Filter, row: Row): boolean {
  if (filter.op === 'and') return filter.filters.every((part) => holds(part, row))
  if (filter.op === 'or') return filter.filters.some((part) => holds(part, row))
  const value = row[filter.column as Column]
  if (filter.op === 'is_null') return value === null
  if (value === null) return false
  const order = (other: SingleValue) => compareValues(typeOf(filter.column), value, other)
  const answers: Record<Comparison['op'], (other: SingleValue) => boolean> = {
    is_null: () => false,
    not_null: () => true,
    eq: (other) => order(other) === 0,
    in: (other) => order(other) === 0,
    lt: (other) => order(other) < 0,
    le: (other) => order(other) <= 0,
    gt: (other) => order(other) > 0,
    ge: (other) => order(other) >= 0,
  }
  if (filter.op === 'not_null') return true
  if (filter.op === 'in') return filter.value.some(answers.in)
  return answers[filter.op](filter.value)
}

/** Statistics of rows as a writer gives them; `known` leaves some of them out, as writers do. */
function describeRows(name: string, rows: readonly Row[], spec: PartitionSpec, known: number): DataFile {
  const maps = {
    valueCounts: new Map<number, bigint>(),
    nullValueCounts: new Map<number, bigint>(),
    nanValueCounts: new Map<number, bigint>(),
    lowerBounds: new Map<number, Uint8Array>(),
    upperBounds: new Map<number, Uint8Array>(),
  }
  columns.forEach((column, at) => {
    const { id } = fieldNamed(schema, column)
    const type = typeOf(column)
    const all = rows.map((each) => each[column]).filter((value) => value !== null)
    const numbers = all.filter((value) => !Number.isNaN(value)).sort((a, b) => compareValues(type, a, b))
    const [least, greatest] = [numbers[0], numbers.at(-1)]
    if (known & (1 << at)) {
      maps.valueCounts.set(id, BigInt(rows.length))
      maps.nullValueCounts.set(id, BigInt(rows.length - all.length))
    }
    if (known & (16 << at)) maps.nanValueCounts.set(id, BigInt(all.length - numbers.length))
    if (known & (256 << at) && least !== undefined && greatest !== undefined) {
      const bounds = [lowerBound(type, least), upperBound(type, greatest)]
      if (bounds[0]) maps.lowerBounds.set(id, bounds[0])
      if (bounds[1]) maps.upperBounds.set(id, bounds[1])
    }
  })
  const partition = partitionOf(rows[0], spec)
  const sizes = {
    recordCount: BigInt(rows.length),
    fileSizeInBytes: 1n,
    columnSizes: new Map<number, bigint>(),
  }
  return { filePath: `file:///nowhere/${name}.parquet`, partition, specId: 0, ...sizes, ...maps }
}

function partitionOf(row: Row | undefined, spec: PartitionSpec): DataFile['partition'] {
  return Object.fromEntries(
    spec.fields.map((field) => {
      const column = columns[field['source-id'] - 1] ?? 'at'
      return [field.name, applyTransform(field.transform, typeOf(column), row?.[column] ?? null)]
    }),
  )
}

/** The rows of each partition in files of their own. */
function filesOf(rows: readonly Row[], spec: PartitionSpec): Row[][] {
  const files = new Map<string, Row[]>()
  for (const each of rows) {
    const key = JSON.stringify(Object.values(partitionOf(each, spec)).map(String))
    files.set(key, [...(files.get(key) ?? []), each])
  }
  return [...files.values()]
}

describe('planned files', () => {
  test('hold every row for which a filter holds, whatever the partitioning and however little is known', async () => {
    const chosen = fc.integer({ min: 0, max: 7 })
    const known = fc.integer({ min: 0, max: 4095 })
    const commits = fc.array(fc.array(row, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 })
    let table = 0
    let pruned = 0
    await fc.assert(
      fc.asyncProperty(
        chosen,
        known,
        commits,
        fc.array(filter, { minLength: 10, maxLength: 30 }),
        async (fields, facts, batches, filters) => {
          const spec = specOf(fields)
          const made = await lake.catalog.createTable(
            { namespace: 'lake', name: `p${table++}` },
            { schema, spec },
          )
          const rowsOf = new Map<string, Row[]>()
          for (const [batch, rows] of batches.entries()) {
            const files = filesOf(rows, spec).map((some, at) => {
              rowsOf.set(`${batch}-${at}`, some)
              return describeRows(`${batch}-${at}`, some, spec, facts)
            })
            await made.append({ ref: 'main', files })
          }
          for (const each of filters) {
            const planned = namesOf((await planScan(made, { filter: each })).files)
            const needed = [...rowsOf]
              .filter(([, rows]) => rows.some((one) => holds(each, one)))
              .map(([name]) => name)
            expect(planned).toEqual(expect.arrayContaining(needed))
            pruned += rowsOf.size - planned.length
          }
        },
      ),
      { numRuns: 30 },
    )
    expect(pruned).toBeGreaterThan(200)
  })

  test('of files that are alone hold every row, in many cases', () => {
    let pruned = 0
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: 4095 }),
        filter,
        (rows, known, each) => {
          const spec = specOf(0)
          const might = fileMightMatch(describeRows('f', rows, spec, known), spec, schema, each)
          if (!might) pruned++
          return might || !rows.some((one) => holds(each, one))
        },
      ),
      { numRuns: 8_000 },
    )
    expect(pruned).toBeGreaterThan(500)
  })
})

describe('pruning', () => {
  const rowAt = (at: bigint, airport: string): Row => ({ at, airport, delay: 1, flight: 1n })
  let table: Table
  beforeAll(async () => {
    const spec = specOf(3)
    table = await lake.catalog.createTable({ namespace: 'lake', name: 'pruned' }, { schema, spec })
    for (let count = 0; count < 10; count++) {
      const files = ['SFO', 'LAX'].map((airport) =>
        describeRows(
          `${count}-${airport}`,
          [rowAt(day(count), airport), rowAt(day(count, 5n), airport)],
          spec,
          4095,
        ),
      )
      await table.append({ ref: 'main', files })
    }
  })
  const names = async (filter: Filter) => (await planScan(table, { filter })).files.map(nameOf).sort()

  test('takes files by day, by bucket and by bounds', async () => {
    expect(await names({ column: 'at', op: 'eq', value: day(3, 5n) })).toEqual(['3-LAX', '3-SFO'])
    expect(await names({ column: 'at', op: 'lt', value: day(1) })).toEqual(['0-LAX', '0-SFO'])
    expect(await names({ column: 'at', op: 'gt', value: day(9, 5n) })).toEqual([])
    const both: Filter = {
      op: 'and',
      filters: [
        { column: 'at', op: 'ge', value: day(8) },
        { column: 'airport', op: 'eq', value: 'SFO' },
      ],
    }
    expect(await names(both)).toEqual(['8-SFO', '9-SFO'])
    expect(await names({ op: 'or', filters: [both, { column: 'at', op: 'le', value: day(0) }] })).toEqual([
      '0-LAX',
      '0-SFO',
      '8-SFO',
      '9-SFO',
    ])
    expect(await names({ column: 'airport', op: 'is_null' })).toEqual([])
    expect(await names({ column: 'tags', op: 'is_null' })).toHaveLength(20)
  })

  test('opens only the manifests that it needs', async () => {
    const snapshot = table.snapshot(table.ref('main') ?? 0n)
    if (!snapshot) throw new Error('nothing is published')
    const manifests = await manifestsOf(table, snapshot)
    const needless = manifests.filter(
      ({ entries }) => !entries.some(({ file }) => nameOf(file).startsWith('4-')),
    )
    expect(needless).toHaveLength(9)
    for (const { manifest } of needless) await table.fileIO.delete(manifest.path)
    expect(await names({ column: 'at', op: 'eq', value: day(4) })).toEqual(['4-LAX', '4-SFO'])
    await expect(names({ column: 'flight', op: 'eq', value: 1n })).rejects.toThrow(/does not exist/)
  })
})

describe('a scan', () => {
  test('refuses unknown refs, snapshots and columns, and values of another form', async () => {
    const table = await lake.catalog.createTable(
      { namespace: 'lake', name: 'asked' },
      { schema, spec: specOf(0) },
    )
    expect(await planScan(table)).toEqual({ snapshot: null, schema, files: [] })
    const { snapshotId } = await table.append({ ref: 'main', files: [] })
    await expect(planScan(table, { ref: 'mian' })).rejects.toThrow(/no branch or tag "mian", but main/)
    await expect(planScan(table, { snapshotId: 1n })).rejects.toThrow(/no snapshot 1/)
    await expect(planScan(table, { ref: 'main', snapshotId })).rejects.toThrow(/not ref and snapshotId/)
    const bad: Filter[] = [
      { column: 'nowhere', op: 'is_null' },
      { column: 'flight', op: 'eq', value: 1 },
      { column: 'at', op: 'in', value: [1n, 'yesterday'] },
      { column: 'tags', op: 'eq', value: 'x' },
    ]
    for (const filter of bad)
      await expect(planScan(table, { filter })).rejects.toThrow(/no column|no value|is a list/)
  })

  test('of a snapshot has its schema, of a branch the newest', async () => {
    const table = await lake.catalog.createTable(
      { namespace: 'lake', name: 'evolved' },
      { schema, spec: specOf(0) },
    )
    const { snapshotId } = await table.append({ ref: 'main', files: [] })
    const wider = {
      ...schema,
      'schema-id': 1,
      fields: [...schema.fields, { id: 9, name: 'gate', required: false, type: 'int' as const }],
    }
    const state = await lake.catalog.currentState(table.identifier, null)
    await lake.catalog.commit(
      table.identifier,
      state,
      [],
      [
        { action: 'add-schema', schema: wider },
        { action: 'set-current-schema', 'schema-id': -1 },
      ],
    )
    await table.refresh()
    expect((await planScan(table)).schema).toEqual(wider)
    expect((await planScan(table, { snapshotId })).schema).toEqual(schema)
  })

  test('refuses a table with live delete files, and takes one whose delete files are gone', async () => {
    const table = await lake.catalog.createTable(
      { namespace: 'lake', name: 'deletes' },
      { schema, spec: specOf(0) },
    )
    const appended = await table.append({ ref: 'main', files: [describeRows('a', [], specOf(0), 0)] })
    const [data] = await manifestsOf(table, appended)
    if (!data) throw new Error('no manifest')
    const planWith = async (change: Partial<ManifestFile>, filter?: Filter) => {
      const manifestList = `${table.location}/metadata/list-${Math.random()}.avro`
      const snapshot = { snapshotId: appended.snapshotId, parentSnapshotId: null, sequenceNumber: 1n }
      await writeManifestList(table.fileIO, manifestList, snapshot, [
        data.manifest,
        { ...data.manifest, content: 'deletes', ...change },
      ])
      const state = await lake.catalog.currentState(table.identifier, null)
      const { snapshots } = state.metadata
      const id = state.metadata['last-sequence-number'] + 100n
      const added = {
        ...snapshots[0],
        'snapshot-id': id,
        'sequence-number': id,
        'timestamp-ms': 1,
        summary: {},
        'manifest-list': manifestList,
      }
      await lake.catalog.commit(table.identifier, state, [], [{ action: 'add-snapshot', snapshot: added }])
      return planScan(await table.refresh(), { snapshotId: id, filter })
    }
    await expect(planWith({})).rejects.toThrow(Unsupported)
    await expect(planWith({}, { op: 'or', filters: [] })).rejects.toThrow(Unsupported)
    expect(namesOf((await planWith({ addedFiles: 0, deletedFiles: 1 })).files)).toEqual(['a'])
  })
})
