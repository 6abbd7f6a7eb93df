/**
 * A part of a training set: what must not change it, that labels come back whole, that values keep their bits, and that
 * defaults stand for nothing but what is not there.
 */
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { quoteLiteral } from '../../iceberg/duckdb/quote.ts'
import { csv, InputError, json, parquet, sqlSource, type FeatureType } from '../../model/index.ts'
import { buildPart, contentHash, query, type PartGroup } from '../../offline/index.ts'
import type { PartFeature } from '../../offline/trainingPart.ts'
import { floatText } from '../iceberg/pyiceberg.ts'
import { served, type FeatureRow, type Label } from './joinOracle.ts'
import { randomFrom, type Random } from './random.ts'
import { build, columnOf, float64, groupOf, keep, newPath, writeLabels } from './trainingWorld.ts'
import { workbench } from './workbench.ts'

const bench = workbench()
const seed = Number(process.env['ASOF_TEST_SEED'] ?? randomInt(2 ** 31))

const micros = (at: bigint) => `make_timestamptz(${at})`
const valuesOf = (rows: readonly string[], columns: string) =>
  `SELECT * FROM (VALUES ${rows.join(', ')}) AS given(${columns})`

describe(`whatever the rows and labels (seed ${seed})`, () => {
  const rounds = 16
  const lastLabel = 90

  const randomRows = ({ below, pick }: Random): FeatureRow[] =>
    Array.from({ length: 20 + below(60) }, () => {
      const event = BigInt(5 * below(16))
      return {
        keys: [pick(['a', 'b', 'c'])],
        event,
        created: below(15) === 0 ? null : event + pick([0n, 2n, BigInt(below(40))]),
        run: pick(['h1', 'r1', 'r2']),
        values: [below(8) === 0 ? null : below(1000), below(10)],
      }
    })

  /** Every entity has a row in every interval; some have corrections besides. */
  const denseRows = (random: Random): FeatureRow[] => {
    const regular = Array.from({ length: 48 }, (_, at): FeatureRow => {
      const event = BigInt(5 * Math.floor(at / 3))
      return {
        ...{ keys: [['a', 'b', 'c'][at % 3] ?? ''], event, created: event + 2n, run: 'h1' },
        values: [random.below(1000), random.below(10)],
      }
    })
    const corrections = randomRows(random).map((row) => ({ ...row, run: 'r1' }))
    return [...regular, ...corrections.slice(0, random.below(4))]
  }

  /** Many are equal in key and time; each has a payload of its own. */
  const randomLabels = (
    { below, pick }: Random,
    keys: readonly (string | null)[],
  ): (Label & { payload: number })[] =>
    Array.from({ length: 80 }, (_, payload) => ({
      keys: [pick(keys)],
      at: BigInt(below(12) * 8),
      payload,
    }))

  const moments = ({ below }: Random) =>
    new Map(['r1', 'r2'].map((run) => [run, below(4) === 0 ? null : BigInt(below(70))] as const))

  async function groupOfRows(
    rows: readonly FeatureRow[],
    name: string,
    rules: Pick<PartGroup, 'moments' | 'ttlMicros'>,
  ): Promise<PartGroup> {
    const literals = rows.map(
      ({ keys: [key], event, created, run, values }) =>
        `('${String(key)}', ${micros(event)}, ${created === null ? 'NULL' : micros(created)}, '${run}', ${values.map((value) => `${value ?? 'NULL'}::DOUBLE`).join(', ')})`,
    )
    const columns = 'k, event_timestamp, created_timestamp, run_id, x, y'
    const features = ['x', 'y'].map((one) => ({ ...float64(one), column: `${name}_${one}` }))
    return groupOf(bench, valuesOf(literals, columns), { name, keys: ['k'], features, ...rules })
  }

  const labelsOf = (labels: readonly (Label & { payload: number })[]) =>
    writeLabels(
      bench,
      valuesOf(
        labels.map(
          ({ keys: [key], at, payload }) =>
            `(${micros(at)}, ${payload}, ${key === null ? 'NULL' : `'${String(key)}'`}::VARCHAR)`,
        ),
        '"at", payload, k',
      ),
    )

  test('neither the order of labels, nor what came later, nor other groups change anything', async () => {
    const random = randomFrom(seed)
    let matched = 0
    for (let round = 0; round < rounds; round++) {
      const isDense = round % 2 === 0
      const rows = isDense ? denseRows(random) : randomRows(random)
      const otherRows = randomRows(random)
      const labels = randomLabels(random, isDense ? ['a', 'b', 'c'] : ['a', 'b', 'c', 'nobody', null])
      const rules = { moments: moments(random), ttlMicros: random.pick([null, 20n]) }
      const [one, other] = [
        await groupOfRows(rows, 'one', rules),
        await groupOfRows(otherRows, 'other', rules),
      ]
      const written = await labelsOf(labels)
      const base = await build(bench, written, [one])
      const what = `round ${round}`

      const oracle = { ...rules, ttl: rules.ttlMicros, knowledgeCutoff: true }
      const winners = labels.map((label) => served(rows, label, oracle))
      const asText = (value: number | null | undefined) => (value == null ? null : floatText(value))
      expect(base.rows, what).toEqual(
        labels.map(({ at, payload, keys: [key] }, place) => [
          ...[String(at), String(payload), key],
          ...[asText(winners[place]?.values[0]), asText(winners[place]?.values[1])],
        ]),
      )
      const found = winners.filter((winner) => winner !== null).length
      expect(base.matched, what).toEqual([found])
      expect(base.unmatched, what).toEqual(
        winners.flatMap((winner, place) => (winner === null ? [[String(place), 'one']] : [])),
      )
      matched += found

      const order = labels.map((_, place) => ({ place, by: random.next() })).sort((a, b) => a.by - b.by)
      const permuted = await build(bench, await labelsOf(order.map(({ place }) => labels[place] as never)), [
        one,
      ])
      expect(permuted.rows, what).toEqual(order.map(({ place }) => base.rows[place]))

      const later = await groupOfRows([...rows, ...laterRows(random)], 'one', {
        ...rules,
        moments: new Map([...rules.moments, ['late', BigInt(lastLabel + 5)], ['never', null]]),
      })
      expect((await build(bench, written, [later])).digests, what).toEqual(base.digests)

      const third = await groupOfRows(randomRows(random), 'third', rules)
      const [more, turned] = [
        await build(bench, written, [one, other, third]),
        await build(bench, written, [third, other, one]),
      ]
      for (const name of ['one_x', 'one_y']) {
        expect(columnOf(more, name), what).toEqual(columnOf(base, name))
        expect(columnOf(turned, name), what).toEqual(columnOf(base, name))
      }
      for (const name of ['other_x', 'third_y']) expect(columnOf(turned, name)).toEqual(columnOf(more, name))
    }
    expect(matched).toBeGreaterThan(150)
  })

  /** Known after all labels: by their event, by when they were made, by their run's load; or never. */
  const laterRows = ({ below, pick }: Random): FeatureRow[] =>
    Array.from({ length: 40 }, (): FeatureRow => {
      const row = { keys: [pick(['a', 'b', 'c'])], event: BigInt(below(90)), run: 'h9', values: [-1, -1] }
      const later = BigInt(lastLabel + below(20))
      return pick<FeatureRow>([
        { ...row, event: later, created: later },
        { ...row, created: later },
        { ...row, created: row.event, run: 'late' },
        { ...row, created: row.event, run: 'never' },
        { ...row, created: null },
      ])
    })
})

