/** The compiled SQL against the oracle, on random groups and events. */
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { DuckDBListValue, DuckDBTimestampTZValue } from '@duckdb/node-api'
import { expect, test } from 'vitest'
import * as model from '../../model/index.ts'
import type { AggregateFeature, Condition, Duration, FeatureGroup, Source } from '../../model/index.ts'
import {
  bindGroup,
  bindSource,
  computeRange,
  openDuckDb,
  query,
  type DuckDb,
  type Row,
} from '../../offline/index.ts'
import { expectedRows, micros, type Event, type Expected } from './oracle.ts'
import { randomFrom, type Random } from './random.ts'
import { sqlConditions } from './sqlTwins.ts'
import { filesOf, onlySourceOf, workbench } from './workbench.ts'

const seed = Number(process.env['ASOF_TEST_SEED'] ?? Date.now() % 1e6)
/** `npm run test:long` asks for many more. */
const groups = Number(process.env['ASOF_TEST_GROUPS'] ?? 48)
const entities = 60

const bench = workbench()

const cadences: Duration[] = ['10m', '15m', '1h', '6h', '1d', '2d']
const windows: Duration[] = ['5m', '20m', '1h', '3h', '24h', '36h', '2d', '1w']
const starts = [
  '2001-01-03T00:00:00Z',
  '2001-03-31T18:00:00Z',
  '2001-10-27T18:00:00Z',
  '1969-12-31T18:00:00Z',
]

function randomCondition(random: Random, depth = 0): Condition {
  const leaves: (() => Condition)[] = [
    () => model.gt('x', random.pick([-1.5, 0, 0.25])),
    () => model.le('n', random.below(5) - 2),
    () => model.ne('n', 1),
    () => model.eq('flag', "it's"),
    () => model.isIn('flag', ['a', "it's"]),
    () => model.isIn('n', []),
    () => model.isNull('x'),
    () => model.isNotNull('flag'),
    () => model.sql(random.pick(sqlConditions)),
  ]
  const branches: (() => Condition)[] = [
    () => model.and(randomCondition(random, depth + 1), randomCondition(random, depth + 1)),
    () => model.or(randomCondition(random, depth + 1), randomCondition(random, depth + 1)),
    () => model.not(randomCondition(random, depth + 1)),
  ]
  return random.pick(depth < 2 ? [...leaves, ...branches] : leaves)()
}

function randomFeature(random: Random): AggregateFeature {
  const over: model.Window = random.below(8) === 0 ? 'unbounded' : random.pick(windows)
  const options = random.below(3) === 0 ? { over, where: randomCondition(random) } : { over }
  const column = random.pick(['x', 'n'])
  const any = random.pick(['x', 'n', 'flag'])
  const kinds: (() => AggregateFeature)[] = [
    () => model.count(options),
    () => model.count(any, options),
    () => model.sum(column, options),
    () => model.mean(column, options),
    () => model.min(any, options),
    () => model.max(any, options),
    () => model.share(randomCondition(random), options),
    () => model.variance(column, options),
    () => model.standardDeviation(column, options),
    () => model.quantile(column, random.pick([0, 0.1, 0.5, 0.95, 1]), options),
    () =>
      model.histogram(
        column,
        random.pick([
          [-1, 0, 1.5],
          [-2, -1, 1, 2, 1000],
        ]),
        options,
      ),
    () => model.first(any, options),
    () => model.last(any, options),
    () => model.distinctCount(any, options),
    () => model.approxDistinctCount(any, options),
    () => model.topK(any, 1 + random.below(4), options),
    () => model.bottomK(any, 1 + random.below(4), options),
    () => model.firstK(any, 1 + random.below(4), options),
    () => model.lastK(any, 1 + random.below(4), options),
  ]
  return random.pick(kinds)()
}

const randomFraction = (random: Random, withNaN: boolean) =>
  random.below(5) === 0
    ? null
    : withNaN && random.below(9) === 0
      ? NaN
      : (random.next() - 0.5) * 10 ** random.below(6)

/** Bursts of events with gaps between them, many of them exactly on an edge or a microsecond before. */
function randomEvents(random: Random, from: number, to: number, edge: number): Event[] {
  const withNaN = random.below(4) === 0
  return Array.from({ length: entities }, (_, index) => `e${index}`).flatMap((entity) =>
    Array.from({ length: random.below(4) }, () => from + random.next() * (to - from)).flatMap((burst) =>
      Array.from({ length: 1 + random.below(5) }, () => {
        const around = burst + random.next() * 4 * edge
        const onEdge = Math.round(around / edge) * edge
        return {
          entity,
          at: random.pick([onEdge, onEdge - 1, Math.round(around)]),
          values: {
            x: randomFraction(random, withNaN),
            n: random.below(5) === 0 ? null : random.below(7) - 3,
            flag: random.pick(['a', "it's", 'b', null]),
          },
        }
      }),
    ),
  )
}

