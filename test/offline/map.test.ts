/** Map groups: the same rows and the same sums as the windows of aggregates, and what a function may not do. */
import { describe, expect, test } from 'vitest'
import { entity, feature, mapGroup, parquet, type FeatureGroup, type MapFunction } from '../../model/index.ts'
import { bindGroup, bindSources, computeRows, query, type Row } from '../../offline/index.ts'
import { expectedRows, type Event } from './oracle.ts'
import { randomFrom } from './random.ts'
import { computeDays, filesOf, inputError, workbench } from './workbench.ts'
import { count, max, mean, sum, type Duration } from '../../model/index.ts'

const bench = workbench()
const day = 864e8

const byEntity = entity({ name: 'thing', keys: { k: 'string' } })

/** Count, sum, mean and the greatest of `v`, as a person would write them. */
const sums: MapFunction = ({ events }) => {
  const values = events.map(({ v }) => v).filter((v) => v !== null) as number[]
  const total = values.reduce((a, b) => a + b, 0)
  return {
    events: events.length,
    total: values.length === 0 ? null : total,
    average: values.length === 0 ? null : total / values.length,
    highest: values.length === 0 ? null : Math.max(...values),
  }
}

function sumsGroup(path: string, every: Duration, over: Duration): FeatureGroup {
  return mapGroup({
    ...{ name: 'mapped', version: 1, owner: 'o@example.com', description: 'd', entity: byEntity },
    source: parquet({ name: 'events', path, timestamp: 't', timeZone: 'UTC' }),
    ...{ every, over, columns: ['v'], map: sums, availableAfter: '15m' },
    features: {
      events: feature('int64'),
      total: feature('float64'),
      average: feature('float64'),
      highest: feature('float64'),
    },
  })
}

async function write(name: string, events: readonly Event[]): Promise<string> {
  const rows = events.map(
    ({ entity: k, at, values }) => `('${k.replaceAll("'", "''")}', ${at}, ${values['v'] ?? 'NULL'})`,
  )
  return bench.writeParquet(
    name,
    `SELECT k, make_timestamp(CAST(us AS BIGINT)) AS t, CAST(v AS DOUBLE) AS v FROM (VALUES ${rows.join(', ')}) AS e(k, us, v)`,
  )
}

async function compute(group: FeatureGroup, from: number, to: number): Promise<Row[]> {
  const files = await filesOf(...group.sources)
  const bound = await bindGroup(bench.connection, group, files)
  const relations = await bindSources(bench.connection, group.sources, files)
  await computeRows(bench.connection, { bound, relations, range: { from, to }, runId: 'run', into: 'mapped' })
  try {
    return await query(
      bench.connection,
      'SELECT *, epoch_us(event_timestamp) AS end_us, epoch_us(created_timestamp) AS created_us FROM mapped',
    )
  } finally {
    await query(bench.connection, 'DROP TABLE mapped')
  }
}