/** Rows of one key and one value each, all known from the beginning. */
const knownRows = (rows: readonly string[], columns: string) =>
  `SELECT *, make_timestamptz(0) AS event_timestamp, make_timestamptz(0) AS created_timestamp, 'h' AS run_id FROM (${valuesOf(rows, columns)})`

test('keys that would be one if they were glued together are several', async () => {
  const keys = [
    ['a', 'b', 1n],
    ['ab', '', 1n],
    ['', 'ab', 1n],
    ['a|', 'b', 1n],
    ['a', '|b', 1n],
    ['a\u0001', 'b', 1n],
    ['a', 'b1', 1n],
    ['a', 'b', 11n],
    ['1', '1', 11n],
    ['NULL', 'null', 1n],
    ['é', 'e\u0301', 1n],
    ['e\u0301', 'é', 1n],
    ['A', 'B', 1n],
    ['a ', 'b', 1n],
    ['a', 'b', 2n ** 53n],
    ['a', 'b', 2n ** 53n + 1n],
    ['a', 'b', -(2n ** 63n)],
    ['a', 'b', 2n ** 63n - 1n],
  ] as const
  const literal = ([one, other, number]: (typeof keys)[number]) =>
    `${quoteLiteral(one)}, ${quoteLiteral(other)}, (${number}::HUGEINT)::BIGINT`
  const group = await groupOf(
    bench,
    knownRows(
      keys.map((key, place) => `(${literal(key)}, ${place}::DOUBLE)`),
      'a, b, n, x',
    ),
    { keys: ['a', 'b', 'n'], features: [float64('x')] },
  )
  const labels = await writeLabels(
    bench,
    valuesOf(
      [...keys.entries()]
        .reverse()
        .map(([place, key]) => `(${micros(5n)}, ${literal(key)}, ${place}::DOUBLE)`),
      '"at", a, b, n, expected',
    ),
  )
  const built = await build(bench, labels, [group])
  expect(columnOf(built, 'x')).toEqual(columnOf(built, 'expected'))
  expect(built.matched).toEqual([keys.length])
})

