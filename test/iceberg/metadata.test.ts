import { describe, expect, test } from 'vitest'
import { CommitConflict, Corrupt, Unsupported } from '../../iceberg/errors.ts'
import {
  newTableMetadata,
  parseTableMetadata,
  stringifyTableMetadata,
  type SnapshotEntry,
  type TableMetadata,
} from '../../iceberg/metadata.ts'
import {
  applyUpdates,
  checkRequirements,
  withPreviousFile,
  type Requirement,
  type Update,
} from '../../iceberg/metadataUpdates.ts'
import { icebergSchema } from '../../iceberg/schema.ts'
import { InvalidInput } from '../../iceberg/singleValue.ts'
import { daySpec, schema } from './testCatalog.ts'

const big = 2n ** 62n + 12345n
const empty = newTableMetadata({ schema, spec: daySpec, location: 'file:///lake/t' }, 1_000)

const snapshot = (id: bigint, sequence: bigint, parent?: bigint): SnapshotEntry => ({
  'snapshot-id': id,
  ...(parent === undefined ? {} : { 'parent-snapshot-id': parent }),
  'sequence-number': sequence,
  'timestamp-ms': 1_500,
  'manifest-list': `file:///lake/t/metadata/snap-${id}.avro`,
  summary: { operation: 'append' },
  'schema-id': 0,
})
const add = (id: bigint, sequence: bigint, parent?: bigint): Update => ({
  action: 'add-snapshot',
  snapshot: snapshot(id, sequence, parent),
})
const set = (ref: string, id: bigint): Update => ({
  action: 'set-snapshot-ref',
  'ref-name': ref,
  type: 'branch',
  'snapshot-id': id,
})
const published = applyUpdates(empty, [add(big, 1n), set('main', big)], 2_000)
const reread = (metadata: TableMetadata) =>
  parseTableMetadata(stringifyTableMetadata(metadata), 'file:///m.json')

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(frozen)
  return value
}

describe('a metadata file', () => {
  test('of a new table has everything that the specification requires', () => {
    expect(JSON.parse(stringifyTableMetadata(empty))).toEqual({
      'format-version': 2,
      'table-uuid': expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      location: 'file:///lake/t',
      'last-sequence-number': 0,
      'last-updated-ms': 1_000,
      'last-column-id': 2,
      schemas: [schema],
      'current-schema-id': 0,
      'partition-specs': [daySpec],
      'default-spec-id': 0,
      'last-partition-id': 1000,
      'sort-orders': [{ 'order-id': 0, fields: [] }],
      'default-sort-order-id': 0,
      properties: {},
      refs: {},
      snapshots: [],
      'snapshot-log': [],
      'metadata-log': [],
    })
  })

  test('counts the ids of list elements, and starts partition ids at 1000', () => {
    const columns = icebergSchema([
      { name: 'vector', type: { type: 'list', element: 'float', 'element-required': false } },
    ])
    const made = newTableMetadata({ schema: columns, spec: { 'spec-id': 0, fields: [] }, location: '/t' }, 0)
    expect([made['last-column-id'], made['last-partition-id']]).toEqual([2, 999])
  })

  test('keeps snapshot ids beyond 2^53, and what it does not know', () => {
    const extended = { ...published, statistics: [{ 'snapshot-id': big, 'statistics-path': 'x' }] }
    const text = stringifyTableMetadata(extended)
    expect(text).toContain(`"current-snapshot-id":${big},`)
    expect(reread(extended)).toEqual(extended)
    expect(applyUpdates(reread(extended), [add(7n, 2n)], 3_000)).toHaveProperty('statistics')
  })

  test('may have small ids, no current snapshot in any form, and no refs', () => {
    const text = stringifyTableMetadata(applyUpdates(empty, [add(5n, 1n), set('main', 5n)], 2_000))
    const old = JSON.parse(text) as Record<string, unknown>
    delete old['refs']
    const read = parseTableMetadata(JSON.stringify(old), 'x')
    expect(read.refs).toEqual({ main: { 'snapshot-id': 5n, type: 'branch' } })
    expect(read.snapshots[0]?.['snapshot-id']).toBe(5n)
    for (const none of [-1, null, undefined]) {
      const bare = {
        ...(JSON.parse(stringifyTableMetadata(empty)) as object),
        'current-snapshot-id': none,
        refs: null,
      }
      const without = parseTableMetadata(JSON.stringify(bare), 'x')
      expect([without['current-snapshot-id'], without.refs]).toEqual([undefined, {}])
    }
  })

  test('of another version, or torn, is refused', () => {
    const text = stringifyTableMetadata(empty)
    const other = text.replace('"format-version":2', '"format-version":3')
    expect(() => parseTableMetadata(other, 'file:///m.json')).toThrow(Unsupported)
    expect(() => parseTableMetadata(text.slice(0, -9), 'file:///m.json')).toThrow(Corrupt)
    expect(() => parseTableMetadata('{"format-version":2}', 'file:///m.json')).toThrow(/no table-uuid/)
  })
})