interface Case {
  readonly group: FeatureGroup
  readonly events: readonly Event[]
  readonly from: number
  readonly to: number
  /** Of the source, in microseconds. */
  readonly completeFrom: number
}

function randomCase(random: Random, source: Source, isEmpty: boolean): Case {
  const every = random.pick(cadences)
  const features = Object.fromEntries(
    Array.from({ length: 1 + random.below(5) }, (_, index) => [`f${index}`, randomFeature(random)]),
  )
  const group = model.featureGroup({
    name: 'random',
    version: 1,
    owner: 'o@example.com',
    description: 'd',
    every,
    availableAfter: '15m',
    source,
    features,
    entity: model.entity({ name: 'thing', keys: { k: 'string' } }),
  })
  const step = micros(every)
  const from = Math.floor((model.parseInstant(random.pick(starts)) * 1000) / step) * step
  const to = from + (5 + random.below(25)) * step
  const widths = Object.values(features).map(({ over }) => (over === 'unbounded' ? 9 * step : micros(over)))
  const largest = Math.max(...widths)
  const completeFrom = from + Math.floor((random.next() * 12 - 9) * (step / 1000)) * 1000
  const events = isEmpty
    ? []
    : randomEvents(random, from - 2 * largest - step, to + step, random.pick([step, largest]))
  const hasArrivals = random.below(3) === 0
  return {
    ...{ group, from, to, completeFrom },
    events: hasArrivals
      ? events.map((event) => ({ ...event, arrived: randomArrival(random, event, step) }))
      : events,
  }
}

/** In time, exactly at or just after the moment at which an interval is due, a few intervals late, or weeks. */
function randomArrival(random: Random, { at }: Event, step: number): number {
  const due = Math.floor(at / step + 1 + random.below(4)) * step + micros('15m')
  const late = Math.round(at + random.next() * random.pick([0.1, 3, 30]) * step)
  return random.pick([at - step, at, at, due, due + 1, late, late, at + micros('3w')])
}

/** Events as a Parquet, CSV or JSON file, their times naive in UTC, naive in New York, or with a zone. */
async function writeEvents(
  random: Random,
  number: number,
  { events, completeFrom }: Case,
  zone: string | undefined,
): Promise<Source> {
  // Text formats have no NaN of their own.
  const hasNaN = events.some(({ values }) => Number.isNaN(values['x']))
  const format = hasNaN ? 'parquet' : random.pick(['parquet', 'csv', 'json'] as const)
  const lines = events.map(({ entity, at, arrived, values }) =>
    JSON.stringify({
      us: at,
      arrived,
      k: entity,
      ...values,
      x: Number.isNaN(values['x']) ? 'NaN' : values['x'],
    }),
  )
  const raw = await bench.write(`raw-${number}.json`, lines.join('\n'))
  const stored = (micros: string) => {
    const instant = `make_timestamptz(${micros})`
    const time = zone === undefined ? instant : `(${instant} AT TIME ZONE '${zone}')`
    return format === 'parquet' ? time : `replace(CAST(${time} AS VARCHAR), ' ', 'T')`
  }
  const hasArrivals = events.some(({ arrived }) => arrived !== undefined)
  const came = hasArrivals ? `, ${stored('arrived')} AS "came in"` : ''
  const path = join(bench.folder, `events-${number}.${format}`)
  await query(
    bench.connection,
    `COPY (SELECT ${stored('us')} AS "event time"${came}, k, x, n, flag, 'unused' AS event_us FROM read_json('${raw}', format = 'newline_delimited', columns = {us: 'BIGINT', arrived: 'BIGINT', k: 'VARCHAR', x: 'DOUBLE', n: 'BIGINT', flag: 'VARCHAR'})) TO '${path}' (FORMAT ${format})`,
  )
  const definition = {
    name: 'events',
    path,
    timestamp: 'event time',
    completeFrom: new Date(completeFrom / 1000).toISOString(),
    ...(zone === undefined ? {} : { timeZone: zone }),
    ...(hasArrivals ? { arrival: 'came in' } : {}),
  }
  return { parquet: model.parquet, csv: model.csv, json: model.json }[format](definition)
}

/** New York's clocks go back at 06:00 UTC on 28 October 2001, and a local time that comes twice is taken as the later. */
const clocksGoBack = micros('1s') * (Date.UTC(2001, 9, 28, 6) / 1000)
const asRead = (at: number) =>
  at >= clocksGoBack - micros('1h') && at < clocksGoBack ? at + micros('1h') : at

function eventsAsRead({ events }: Case, zone: string | undefined): readonly Event[] {
  if (zone !== 'America/New_York') return events
  return events.map(({ arrived, ...event }) => ({
    ...event,
    at: asRead(event.at),
    ...(arrived === undefined ? {} : { arrived: asRead(arrived) }),
  }))
}