test('a null in a key matches nothing, not even another null, and keeps its row', async () => {
  const group = await groupOf(
    bench,
    knownRows(["('a', 1, 1.0::DOUBLE)", '(NULL, 1, 2.0)', "('a', NULL, 3.0)"], 'a, n, x'),
    {
      ...{ keys: ['a', 'n'], features: [float64('x')] },
    },
  )
  const labels = await writeLabels(
    bench,
    valuesOf(
      [
        "(make_timestamptz(5), NULL, 1, 'one')",
        "(make_timestamptz(5), 'a', 1, 'two')",
        "(make_timestamptz(5), 'a', NULL, 'three')",
        '(make_timestamptz(5), NULL, NULL, NULL)',
      ],
      '"at", a, n, payload',
    ),
  )
  const built = await build(bench, labels, [group])
  expect(columnOf(built, 'payload')).toEqual(['one', 'two', 'three', null])
  expect(columnOf(built, 'x')).toEqual([null, floatText(1), null, null])
  expect(built.unmatched.map(([row]) => row)).toEqual(['0', '2', '3'])
})

test('label columns may be called what the join calls its own', async () => {
  const names = [
    'label_row',
    'label_time',
    'k0',
    'f0',
    'event_ts',
    'created_ts',
    'run_id',
    'known',
    'row',
    'labels',
  ]
  for (const key of names) {
    const others = names.filter((name) => name !== key)
    const group = await groupOf(bench, knownRows(["('a', 7.0::DOUBLE)"], `k, x`), {
      ...{ keys: ['k'], labelKeys: [key], features: [float64('x')] },
    })
    const labels = await writeLabels(
      bench,
      `SELECT make_timestamptz(5) AS "at", 'a' AS "${key}", ${others.map((name, place) => `${place} AS "${name}"`).join(', ')}`,
    )
    const built = await build(bench, labels, [group])
    expect(columnOf(built, 'x'), key).toEqual([floatText(7)])
    for (const [place, name] of others.entries()) expect(columnOf(built, name), key).toEqual([String(place)])
  }
})

