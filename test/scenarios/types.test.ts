/** Values of every type from source to PyIceberg and to the reader's JSON, on real components. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { WorkflowFailedError } from '@temporalio/client'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import { query } from '../../offline/index.ts'
import { createReader } from '../../reader/index.ts'
import type { BackfillResult } from '../../workflows/backfill.ts'
import { floatText, startPyIceberg, type Row } from '../iceberg/pyiceberg.ts'
import { publishedRows } from '../support/published.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('types')
const home = join(folder, 'home')
const now = Date.parse('2024-01-04T00:30:00Z')
const python = startPyIceberg()
let temporal: TestWorkflowEnvironment
let store: RunningStore

const readings = `(VALUES
  (TIMESTAMP '2024-01-02 10:00', 'a', 'x', 5, 0.1::FLOAT, 1.5::DOUBLE, true, TIMESTAMPTZ '2024-01-02 09:59:59.000001Z', ['p', NULL]),
  ('2024-01-02 11:00', 'a', 'z', 10, NULL, 'NaN', false, NULL, NULL),
  ('2024-01-02 12:00', 'a', 'y', 20, 0.25, 2, NULL, TIMESTAMPTZ '2024-01-02 12:00:00Z', []),
  ('2024-01-03 01:00', 'b', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('2024-01-03 02:00', 'c', 'é"x', -1, 0.1, 'NaN', true, TIMESTAMPTZ '2024-01-03 01:59:59.000001Z', ['p', NULL]),
  ('2024-01-03 03:00', 'c', 'b', 15, -0.5, NULL, NULL, NULL, NULL)
) AS e("at", device, tag, level, ratio, score, is_on, seen, parts)`

const embedded = `(SELECT "at", device, embedding::FLOAT[] AS embedding, floats::FLOAT[] AS floats, doubles::DOUBLE[] AS doubles,
    wholes::BIGINT[] AS wholes, instants::TIMESTAMPTZ[] AS instants, flags::BOOLEAN[] AS flags,
    CASE device WHEN 'b' THEN [1, 2] ELSE [1, 2, 3] END::FLOAT[] AS too_short,
    CASE device WHEN 'b' THEN [1, NULL, 3] ELSE [1, 2, 3] END::FLOAT[] AS holed
  FROM (VALUES
    (TIMESTAMP '2024-01-02 06:00', 'a', ['1', '2', '3'], ['1'], ['1'], ['1'], ['2024-01-01 00:00:00Z'], ['true']),
    ('2024-01-03 20:00', 'b', ['0.1', '-0.0', '3e38'], ['NaN', NULL, '-Infinity', '0.1'], ['0.1', 'NaN'], ['9223372036854775807', NULL],
      ['2024-01-03 01:59:59.000001Z', NULL], ['true', NULL, 'false']),
    ('2024-01-03 21:00', 'c', NULL, NULL, NULL, NULL, NULL, NULL),
    ('2024-01-03 22:00', 'd', ['1', '2', '3'], [], [NULL], [], [], [])
  ) AS e("at", device, embedding, floats, doubles, wholes, instants, flags))`

beforeAll(async () => {
  temporal = await startTemporal()
  const [readingsPath, embeddedPath] = [join(folder, 'readings.parquet'), join(folder, 'embedded.parquet')]
  store = await runStore(
    temporal,
    {
      ASOF_HOME: home,
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/types.ts', import.meta.url)),
      READINGS_PATH: readingsPath,
      EMBEDDED_PATH: embeddedPath,
      ASOF_CLOCK: new Date(now).toISOString(),
    },
    folder,
  )
  const connection = await store.store.duckdb.connect()
  await query(connection, `COPY (FROM ${readings}) TO '${readingsPath}' (FORMAT parquet)`)
  await query(connection, `COPY (FROM ${embedded}) TO '${embeddedPath}' (FORMAT parquet)`)
  connection.closeSync()
  await applyRegistration(store.store, await planRegistration(store.store))
  const uri = `sqlite:///${join(home, 'store.db')}`
  await python.open({ name: store.config.store, uri, warehouse: `file://${join(home, 'warehouse')}` })
})

afterAll(async () => {
  await python.close()
  await store?.stop()
  await temporal?.teardown()
})

const backfill = (group: string): Promise<BackfillResult> =>
  store.client.workflow.execute('backfill', {
    taskQueue: store.taskQueue,
    workflowId: `${store.taskQueue}-${group}`,
    args: [{ group, from: '2024-01-02', to: '2024-01-04' }],
  }) as Promise<BackfillResult>

/** PyIceberg's rows: key, event timestamp and features. */
async function rowsSeen(group: string): Promise<Row[]> {
  const rows = await python.read({ table: `${store.config.store}.${group}` })
  return rows
    .map((row) => [...row.slice(0, 2), ...row.slice(4)])
    .toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

/** Features by entity as the reader's JSON has them, a value and its status in one text. */
async function served(group: string, ids: string): Promise<Record<string, Record<string, string>>> {
  const [online] = store.store.onlineStores
  if (online === undefined) throw new Error('the store has no online store')
  const reader = createReader({ store: online, nowMs: () => now, storeName: 'types', clockNote: null })
  const { body, statusCode } = await reader.inject(
    `/feature-groups/${group}/online?entity_ids=${encodeURIComponent(ids)}`,
  )
  await reader.close()
  expect(statusCode).toBe(200)
  // Digits of an int64 are lost on JSON.parse, so each value is taken from the text.
  const values = [...body.matchAll(/"entity_id":"(\w+)"|"(\w+)":\{"value":(.*?),"status":"(\w+)"\}/g)]
  const entities: Record<string, Record<string, string>> = {}
  let entity: Record<string, string> = {}
  for (const [, id, name = '', value, status] of values) {
    if (id === undefined) entity[name] = `${value} ${status}`
    else entities[id] = entity = {}
  }
  return entities
}

const micros = (instant: string) => String(BigInt(Date.parse(instant)) * 1000n)
const [second, third] = [micros('2024-01-03T00:00:00Z'), micros('2024-01-04T00:00:00Z')]
const single = (value: number) => floatText(Math.fround(value))

test('aggregates of every type are in the table as PyIceberg reads it', async () => {
  expect(await backfill('readings_by_day_v1')).toMatchObject({ outcome: 'published', intervals: 2 })
  const nothing = [null, null, '[0,0]', null, null, null, null, null, null]
  expect(await rowsSeen('readings_by_day_v1')).toEqual([
    [
      ...['a', second, '[z,y]', '[y,z]', '[1,2]', '[]', micros('2024-01-02T12:00:00Z')],
      ...['false', single(0.25), '20', 'nan', '3'],
    ],
    ['a', third, ...nothing, '3'],
    ['b', third, ...nothing, '1'],
    [
      ...[
        'c',
        third,
        '[é"x,b]',
        '[b,é"x]',
        '[0,1]',
        '[p,null]',
        String(BigInt(micros('2024-01-03T01:59:59Z')) + 1n),
      ],
      ...['true', single(0.1), '15', 'nan', '2'],
    ],
  ])
})

test('the reader serves them, and defaults with the status that tells why', async () => {
  const { b, c, z } = await served('readings_by_day_v1', 'b,c,z')
  expect(c).toEqual({
    top_tags: '["é\\"x","b"] PRESENT',
    last_tags: '["b","é\\"x"] PRESENT',
    levels: '[0,1] PRESENT',
    parts: '["p",null] PRESENT',
    last_seen: '"2024-01-03T01:59:59.000001Z" PRESENT',
    is_on: 'true PRESENT',
    ratio: '0.10000000149011612 PRESENT',
    level: '15 PRESENT',
    score: '"NaN" PRESENT',
    events: '2 PRESENT',
  })
  const defaults = (status: string) => ({
    top_tags: `["none"] ${status}`,
    last_tags: `null ${status}`,
    parts: `[] ${status}`,
    last_seen: `"2024-01-01T00:00:00Z" ${status}`,
    is_on: `false ${status}`,
    ratio: `0.10000000149011612 ${status}`,
    level: `-1 ${status}`,
    score: `null ${status}`,
  })
  expect(b).toEqual({ ...defaults('NULL_VALUE'), levels: '[0,0] PRESENT', events: '1 PRESENT' })
  expect(z).toEqual({ ...defaults('NOT_FOUND'), levels: '[1,2] NOT_FOUND', events: '0 NOT_FOUND' })
})

test('vectors and lists of a query keep their bits, NaN and the nulls inside', async () => {
  expect(await backfill('embeddings_v1')).toMatchObject({ outcome: 'published', intervals: 2 })
  const one = [`[${single(1)}]`, `[${floatText(1)}]`, '[1]', '[2024-01-01 00:00:00+00:00]', '[true]']
  const whole = `[${[1, 2, 3].map(single).join()}]`
  expect(await rowsSeen('embeddings_v1')).toEqual([
    ['a', micros('2024-01-02T06:00:00Z'), whole, ...one],
    [
      ...['b', micros('2024-01-03T20:00:00Z'), `[${[0.1, -0, 3e38].map(single).join()}]`],
      ...[`[nan,null,${single(-Infinity)},${single(0.1)}]`, `[${floatText(0.1)},nan]`],
      ...['[9223372036854775807,null]', '[2024-01-03 01:59:59.000001+00:00,null]', '[true,null,false]'],
    ],
    ['c', micros('2024-01-03T21:00:00Z'), null, null, null, null, null, null],
    ['d', micros('2024-01-03T22:00:00Z'), whole, '[]', '[null]', '[]', '[]', '[]'],
  ])
})

test('the reader serves them too, and their defaults for what is null, missing or too old', async () => {
  const { a, b, c, d, z } = await served('embeddings_v1', 'a,b,c,d,z')
  expect(b).toEqual({
    embedding: `[0.10000000149011612,-0,${Math.fround(3e38)}] PRESENT`,
    floats: '["NaN",null,"-Infinity",0.10000000149011612] PRESENT',
    doubles: '[0.1,"NaN"] PRESENT',
    wholes: '[9223372036854775807,null] PRESENT',
    instants: '["2024-01-03T01:59:59.000001Z",null] PRESENT',
    flags: '[true,null,false] PRESENT',
  })
  expect(d).toMatchObject({ floats: '[] PRESENT', doubles: '[null] PRESENT', wholes: '[] PRESENT' })
  const defaults = (status: string) => ({
    embedding: `[0,0.5,1] ${status}`,
    floats: `[0.10000000149011612] ${status}`,
    doubles: `null ${status}`,
    wholes: `[9007199254740993] ${status}`,
    instants: `["2024-01-01T00:00:00Z"] ${status}`,
    flags: `[true] ${status}`,
  })
  expect(a).toEqual(defaults('OUTSIDE_MAX_AGE'))
  expect(c).toEqual(defaults('NULL_VALUE'))
  expect(z).toEqual(defaults('NOT_FOUND'))
})

test.each([
  [
    'vectors_too_short_v1',
    /vectors_too_short_v1: .*Cannot cast list with length 2 to array with length 3.*too_short/,
  ],
  [
    'vectors_with_a_hole_v1',
    /vectors_with_a_hole_v1: feature embedding: the vectors of 1 rows have a null inside.*\[1\.0, NULL, 3\.0\], of b at 2024-01-03 20:00/,
  ],
])('%s fails its run with a sentence and publishes nothing', async (group, sentence) => {
  const failure: unknown = await backfill(group).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(WorkflowFailedError)
  expect(String((failure as WorkflowFailedError).cause?.message)).toMatch(sentence)
  expect(await publishedRows(store.store, group)).toEqual([])
})
