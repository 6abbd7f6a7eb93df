import { deflateRawSync } from 'node:zlib'
import avsc from 'avsc'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { decodeContainer, encodeContainer, type AvroRecord } from '../../iceberg/avro.ts'
import { Corrupt, Unsupported } from '../../iceberg/errors.ts'
import { parseJson, stringifyJson } from '../../iceberg/json.ts'
import { readManifest, writeManifest, type ManifestEntry } from '../../iceberg/manifest.ts'
import { readManifestList, writeManifestList } from '../../iceberg/manifestList.ts'
import { avroName, manifestSchema } from '../../iceberg/manifestSchema.ts'
import { icebergSchema } from '../../iceberg/schema.ts'
import { InvalidInput } from '../../iceberg/singleValue.ts'
import type { PartitionSpec } from '../../iceberg/types.ts'
import { dataFile, day, dayFile, daySpec, openTestCatalog, schema, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
beforeAll(async () => {
  lake = await openTestCatalog()
})
afterAll(() => lake.close())

const record: AvroRecord = {
  type: 'record',
  name: 'thing',
  fields: [
    { name: 'number', type: 'long', 'field-id': 1 },
    { name: 'maybe', type: ['null', 'long'], default: null, 'field-id': 2 },
    { name: 'text', type: 'string', 'field-id': 3 },
  ],
}
const long = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })

describe('container files', () => {
  test('keep every bit of a long, in any number of blocks', async () => {
    const row = fc.record({ number: long, maybe: fc.option(long), text: fc.string({ unit: 'binary' }) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 30 }),
        fc.integer({ min: 1, max: 50 }),
        async (rows, times) => {
          const many = Array.from({ length: times }, () => rows).flat()
          const { records } = await decodeContainer(await encodeContainer(record, many, {}))
          expect(records.map((each) => [each.get(1), each.get(2), each.get(3)])).toEqual(
            many.map(({ number, maybe, text }) => [number, maybe, text]),
          )
        },
      ),
      { numRuns: 30 },
    )
  })

  test('carry their own metadata beside the schema with its field ids', async () => {
    const { metadata } = await decodeContainer(await encodeContainer(record, [], { content: 'data' }))
    expect(metadata.get('content')).toBe('data')
    expect(metadata.get('avro.codec')).toBe('deflate')
    expect(JSON.parse(metadata.get('avro.schema') ?? '')).toEqual(record)
  })

  test('are refused when they are torn anywhere', async () => {
    const rows = Array.from({ length: 20 }, (_, at) => ({
      number: BigInt(at),
      maybe: null,
      text: `row ${at}`,
    }))
    const bytes = await encodeContainer(record, rows, {})
    const wholeHeader = (await encodeContainer(record, [], {})).length
    for (let length = 0; length < bytes.length; length++) {
      if (length === wholeHeader) continue
      await expect(decodeContainer(bytes.subarray(0, length)), `${length} bytes`).rejects.toThrow(Corrupt)
    }
  })

  test('are refused where a block does not end with the marker of the file', async () => {
    const bytes = await encodeContainer(record, [{ number: 1n, maybe: null, text: 'x' }], {})
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
    await expect(decodeContainer(bytes)).rejects.toThrow(Corrupt)
  })

  test('are refused where the codec is not known', async () => {
    const type = avsc.Type.forSchema({ type: 'map', values: 'bytes' })
    const header = type.toBuffer({
      'avro.schema': Buffer.from(JSON.stringify(record)),
      'avro.codec': Buffer.from('zstandard'),
    })
    const bytes = Buffer.concat([Buffer.from('Obj\u0001', 'latin1'), header, Buffer.alloc(16)])
    await expect(decodeContainer(bytes)).rejects.toThrow(Unsupported)
  })

  test('are read by field id, whatever the writer calls a field and whether it allows null', async () => {
    const other: AvroRecord = {
      type: 'record',
      name: 'other',
      fields: [
        { name: 'label', type: 'string', 'field-id': 3 },
        { name: 'surely', type: 'long', 'field-id': 2 },
      ],
    }
    const { records } = await decodeContainer(await encodeContainer(other, [{ label: 'a', surely: 7n }], {}))
    expect([records[0]?.get(1), records[0]?.get(2), records[0]?.get(3)]).toEqual([undefined, 7n, 'a'])
  })
})