const typed: readonly {
  type: FeatureType
  stored: string
  values: readonly string[]
  fallback: PartFeature['default']
}[] = [
  {
    type: 'float64',
    stored: 'DOUBLE',
    values: ["'-0'", '0', "'NaN'", "'inf'", "'-inf'", '5e-324', '1.7976931348623157e308', '0.1'],
    fallback: -7.5,
  },
  {
    type: 'float32',
    stored: 'FLOAT',
    values: ["'-0'", '0', "'NaN'", "'inf'", "'-inf'", '1e-45', '3.4028235e38', '0.1'],
    fallback: -7.5,
  },
  {
    type: 'int64',
    stored: 'BIGINT',
    values: ['0', '9007199254740993', "'-9223372036854775808'", '9223372036854775807'],
    fallback: '-9007199254740993',
  },
  { type: 'int32', stored: 'INTEGER', values: ['0', "'-2147483648'", '2147483647'], fallback: -1 },
  { type: 'boolean', stored: 'BOOLEAN', values: ['false', 'true'], fallback: true },
  {
    type: 'timestamp',
    stored: 'TIMESTAMPTZ',
    values: ["'1969-12-31T23:59:59.999999Z'", "'2262-04-12T00:00:00.000001Z'", "'0001-01-01T00:00:00Z'"],
    fallback: '86400000001',
  },
  {
    type: 'string',
    stored: 'VARCHAR',
    values: [
      "''",
      "'null'",
      "' '",
      "'a''b'",
      ...[0x00e9, 0x0416, 0x4e2d, 0xfffd, 0x1f600, 0x2070e, 0x30000, 0xe0041, 0xf0000, 0x10ffff].map(
        (point) => `chr(${point})`,
      ),
    ],
    fallback: "it's \u{1f600}",
  },
  {
    type: 'list<string>',
    stored: 'VARCHAR[]',
    values: ['[]', "['', '']", '[NULL]', "['a, b', 'c']", "['a', 'b, c']", '[chr(128512), NULL]'],
    fallback: ["it's", ''],
  },
  { type: 'list<int64>', stored: 'BIGINT[]', values: ['[]', '[9007199254740993, NULL]'], fallback: ['-1'] },
  {
    type: 'list<float64>',
    stored: 'DOUBLE[]',
    values: ['[]', "['-0', 'NaN', 'inf', 5e-324, NULL]"],
    fallback: [],
  },
  {
    type: 'vector<2>',
    stored: 'FLOAT[]',
    values: ["['-0', '0.1']", "['NaN', '-inf']"],
    fallback: [0.5, -1],
  },
]

describe.each(typed)('values of type $type', ({ type, stored, values, fallback }) => {
  /** One entity a value; then one whose value is null and one whose row is too old. Nobody has the last. */
  const entities = [...values, 'NULL', values[0] ?? '', null]
  const worldOf = async (given: PartFeature['default']) => {
    const rows = entities.flatMap((value, place) =>
      value === null
        ? []
        : [
            `(${place}, make_timestamptz(${place === values.length + 1 ? 0 : 500}), make_timestamptz(0), 'h', CAST(${value} AS ${stored}))`,
          ],
    )
    const feature = { name: 'x', type, column: 'x', default: given, hidden: false }
    const group = await groupOf(bench, valuesOf(rows, 'k, event_timestamp, created_timestamp, run_id, x'), {
      ...{ keys: ['k'], features: [feature], ttlMicros: 500n },
      timestamps: { event: 'g__event_timestamp', age: 'g__age_seconds' },
    })
    const labels = await writeLabels(
      bench,
      valuesOf(
        entities.map(
          (value, place) => `(${place}, make_timestamptz(1000), CAST(${value ?? 'NULL'} AS ${stored}))`,
        ),
        'k, "at", expected',
      ),
    )
    return build(bench, labels, [group])
  }

  test('keep their bits, and what is not there is null', async () => {
    const built = await worldOf(null)
    const expected = columnOf(built, 'expected')
    expect(new Set(expected.slice(0, values.length)).size).toBe(values.length)
    expect(columnOf(built, 'x')).toEqual([...expected.slice(0, values.length), null, null, null])
    const there = entities.map((_, place) => place <= values.length)
    expect(columnOf(built, 'g__event_timestamp')).toEqual(there.map((is) => (is ? '500' : null)))
    expect(columnOf(built, 'g__age_seconds')).toEqual(there.map((is) => (is ? floatText(0.0005) : null)))
    expect(built.unmatched.map(([row]) => row)).toEqual([values.length + 1, values.length + 2].map(String))
  })

  test('a default stands for what is null, too old or not there, and for nothing else', async () => {
    const built = await worldOf(fallback)
    const column = columnOf(built, 'x')
    expect(column.slice(0, values.length)).toEqual(columnOf(built, 'expected').slice(0, values.length))
    const [asNull, asOld, asNobody] = column.slice(values.length)
    expect(asNull).toBe(textOfDefault(type, fallback))
    expect([asOld, asNobody]).toEqual([asNull, asNull])
  })
})

function textOfDefault(type: FeatureType, given: PartFeature['default']): string {
  const isFloat = /^(float|vector|list<float)/.test(type)
  const one = (value: unknown) => (isFloat ? floatText(value as number) : String(value))
  return Array.isArray(given) ? `[${given.map(one).join(',')}]` : one(given)
}