async function computed(
  duckdb: DuckDb,
  { group }: Case,
  ranges: readonly model.IntervalRange[],
): Promise<Row[]> {
  const connection = await duckdb.connect()
  try {
    const files = await filesOf(onlySourceOf(group))
    const bound = await bindGroup(connection, group, files)
    const relation = await bindSource(connection, onlySourceOf(group), files)
    const rows: Row[] = []
    for (const [index, range] of ranges.entries()) {
      const into = `rows ${index}`
      const made = await computeRange(connection, { bound, relation, range, runId: "run's", into })
      const found = await query(connection, `SELECT * FROM "${into}"`)
      expect(found.length).toBe(made.rows)
      rows.push(...found)
    }
    return rows
  } finally {
    connection.closeSync()
  }
}

function microsOf(value: unknown): bigint {
  if (value instanceof DuckDBTimestampTZValue) return value.micros
  throw new Error(`${String(value)} is no instant`)
}

function plainValue(value: unknown): unknown {
  if (value instanceof DuckDBListValue) return value.items.map(plainValue)
  return typeof value === 'bigint' ? Number(value) : value
}

function differences(
  rows: readonly Row[],
  expected: ReadonlyMap<string, Record<string, Expected>>,
): string[] {
  const seen = new Set<string>()
  const found: string[] = []
  for (const row of rows) {
    const [at, created] = [microsOf(row['event_timestamp']), microsOf(row['created_timestamp'])]
    const name = `${String(row['k'])} ${at}`
    if (seen.has(name)) found.push(`${name}: twice`)
    seen.add(name)
    const wanted = expected.get(name)
    if (wanted === undefined) found.push(`${name}: a row too many`)
    if (created !== at + 900_000_000n || row['run_id'] !== "run's")
      found.push(`${name}: created ${created}, run ${String(row['run_id'])}`)
    for (const [feature, { value, tolerance }] of Object.entries(wanted ?? {})) {
      const got = plainValue(row[feature])
      const isSame =
        isDeepStrictEqual(got, value) ||
        (typeof got === 'number' && typeof value === 'number' && Math.abs(got - value) <= tolerance)
      if (!isSame) found.push(`${name}: ${feature} is ${String(got)}, not ${String(value)}`)
    }
  }
  for (const name of expected.keys()) if (!seen.has(name)) found.push(`${name}: a row is missing`)
  return found
}

/** The same ends in many short ranges. */
function shortRanges(random: Random, { group, from, to }: Case): model.IntervalRange[] {
  const step = micros(group.every)
  const ranges: model.IntervalRange[] = []
  for (let at = from; at < to;) {
    const end = Math.min(to, at + (1 + random.below(6)) * step)
    ranges.push({ from: at / 1000, to: end / 1000 })
    at = end
  }
  return ranges
}

test(`windows are the oracle's (seed ${seed})`, { timeout: groups * 5_000 }, async () => {
  console.log(`windows.test.ts: ASOF_TEST_SEED=${seed}`)
  const random = randomFrom(seed)
  const single = await openDuckDb({
    memoryLimit: '1GB',
    threads: 1,
    tempDirectory: join(bench.folder, 'single'),
  })
  let rowsCompared = 0
  for (let number = 0; number < groups; number++) {
    // The events depend on the group and the file on the events, so the source is known by its path beforehand.
    const isEmpty = number === 0
    const drawn = randomCase(
      random,
      model.parquet({ name: 'events', path: 'later', timestamp: 'event time', completeFrom: '1960-01-01' }),
      isEmpty,
    )
    const zone = random.pick(['UTC', 'America/New_York', undefined])
    const source = isEmpty ? await emptySource() : await writeEvents(random, number, drawn, zone)
    const one: Case = {
      ...drawn,
      events: eventsAsRead(drawn, zone),
      group: { ...drawn.group, source, sources: [source] },
    }
    const expected = expectedRows(
      one.events,
      model.aggregatesOf(one.group),
      one.group.every,
      one.from,
      one.to,
      one.completeFrom,
      micros('15m'),
    )
    rowsCompared += expected.size
    const long = [{ from: one.from / 1000, to: one.to / 1000 }]
    for (const [how, duckdb, ranges] of [
      ['long range, two threads', bench.duckdb, long],
      ['long range, one thread', single, long],
      ['short ranges', bench.duckdb, shortRanges(random, one)],
    ] as const) {
      const found = differences(await computed(duckdb, one, ranges), expected)
      const what = `group ${number}, ${how}: ${JSON.stringify({ ...one.group, from: one.from, to: one.to })}`
      expect(found.slice(0, 5), what).toEqual([])
    }
  }
  await single.close()
  expect(rowsCompared).toBeGreaterThan(5_000)
  console.log(`windows.test.ts: ${groups * entities} entities, ${rowsCompared} rows, three ways each`)
})

async function emptySource(): Promise<Source> {
  const path = await bench.writeParquet(
    'empty.parquet',
    `SELECT TIMESTAMPTZ '2001-01-01 00:00:00+00' AS "event time", 'a' AS k, 1.5::DOUBLE AS x, 1::BIGINT AS n, 'f' AS flag WHERE false`,
  )
  return model.parquet({ name: 'events', path, timestamp: 'event time', completeFrom: '1960-01-01' })
}