describe('manifests', () => {
  const spec: PartitionSpec = {
    'spec-id': 3,
    fields: [
      ...daySpec.fields,
      { 'source-id': 3, 'field-id': 1001, name: 'air port/bucket', transform: 'bucket[8]' },
      { 'source-id': 3, 'field-id': 1002, name: 'airport', transform: 'identity' },
      { 'source-id': 1, 'field-id': 1003, name: 'instant', transform: 'identity' },
    ],
  }
  const wide = icebergSchema([
    { name: 'event_timestamp', type: 'timestamptz' },
    { name: 'delay', type: 'double' },
    { name: 'airport', type: 'string' },
  ])
  const partition = { event_timestamp_day: 3, 'air port/bucket': 7, airport: 'Zürich', instant: day(3, 1n) }
  const file = dayFile('a', 3, { specId: 3, partition })
  const nulls = Object.fromEntries(Object.keys(partition).map((name) => [name, null]))

  test('give back what was written, with nulls, odd names and every kind of partition value', async () => {
    const entries: ManifestEntry[] = [
      { status: 'added', snapshotId: 5n, sequenceNumber: null, fileSequenceNumber: null, file },
      {
        status: 'existing',
        snapshotId: 2n ** 62n + 1n,
        sequenceNumber: 4n,
        fileSequenceNumber: 3n,
        file: { ...file, filePath: 'file:///b', partition: nulls, nanValueCounts: new Map() },
        notes: { keyMetadata: Uint8Array.of(1, 2), splitOffsets: [4n, 2n ** 60n], sortOrderId: 2 },
      },
      { status: 'deleted', snapshotId: 5n, sequenceNumber: 2n, fileSequenceNumber: 2n, file },
    ]
    const content = { schema: wide, spec, snapshotId: 5n, entries }
    const manifest = await writeManifest(lake.fileIO, `file://${lake.home}/m.avro`, content)
    expect(manifest).toMatchObject({
      specId: 3,
      minSequenceNumber: 4n,
      addedFiles: 1,
      existingFiles: 1,
      deletedFiles: 1,
      addedRows: 10n,
      existingRows: 10n,
      deletedRows: 10n,
    })
    const listed = { ...manifest, sequenceNumber: 9n, minSequenceNumber: 4n }
    const read = await readManifest(lake.fileIO, listed, spec)
    const none = { keyMetadata: null, splitOffsets: null, sortOrderId: null }
    expect(read).toEqual([
      { ...entries[0], sequenceNumber: 9n, fileSequenceNumber: 9n, notes: none },
      entries[1],
      { ...entries[2], notes: none },
    ])
  })

  test('say in their own metadata what readers look for', async () => {
    const path = `file://${lake.home}/described.avro`
    await writeManifest(lake.fileIO, path, { schema: wide, spec, snapshotId: 5n, entries: [] })
    const { metadata } = await decodeContainer(await lake.fileIO.read(path))
    expect(JSON.parse(metadata.get('schema') ?? '')).toEqual(wide)
    expect(JSON.parse(metadata.get('partition-spec') ?? '')).toEqual(spec.fields)
    const rest = ['schema-id', 'partition-spec-id', 'format-version', 'content'].map((key) =>
      metadata.get(key),
    )
    expect(rest).toEqual(['0', '3', '2', 'data'])
  })

  test('of another writer, whose partition fields allow no null, are read by its own schema', async () => {
    const path = `file://${lake.home}/other.avro`
    const ours = manifestSchema(schema, daySpec)
    const text = JSON.stringify(ours).replace(
      '"type":["null",{"type":"int","logicalType":"date"}],"default":null',
      '"type":{"type":"int","logicalType":"date"}',
    )
    expect(text).not.toBe(JSON.stringify(ours))
    const entry = {
      status: 1,
      data_file: {
        content: 0,
        file_path: 'file:///other',
        file_format: 'parquet',
        partition: { event_timestamp_day: 3 },
        record_count: 1n,
        file_size_in_bytes: 2n,
      },
    }
    await lake.fileIO.writeExclusive(path, await encodeContainer(JSON.parse(text) as AvroRecord, [entry], {}))
    const written = await writeManifest(lake.fileIO, `file://${lake.home}/any.avro`, {
      schema,
      spec: daySpec,
      snapshotId: 8n,
      entries: [],
    })
    const length = BigInt(await lake.fileIO.size(path))
    const listed = { ...written, path, length, sequenceNumber: 6n, minSequenceNumber: 6n }
    const [read] = await readManifest(lake.fileIO, listed, daySpec)
    expect(read).toMatchObject({ snapshotId: 8n, sequenceNumber: 6n, fileSequenceNumber: 6n })
    expect(read?.file.partition).toEqual({ event_timestamp_day: 3 })
  })

  test('lists keep counts, bounds of partitions and ids of 63 bits', async () => {
    const files = [dayFile('a', -2, { partition: { event_timestamp_day: -2 } }), dayFile('b', 40)]
    const manifest = await writeManifest(lake.fileIO, `file://${lake.home}/n.avro`, {
      schema,
      spec: daySpec,
      snapshotId: 2n ** 63n - 1n,
      entries: files.map((each) => ({
        status: 'added',
        snapshotId: 2n ** 63n - 1n,
        sequenceNumber: null,
        fileSequenceNumber: null,
        file: each,
      })),
    })
    const row = { ...manifest, sequenceNumber: 2n ** 53n + 1n, minSequenceNumber: 1n }
    const path = `file://${lake.home}/list.avro`
    const snapshot = { snapshotId: 2n ** 63n - 1n, parentSnapshotId: null, sequenceNumber: 2n ** 53n + 1n }
    await writeManifestList(lake.fileIO, path, snapshot, [row])
    expect(await readManifestList(lake.fileIO, path)).toEqual([row])
    const { metadata } = await decodeContainer(await lake.fileIO.read(path))
    expect(metadata.get('parent-snapshot-id')).toBe('null')
    const bounds = [row.partitions?.[0]?.lowerBound, row.partitions?.[0]?.upperBound]
    expect(bounds.map((bytes) => Buffer.from(bytes ?? []).readInt32LE())).toEqual([-2, 40])
  })

  test('that were cut off between two blocks are refused, by their length', async () => {
    const path = `file://${lake.home}/cut.avro`
    const content = { schema, spec: daySpec, snapshotId: 1n, entries: [] }
    const manifest = await writeManifest(lake.fileIO, path, content)
    const listed = { ...manifest, length: manifest.length + 1n, sequenceNumber: 1n, minSequenceNumber: 1n }
    await expect(readManifest(lake.fileIO, listed, daySpec)).rejects.toThrow(Corrupt)
  })

  test('of delete files are refused', async () => {
    const path = `file://${lake.home}/deletes.avro`
    const content = { schema, spec: daySpec, snapshotId: 1n, entries: [] }
    const manifest = await writeManifest(lake.fileIO, path, content)
    const listed = { ...manifest, sequenceNumber: 1n, minSequenceNumber: 1n, content: 'deletes' as const }
    await expect(readManifest(lake.fileIO, listed, daySpec)).rejects.toThrow(Unsupported)
  })

  test('turn names that Avro does not allow into ones that it does', () => {
    expect(['day', 'air port', '1st', 'é'].map(avroName)).toEqual(['day', 'air_x20port', '_1st', '_xE9'])
  })
})