test('zeros and NaN keep their signs in many rows, in labels and features alike', async () => {
  const value = `['0', '-0', 'nan', '-nan'][1 + i % 4]`
  const path = await bench.writeParquet(
    'signs.parquet',
    `SELECT make_timestamptz(5) AS "at", i % 4 AS k, i FROM range(2000) AS numbers(i) ORDER BY i`,
  )
  const signed = sqlSource({
    ...{ name: 'signed', timestamp: 'at', sources: [parquet({ name: 'signs', path, timestamp: 'at' })] },
    sql: `SELECT *, ${value}::DOUBLE AS d, ${value}::FLOAT AS f FROM signs ORDER BY i`,
  })
  const labels = await keep(bench, signed, [{ column: 'k', type: 'int64', as: 'g.k' }])
  const group = await groupOf(
    bench,
    knownRows(
      ['0', '-0', 'nan', '-nan'].map((one, k) => `(${k}, '${one}'::DOUBLE, '${one}'::FLOAT)`),
      'k, x, y',
    ),
    { keys: ['k'], features: [float64('x'), { ...float64('y'), type: 'float32' }] },
  )
  const { path: built } = await build(bench, labels, [group])
  const signs = ['d', 'f', 'x', 'y'].map((one) => `count(*) FILTER (signbit(${one})) AS ${one}`)
  const counted = async (of: string) =>
    query(
      bench.connection,
      `SELECT ${signs.join(', ')} FROM read_parquet(${quoteLiteral(built)}) WHERE i % 2 = ${of}`,
    )
  expect(await counted('0')).toEqual([{ d: 0n, f: 0n, x: 0n, y: 0n }])
  expect(await counted('1')).toEqual([{ d: 1000n, f: 1000n, x: 1000n, y: 1000n }])
})

describe('rows are read while the part is written where every label is likely to have one', () => {
  const entities = 500
  const world = async (extraRows = '', extraLabels = '') => {
    const labels = await writeLabels(
      bench,
      `SELECT make_timestamptz(5 + i % 90) AS "at", i % ${entities} AS k, i FROM range(20000) AS numbers(i) ${extraLabels} ORDER BY i`,
    )
    const group = await groupOf(
      bench,
      `SELECT k, make_timestamptz(10 * e) AS event_timestamp, make_timestamptz(10 * e) AS created_timestamp, 'h' AS run_id,
         (k * 1000 + e) / 7.0 AS x, CASE WHEN k % 3 > 0 THEN e::DOUBLE END AS y
       FROM range(${entities}) AS ks(k), range(10) AS es(e) ${extraRows}`,
      { keys: ['k'], features: [float64('y'), float64('x')] },
    )
    return { labels, group }
  }
  /** How often the part was written, and what it came to. */
  const writes = async ({ labels, group }: Awaited<ReturnType<typeof world>>, nobody = -1) => {
    const path = newPath(bench, 'straight')
    const connection = await bench.duckdb.connect()
    const statements = vi.spyOn(connection, 'runAndReadAll')
    const { matched } = await buildPart(connection, {
      ...{
        labelsPath: labels.path,
        labelColumns: labels.columns,
        timeColumn: 'at',
        from: 0,
        to: labels.rows,
      },
      ...{ knowledgeCutoff: true, groups: [group], rowFunctions: [], path, unmatchedPath: null },
    })
    connection.closeSync()
    const copies = statements.mock.calls.filter(([sql]) => sql.startsWith('COPY')).length
    const [wrong] = await query(
      bench.connection,
      `SELECT count(*) AS rows, count(*) FILTER (x IS DISTINCT FROM CASE WHEN k < ${entities} AND k <> ${nobody} THEN (k * 1000 + (epoch_us("at") // 10)) / 7.0 END) AS wrong
       FROM read_parquet(${quoteLiteral(path)})`,
    )
    expect(wrong).toEqual({ rows: BigInt(labels.rows), wrong: 0n })
    return { copies, matched }
  }

  test('once', async () => {
    expect(await writes(await world())).toEqual({ copies: 1, matched: [20_000] })
  })

  test('and again where a label that was not looked at has none', async () => {
    const nobody = `UNION ALL SELECT make_timestamptz(50), ${entities}, 20000`
    expect(await writes(await world('', nobody))).toEqual({ copies: 2, matched: [20_000] })
  })

  test('and again where an entity has two at a step', async () => {
    const twice =
      "UNION ALL SELECT 3, make_timestamptz(20), make_timestamptz(20), 'h', 3002 / 7.0, NULL::DOUBLE"
    expect(await writes(await world(twice))).toEqual({ copies: 2, matched: [20_000] })
  })

  test('and again where one has two and another none', async () => {
    const [one, other] = [3, 8]
    const twiceAndNever = `WHERE k <> ${other} UNION ALL SELECT ${one}, make_timestamptz(10 * e), make_timestamptz(10 * e), 'h',
      (${one} * 1000 + e) / 7.0, NULL::DOUBLE FROM range(10) AS es(e)`
    expect(await writes(await world(twiceAndNever), other)).toEqual({ copies: 2, matched: [19_960] })
  })

  test('but not where some that were looked at have none', async () => {
    const nobodies = `UNION ALL SELECT make_timestamptz(50), i, 20000 + i FROM range(${entities}, 30000) AS more(i)`
    const { copies, matched } = await writes(await world('', nobodies))
    expect({ copies, matched }).toEqual({ copies: 1, matched: [20_000] })
  })
})