describe('updates', () => {
  test('change nothing in what they are given', () => {
    const before = frozen(reread(published))
    applyUpdates(
      before,
      [add(7n, 2n, big), set('main', 7n), { action: 'remove-snapshot-ref', 'ref-name': 'x' }],
      9,
    )
    expect(before).toEqual(reread(published))
  })

  test('moving main moves the current snapshot and logs it; another branch does not', () => {
    expect(published['current-snapshot-id']).toBe(big)
    expect(published['snapshot-log']).toEqual([{ 'timestamp-ms': 2_000, 'snapshot-id': big }])
    const staged = applyUpdates(published, [add(7n, 2n, big), set('staging', 7n)], 3_000)
    expect([staged['current-snapshot-id'], staged['last-sequence-number']]).toEqual([big, 2n])
    expect(staged['snapshot-log']).toHaveLength(1)
    const moved = applyUpdates(
      staged,
      [set('main', 7n), { action: 'remove-snapshot-ref', 'ref-name': 'staging' }],
      4_000,
    )
    expect(moved['snapshot-log'].at(-1)).toEqual({ 'timestamp-ms': 4_000, 'snapshot-id': 7n })
    expect(moved['last-sequence-number']).toBe(2n)
    expect(Object.keys(moved.refs)).toEqual(['main'])
  })

  test('setting main to where it is logs nothing, and time never goes back', () => {
    const again = applyUpdates(published, [set('main', big)], 1)
    expect(again['snapshot-log']).toEqual(published['snapshot-log'])
    expect(again['last-updated-ms']).toBe(2_000)
  })

  test('a sequence number that is taken is a conflict, a snapshot that is there a mistake', () => {
    expect(() => applyUpdates(published, [add(7n, 1n)], 3_000)).toThrow(CommitConflict)
    expect(() => applyUpdates(published, [add(big, 2n)], 3_000)).toThrow(InvalidInput)
    expect(() => applyUpdates(published, [set('main', 99n)], 3_000)).toThrow(/does not have/)
  })

  test('removed snapshots take the log of main with them up to the last one that is gone', () => {
    const three = applyUpdates(
      published,
      [add(7n, 2n, big), set('main', 7n), add(8n, 3n, 7n), set('main', 8n)],
      3_000,
    )
    expect(() => applyUpdates(three, [{ action: 'remove-snapshots', 'snapshot-ids': [8n] }], 4_000)).toThrow(
      /main/,
    )
    const left = applyUpdates(three, [{ action: 'remove-snapshots', 'snapshot-ids': [7n] }], 4_000)
    expect(left.snapshots.map((each) => each['snapshot-id'])).toEqual([big, 8n])
    expect(left['snapshot-log'].map((each) => each['snapshot-id'])).toEqual([8n])
  })

  test('properties and schemas', () => {
    const next = icebergSchema(
      [
        { name: 'event_timestamp', type: 'timestamptz', required: true },
        { name: 'delay', type: 'double' },
        { name: 'distance', type: 'long' },
      ],
      1,
    )
    const changed = applyUpdates(
      published,
      [
        { action: 'set-properties', updates: { a: '1', b: '2' } },
        { action: 'remove-properties', removals: ['a'] },
        { action: 'add-schema', schema: next },
        { action: 'set-current-schema', 'schema-id': -1 },
      ],
      3_000,
    )
    expect(changed.properties).toEqual({ b: '2' })
    expect([changed['current-schema-id'], changed['last-column-id'], changed.schemas.length]).toEqual([
      1, 3, 2,
    ])
    expect(() => applyUpdates(changed, [{ action: 'add-schema', schema: next }], 4_000)).toThrow(InvalidInput)
  })

  test('earlier metadata files are listed, the newest hundred or as many as the table says', () => {
    let [metadata, gone] = [published, [] as string[]]
    for (let version = 0; version < 103; version++) {
      const noted = withPreviousFile(metadata, { location: `file:///v${version}.json`, updatedMs: version })
      metadata = noted.metadata
      gone = [...gone, ...noted.obsolete]
    }
    expect(metadata['metadata-log']).toHaveLength(100)
    expect(metadata['metadata-log'].at(-1)).toEqual({
      'timestamp-ms': 102,
      'metadata-file': 'file:///v102.json',
    })
    expect(gone).toEqual(['file:///v0.json', 'file:///v1.json', 'file:///v2.json'])
    const few = { ...metadata, properties: { 'write.metadata.previous-versions-max': '2' } }
    expect(withPreviousFile(few, { location: 'x', updatedMs: 200 }).obsolete).toHaveLength(99)
  })
})

describe('requirements', () => {
  const uuid = published['table-uuid']
  const holds: Requirement[] = [
    { type: 'assert-table-uuid', uuid },
    { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': big },
    { type: 'assert-ref-snapshot-id', ref: 'staging', 'snapshot-id': null },
    { type: 'assert-ref-snapshot-id', ref: 'toString', 'snapshot-id': null },
    { type: 'assert-current-schema-id', 'current-schema-id': 0 },
  ]
  const fails: Requirement[] = [
    { type: 'assert-create' },
    { type: 'assert-table-uuid', uuid: 'other' },
    { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': big + 1n },
    { type: 'assert-ref-snapshot-id', ref: 'main', 'snapshot-id': null },
    { type: 'assert-ref-snapshot-id', ref: 'staging', 'snapshot-id': big },
    { type: 'assert-current-schema-id', 'current-schema-id': 1 },
  ]
  test.each(holds)('%o holds', (requirement) => {
    expect(() => checkRequirements(published, [requirement])).not.toThrow()
  })
  test.each(fails)('%o does not hold', (requirement) => {
    expect(() => checkRequirements(published, [requirement])).toThrow(CommitConflict)
  })
  test('of a table that is not there', () => {
    expect(() => checkRequirements(null, [{ type: 'assert-create' }])).not.toThrow()
    expect(() => checkRequirements(null, [{ type: 'assert-table-uuid', uuid }])).toThrow(CommitConflict)
  })
})