describe('JSON', () => {
  test('keeps integers of any length, and only those, as bigints', () => {
    const text =
      '{"a":9223372036854775807,"b":-9007199254740993,"c":9007199254740991,"d":1e400,"e":0.12345678901234567}'
    expect(parseJson(text)).toEqual({
      a: 9223372036854775807n,
      b: -9007199254740993n,
      c: Number.MAX_SAFE_INTEGER,
      d: Infinity,
      e: 0.12345678901234566,
    })
  })

  test('does not touch digits inside of strings', () => {
    const value = {
      text: 'id 9223372036854775807, "9223372036854775807", \\"',
      digits9223372036854775807: ['\\'],
    }
    expect(parseJson(stringifyJson({ ...value, id: 9223372036854775807n }))).toEqual({
      ...value,
      id: 9223372036854775807n,
    })
  })

  test('gives back any value', () => {
    const json = fc.jsonValue({ depthSize: 'medium' })
    fc.assert(
      fc.property(fc.record({ json, ids: fc.array(long) }), ({ json: value, ids }) => {
        const read = parseJson(stringifyJson({ value, ids })) as { value: unknown; ids: (bigint | number)[] }
        expect(stringifyJson(read.value)).toBe(JSON.stringify(value))
        expect(read.ids.map(BigInt)).toEqual(ids)
      }),
    )
  })

  test('refuses what it would lose silently', () => {
    expect(() => stringifyJson({ file: dataFile('a', 0n, 1n) })).toThrow(InvalidInput)
    expect(() => stringifyJson({ bytes: deflateRawSync('') })).toThrow(InvalidInput)
  })
})