test('several parts have the content of one, in the order of the labels', async () => {
  const rows = 3 * 65_536 + 777
  const labels = await writeLabels(
    bench,
    `SELECT make_timestamptz(CAST(hash(i) % 1000 AS BIGINT)) AS "at", CAST(hash('k', i) % 500 AS BIGINT) AS k, i AS payload,
       'label ' || i AS said FROM range(${rows}) AS numbers(i)`,
  )
  const group = await groupOf(
    bench,
    `SELECT k, make_timestamptz(10 * e) AS event_timestamp, make_timestamptz(10 * e + 3) AS created_timestamp, 'h' AS run_id,
       (k * 1000 + e) / 7.0 AS x FROM range(400) AS ks(k), range(100) AS es(e) WHERE hash(k, e) % 3 > 0`,
    { keys: ['k'], features: [float64('x')], ttlMicros: 200n },
  )
  const whole = await build(bench, labels, [group])
  expect(whole.rows.every((row, place) => row[2] === String(place))).toBe(true)
  expect(whole.matched[0]).toBeGreaterThan(100_000)
  const [digests, unmatched]: [string[], unknown[]] = [[], []]
  let matched = 0
  for (let from = 0; from < rows; from += 65_536) {
    const part = await build(bench, labels, [group], { from, to: Math.min(rows, from + 65_536) })
    digests.push(...part.digests)
    unmatched.push(...part.unmatched)
    matched += part.matched[0] ?? 0
  }
  expect(contentHash(digests)).toBe(contentHash(whole.digests))
  expect([unmatched, matched]).toEqual([whole.unmatched, whole.matched[0]])
})