describe('against the oracle of aggregates', () => {
  const seed = Number(process.env['ASOF_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

  test.each(Array.from({ length: 12 }, (_, index) => index))(`case %i of seed ${seed}`, async (index) => {
    const random = randomFrom(seed + index)
    const every = random.pick(['1h', '6h', '1d'] as const)
    const over = random.pick(['1h', '5h', '1d', '3d'] as const)
    const from = Date.UTC(2001, 0, 3)
    const to = from + 4 * 864e5
    const length = index === 0 ? 12_000 : 1 + random.below(300)
    const events: Event[] = Array.from({ length }, () => ({
      entity: random.pick(['a', 'b', "o'c", 'é']),
      // Half of the events lie on an edge of some window.
      at:
        (from - 4 * 864e5) * 1000 +
        (random.below(2) === 0 ? random.below(200) * 36e8 : random.below(8 * day)),
      values: { v: random.below(5) === 0 ? null : random.below(2000) / 8 - 100 },
    }))
    const rows = await compute(sumsGroup(await write(`case${index}.parquet`, events), every, over), from, to)
    const expected = expectedRows(
      events,
      {
        events: count({ over }),
        total: sum('v', { over }),
        average: mean('v', { over }),
        highest: max('v', { over }),
      },
      every,
      from * 1000,
      to * 1000,
    )
    expect(rows.map((row) => `${String(row['k'])} ${String(row['end_us'])}`).sort()).toEqual(
      [...expected.keys()].sort(),
    )
    for (const row of rows) {
      const wanted = expected.get(`${String(row['k'])} ${String(row['end_us'])}`)
      expect(Number(row['created_us']) - Number(row['end_us'])).toBe(9e8)
      for (const name of ['events', 'total', 'average', 'highest']) {
        // Eighths add up exactly, whatever the order.
        const value = row[name] === null ? null : Number(row[name])
        expect(value, `${name} of ${String(row['k'])}`).toBe(wanted?.[name]?.value)
      }
    }
  })
})

describe('what a function sees', () => {
  const seen: unknown[] = []
  const group = (path: string, map: MapFunction, type: 'string' | 'int32' | 'list<string>' = 'string') =>
    mapGroup({
      ...{ name: 'seen', version: 1, owner: 'o@example.com', description: 'd', entity: byEntity },
      source: parquet({ name: 'events', path, timestamp: 't', timeZone: 'UTC' }),
      ...{ every: '1d', over: '1d', columns: ['t', 'i', 'n', 'b'], map, features: { out: feature(type) } },
    })
  const path = () =>
    bench.writeParquet(
      'seen.parquet',
      `SELECT 'x' AS k, TIMESTAMP '2001-01-01 12:00:00.000001' + to_microseconds(n) AS t, CAST(n AS INTEGER) AS i,
         CAST(9007199254740993 + n AS BIGINT) AS n, n > 1 AS b FROM range(3) AS r(n)`,
    )

  test('events in order, int64 as bigint, instants in milliseconds; none in the last row', async () => {
    const map: MapFunction = (input) => {
      seen.push(input)
      return { out: `${input.events.length}` }
    }
    const rows = await computeDays(bench, group(await path(), map), 3)
    expect(rows.map(({ out }) => out)).toEqual(['3', '0'])
    const at = Date.UTC(2001, 0, 1, 12)
    expect(seen).toEqual([
      {
        key: { k: 'x' },
        at: Date.UTC(2001, 0, 2),
        events: [0, 1, 2].map((n) => ({
          t: (at * 1000 + 1 + n) / 1000,
          i: n,
          n: 9007199254740993n + BigInt(n),
          b: n > 1,
        })),
      },
      { key: { k: 'x' }, at: Date.UTC(2001, 0, 3), events: [] },
    ])
  })

  test('lists are features too', async () => {
    const rows = await computeDays(
      bench,
      group(await path(), ({ events }) => ({ out: events.map(({ i }) => String(i)) }), 'list<string>'),
    )
    expect(JSON.stringify(rows[0]?.['out'])).toContain('["0","1","2"]')
  })

  test.each<[string, MapFunction, RegExp]>([
    [
      'throws',
      () => {
        throw new RangeError('too far')
      },
      /group seen_v1: the function for \{"k":"x"\} at 2001-01-02T00:00:00Z threw: too far/,
    ],
    [
      'changes an event',
      ({ events }) => ({ out: (events[0] as { i: number }).i++ }),
      /threw: Cannot assign to read only/,
    ],
    [
      'sorts the events',
      ({ events }) => ({ out: (events as unknown[]).sort().length }),
      /threw: Cannot assign to read only/,
    ],
    ['returns a fraction as int32', () => ({ out: 1.5 }), /returned out = 1\.5, which is no int32/],
    ['returns 2^31 as int32', () => ({ out: 2 ** 31 }), /returned out = 2147483648, which is no int32/],
    ['returns text as int32', () => ({ out: '1' }), /returned out = "1", which is no int32/],
    ['returns NaN as int32', () => ({ out: Number.NaN }), /returned out = "NaN", which is no int32/],
    [
      'returns another field',
      () => ({ outt: 1 }),
      /returned outt, which is no feature of the definition. It has out/,
    ],
    [
      'returns a promise',
      () => Promise.resolve({ out: 1 }) as unknown as Record<string, unknown>,
      /returned a promise/,
    ],
    [
      'returns nothing',
      () => undefined as unknown as Record<string, unknown>,
      /returned undefined. Return an object/,
    ],
  ])('a function that %s is refused by name', async (_, map, sentence) => {
    expect(await inputError(computeDays(bench, group(await path(), map, 'int32')))).toMatch(sentence)
    expect(await query(bench.connection, 'SELECT table_name FROM duckdb_tables()')).toEqual([])
  })

  test('columns that are not there, or that JavaScript has no value for, are refused when bound', async () => {
    const odd = await bench.writeParquet(
      'odd.parquet',
      "SELECT 'x' AS k, TIMESTAMP '2001-01-01' AS t, INTERVAL 1 DAY AS i, 1::BIGINT AS n",
    )
    const bind = async (columns: string[]) => {
      const odds = mapGroup({
        ...{ name: 'odd', version: 1, owner: 'o@example.com', description: 'd', entity: byEntity },
        source: parquet({ name: 'events', path: odd, timestamp: 't', timeZone: 'UTC' }),
        ...{ every: '1d', over: '1d', columns, map: () => ({}), features: { out: feature('int32') } },
      })
      return inputError(bindGroup(bench.connection, odds, await filesOf(...odds.sources)))
    }
    expect(await bind(['b'])).toMatch(/source events has no column "b"/)
    expect(await bind(['i'])).toMatch(/column i of source events is INTERVAL, which a function cannot see/)
  })

  test('a null key is refused with a count and the first time', async () => {
    const nulls = await bench.writeParquet(
      'nulls.parquet',
      "SELECT CAST(NULL AS VARCHAR) AS k, TIMESTAMP '2001-01-01 06:00:00' AS t, 1 AS i, 1::BIGINT AS n, true AS b",
    )
    expect(
      await inputError(
        computeDays(
          bench,
          group(nulls, () => ({}), 'int32'),
        ),
      ),
    ).toMatch(/1 events of source events have no k, .* first is of 2001-01-01T06:00:00/)
  })
})