describe('labels as they are kept', () => {
  const keys = [{ column: 'k', type: 'string', as: 'g.k' }] as const
  const instants = async (path: string) =>
    (
      await query(
        bench.connection,
        `SELECT epoch_us("at") AS "at" FROM read_parquet(${quoteLiteral(path)}) ORDER BY file_row_number`,
      )
    ).map((row) => row['at'])
  const us = (...texts: string[]) => texts.map((text) => BigInt(Date.parse(text)) * 1000n)

  test('times with offsets of their own are the instants that they name, beside naive ones of a named zone', async () => {
    const path = await bench.write(
      'zones.csv',
      [
        'at,k,until',
        '2024-01-01T12:00:00+05:30,007,x',
        '2024-01-01 00:00:00-0330,b,y',
        '2024-01-01T12:00Z,c,z',
        '2024-07-01 12:00:00.000001,d,2024-01-01',
      ].join('\n'),
    )
    const source = csv({ name: 'labels', path, timestamp: 'at', timeZone: 'Europe/Berlin' })
    const kept = await keep(bench, source, keys)
    const [first = 0n, second = 0n, third = 0n, fourth = 0n] = us(
      ...['2024-01-01T06:30:00Z', '2024-01-01T03:30:00Z', '2024-01-01T12:00:00Z', '2024-07-01T10:00:00Z'],
    )
    expect(await instants(kept.path)).toEqual([first, second, third, fourth + 1n])
    expect(kept.range).toEqual({ from: second, to: fourth + 1n })
    expect(kept.columns).toEqual([
      { name: 'at', type: 'TIMESTAMP WITH TIME ZONE' },
      { name: 'k', type: 'VARCHAR' },
      { name: 'until', type: 'VARCHAR' },
    ])
    const built = await build(bench, kept, [])
    expect(columnOf(built, 'k')).toEqual(['007', 'b', 'c', 'd'])
  })

  test('local times that a zone does not have, or has twice, are what the request says', async () => {
    const path = await bench.write(
      'changes.csv',
      ['at,k', '2024-03-31 02:30:00,gap', '2024-10-27 02:30:00,twice', '2024-10-27 03:30:00,after'].join(
        '\n',
      ),
    )
    const source = { name: 'labels', path, timestamp: 'at', timeZone: 'Europe/Berlin' }
    await expect(keep(bench, csv(source), keys)).rejects.toThrow(
      /1 local times that Europe\/Berlin does not have/,
    )
    const shifted = { ...source, nonexistent: 'shift-forward' } as const
    await expect(keep(bench, csv({ ...shifted, ambiguous: 'refuse' }), keys)).rejects.toThrow(InputError)
    for (const [ambiguous, twice] of [
      ['earlier', '2024-10-27T00:30:00Z'],
      ['later', '2024-10-27T01:30:00Z'],
    ] as const) {
      const kept = await keep(bench, csv({ ...shifted, ambiguous }), keys)
      expect(await instants(kept.path)).toEqual(us('2024-03-31T01:30:00Z', twice, '2024-10-27T02:30:00Z'))
    }
  })

  test('keys beyond 2^53 come whole from every format', async () => {
    const big = ['9007199254740993', '-9223372036854775808', '9223372036854775807']
    const int64 = [{ column: 'k', type: 'int64', as: 'g.k' }] as const
    const time = '2024-01-01T00:00:00Z'
    const base = { name: 'labels', timestamp: 'at' }
    const sources = [
      csv({
        ...base,
        path: await bench.write('big.csv', ['at,k', ...big.map((k) => `${time},${k}`)].join('\n')),
      }),
      json({
        ...base,
        path: await bench.write('big.jsonl', big.map((k) => `{"at": "${time}", "k": ${k}}`).join('\n')),
      }),
      json({
        ...base,
        path: await bench.write('text.jsonl', big.map((k) => `{"at": "${time}", "k": "${k}"}`).join('\n')),
        columns: { k: 'int64' },
      }),
    ]
    for (const source of sources) {
      expect(columnOf(await build(bench, await keep(bench, source, int64), []), 'k')).toEqual(big)
    }
  })

  test('they keep their order, over files, row groups and threads, and where SQL gives them one', async () => {
    for (const file of [0, 1, 2, 3]) {
      await query(
        bench.connection,
        `COPY (SELECT make_timestamptz(CAST(hash(i) % 1000 AS BIGINT)) AS "at", 'x' AS k, i FROM range(${file * 70_000}, ${(file + 1) * 70_000}) AS numbers(i) ORDER BY i)
         TO ${quoteLiteral(join(bench.folder, `many-${file}.parquet`))} (FORMAT parquet, ROW_GROUP_SIZE 10000)`,
      )
    }
    const files = parquet({ name: 'labels', path: join(bench.folder, 'many-*.parquet'), timestamp: 'at' })
    const [inFiles, bySql] = [
      await keep(bench, files, keys),
      await keep(
        bench,
        sqlSource({
          name: 'turned',
          timestamp: 'at',
          sources: [files],
          sql: 'SELECT "at", k, i FROM labels ORDER BY i DESC',
        }),
        keys,
      ),
    ]
    const wrong = async (path: string, expected: string) =>
      query(
        bench.connection,
        `SELECT * FROM read_parquet(${quoteLiteral(path)}) WHERE i <> ${expected} LIMIT 3`,
      )
    expect([inFiles.rows, bySql.rows]).toEqual([280_000, 280_000])
    expect(await wrong(inFiles.path, 'file_row_number')).toEqual([])
    expect(await wrong(bySql.path, '279999 - file_row_number')).toEqual([])
  })
})
