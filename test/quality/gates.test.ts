import { describe, expect, test } from 'vitest'
import {
  allowedValues,
  coverage,
  inRange,
  InputError,
  IntegrityError,
  jensenShannon,
  knownValues,
  notEmpty,
  nullRate,
  psi,
  queryGate,
  rowCount,
  scalarTypes,
  uniqueRows,
  type Gate,
} from '../../model/index.ts'
import { qualityGates } from '../../quality/gates.ts'
import { historyIntervals, judgeGates, overallVerdict } from '../../quality/judgeGates.ts'
import { contextOf, gateBench, relation } from './bench.ts'

const { asked, query, judge } = gateBench()

const repeated = (count: number, value: string) => Array.from({ length: count }, () => value)

describe('not_empty', () => {
  test('passes with a row, blocks or warns without', async () => {
    const passed = await judge(notEmpty(), ['1'])
    expect(passed).toMatchObject({ verdict: 'pass', figures: { rows: 1 }, violationCount: 0, violations: [] })
    const empty = {
      sentence: 'not_empty: no row was staged for 1 interval; it judges the run as a whole and names no row.',
      violations: [],
    }
    expect(await judge(notEmpty(), [])).toMatchObject({ verdict: 'block', ...empty })
    expect(await judge(notEmpty({ onViolation: 'warn' }), [])).toMatchObject({ verdict: 'warn', ...empty })
  })
})

describe('null_rate', () => {
  const gate = nullRate('value', { max: 0.05 })

  test('lets exactly the share through that it names', async () => {
    const atMost = await judge(gate, [...repeated(57, '1'), ...repeated(3, 'NULL')])
    expect(atMost).toMatchObject({ verdict: 'pass', figures: { nulls: 3, rate: 0.05 }, violationCount: 0 })
    const above = await judge(gate, [...repeated(56, '1'), ...repeated(3, 'NULL')])
    expect(above).toMatchObject({ verdict: 'block', violationCount: 3 })
    expect(above.sentence).toBe('null_rate(value): 3 of 59 values are null (5.08%), at most 5% may be.')
  })

  test('for every share n of m as a person writes it', async () => {
    for (const [max, rows] of [
      [0.1, 30],
      [0.07, 100],
      [0.29, 100],
      [0.57, 100],
      [0.3, 10],
      [1 / 3, 3],
    ] as const) {
      const nulls = Math.round(max * rows)
      const values = [...repeated(rows - nulls, '1'), ...repeated(nulls, 'NULL')]
      expect((await judge(nullRate('value', { max }), values)).verdict, `${max}`).toBe('pass')
      const more = await judge(nullRate('value', { max }), [...values, 'NULL'])
      expect(more.verdict, `${max}`).toBe('block')
    }
  })

  test('all null, none null, no rows, NaN is a value', async () => {
    expect(await judge(gate, ['NULL', 'NULL'])).toMatchObject({ verdict: 'block', figures: { rate: 1 } })
    expect(await judge(nullRate('value', { max: 1 }), ['NULL'])).toMatchObject({ verdict: 'pass' })
    expect(await judge(nullRate('value', { max: 0 }), ['1', "'NaN'"])).toMatchObject({ verdict: 'pass' })
    expect(await judge(gate, [])).toMatchObject({ verdict: 'pass', figures: { rows: 0, rate: 0 } })
    expect(await judge(nullRate('value', { max: 0, onViolation: 'warn' }), ['NULL'])).toMatchObject({
      verdict: 'warn',
    })
  })

  test('works on every type', async () => {
    for (const type of scalarTypes) {
      expect(await judge(gate, ['NULL'], type), type).toMatchObject({
        verdict: 'block',
        violations: [{ value: null }],
      })
    }
  })
})

describe('in_range', () => {
  const gate = inRange('value', 0, 1)

  test('both ends are within; null is not judged', async () => {
    const report = await judge(gate, ['0', '-0.0', '1', '0.5', 'NULL'])
    expect(report).toMatchObject({
      verdict: 'pass',
      figures: { values: 4, outside: 0, nan: 0, lowest: 0, highest: 1, min: 0, max: 1 },
    })
    expect(await judge(gate, ['1.0000000000000002'])).toMatchObject({ verdict: 'block', violationCount: 1 })
    expect(await judge(gate, ["'-5e-324'"])).toMatchObject({ verdict: 'block', violationCount: 1 })
  })

  test('NaN and infinities are outside, and figures stay numbers', async () => {
    const report = await judge(gate, ["'NaN'", "'Infinity'", "'-Infinity'", '0.25'])
    expect(report).toMatchObject({
      verdict: 'block',
      violationCount: 3,
      figures: { values: 4, outside: 3, nan: 1, lowest: 0.25, highest: 0.25 },
    })
    expect(report.sentence).toBe(
      'in_range(value): 3 of 4 values outside 0 to 1, 1 of them NaN; finite values run from 0.25 to 0.25.',
    )
    expect(report.violations.map(({ value }) => value)).toEqual(['nan', 'inf', '-inf'])
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
  })

  test('no rows and nothing but nulls pass', async () => {
    for (const values of [[], ['NULL', 'NULL']]) {
      expect(await judge(gate, values)).toMatchObject({
        verdict: 'pass',
        figures: { values: 0, lowest: null, highest: null },
      })
    }
  })

  test('int64 is compared exactly, beyond 2^53 and against fractions', async () => {
    const top = inRange('value', -9007199254740992, 9007199254740992)
    expect(await judge(top, ['9007199254740992', '-9007199254740992'], 'int64')).toMatchObject({
      verdict: 'pass',
    })
    expect(await judge(top, ['9007199254740993'], 'int64')).toMatchObject({
      verdict: 'block',
      violations: [{ value: '9007199254740993' }],
    })
    const fractions = inRange('value', 0.5, 2.5)
    expect(await judge(fractions, ['1', '2'], 'int64')).toMatchObject({ verdict: 'pass' })
    expect(await judge(fractions, ['0', '1', '3'], 'int32')).toMatchObject({ violationCount: 2 })
    const ends = ['9223372036854775807', '-9223372036854775808']
    expect(await judge(inRange('value', -1e300, 1e300), ends, 'int64')).toMatchObject({ verdict: 'pass' })
    expect(await judge(inRange('value', 1e300, 1e301), ends, 'int64')).toMatchObject({ violationCount: 2 })
    expect(await judge(inRange('value', -(2 ** 63), 2 ** 63), ends, 'int64')).toMatchObject({
      verdict: 'pass',
    })
  })

  test('float32 is compared as float32', async () => {
    expect(await judge(inRange('value', 0, 0.1), ['0.1'], 'float32')).toMatchObject({ verdict: 'pass' })
    expect(await judge(inRange('value', 0, 0.1), ['0.10000001'], 'float32')).toMatchObject({
      verdict: 'block',
    })
    expect(await judge(inRange('value', -1e300, 1e300), ['3e38'], 'float32')).toMatchObject({
      verdict: 'pass',
    })
  })

  test('warns where it is told to', async () => {
    expect(await judge(inRange('value', 0, 1, { onViolation: 'warn' }), ['2'])).toMatchObject({
      verdict: 'warn',
      violationCount: 1,
    })
  })

  test('agrees with plain comparison on random values', async () => {
    const seed = Date.now() % 1e9
    console.log(`in_range seed ${seed}`)
    let state = seed
    const random = () => (state = (state * 48271 + 11) % 2147483647) / 2147483647
    for (let round = 0; round < 40; round += 1) {
      const [one, other] = [random() * 20 - 10, random() * 20 - 10]
      const [min, max] = [Math.min(one, other), Math.max(one, other)]
      const values = Array.from({ length: 30 }, () => {
        const dice = random()
        return dice < 0.1
          ? null
          : dice < 0.2
            ? Number.NaN
            : dice < 0.3
              ? min
              : dice < 0.4
                ? max
                : random() * 30 - 15
      })
      const expected = values.filter((value) => value !== null && !(value >= min && value <= max)).length
      const report = await judge(
        inRange('value', min, max),
        values.map((value) => (value === null ? 'NULL' : `'${value}'`)),
      )
      expect(report.violationCount, `seed ${seed} round ${round}`).toBe(expected)
      expect(report.violations).toHaveLength(Math.min(10, expected))
    }
  })
})

describe('unique_rows', () => {
  const rows = (tuples: readonly string[]) =>
    `(SELECT * FROM (VALUES ${tuples.join(', ')}) AS v(origin, event_timestamp, created_timestamp, value))`
  const at = (hour: number) => `TIMESTAMPTZ '2001-01-08 ${String(hour).padStart(2, '0')}:00:00Z'`
  const judgeRows = async (tuples: readonly string[], gate = uniqueRows()) =>
    (await judgeGates([gate], contextOf(rows(tuples)), query))[0]

  test('one difference is enough', async () => {
    const report = await judgeRows([
      `('ATL', ${at(1)}, ${at(2)}, 1)`,
      `('BOS', ${at(1)}, ${at(2)}, 1)`,
      `('ATL', ${at(2)}, ${at(2)}, 1)`,
      `('ATL', ${at(1)}, ${at(3)}, 1)`,
      `('ATL', ${at(1)}, NULL, 1)`,
    ])
    expect(report).toMatchObject({ verdict: 'pass', figures: { rows: 5, shared: 0 } })
  })

  test('rows that share all are named in UTC, whatever their values; so are those that were never known', async () => {
    const tuples = [
      `('BOS', ${at(1)}, NULL, 1)`,
      `('BOS', ${at(1)}, NULL, 2)`,
      `('ATL', ${at(1)}, ${at(2)}, 3)`,
      `('ATL', ${at(1)}, ${at(2)}, 3)`,
      `('ATL', ${at(1)}, ${at(2)}, 4)`,
      `('JFK', ${at(1)}, ${at(2)}, 4)`,
    ]
    const report = await judgeRows(tuples)
    expect(report).toMatchObject({ verdict: 'block', violationCount: 2, figures: { rows: 6, shared: 2 } })
    expect(report?.violations).toEqual([
      {
        origin: 'ATL',
        event_timestamp: '2001-01-08T01:00:00.000000Z',
        created_timestamp: '2001-01-08T02:00:00.000000Z',
        'times staged': '3',
      },
      {
        origin: 'BOS',
        event_timestamp: '2001-01-08T01:00:00.000000Z',
        created_timestamp: null,
        'times staged': '2',
      },
    ])
    expect(await judgeRows(tuples, uniqueRows({ onViolation: 'warn' }))).toMatchObject({ verdict: 'warn' })
  })

  test('an empty table has no two rows', async () => {
    expect(await judge(uniqueRows(), [])).toMatchObject({ verdict: 'pass', figures: { rows: 0, shared: 0 } })
  })
})

describe('row_count', () => {
  const judgeCounts = async (
    gate: Gate,
    [rows, intervals]: readonly [number, number],
    [publishedRows, publishedIntervals]: readonly [number, number],
  ) => {
    const history = { relation: relation(repeated(publishedRows, '1')), intervals: publishedIntervals }
    const changes = { intervals, published: () => history }
    const [report] = await judgeGates([gate], contextOf(relation(repeated(rows, '1')), changes), query)
    return report
  }
  const gate = rowCount({ min: 0.5, max: 1.1 })

  test('compares rows per interval, both bounds included', async () => {
    expect(await judgeCounts(gate, [5, 1], [240, 24])).toMatchObject({
      verdict: 'pass',
      figures: { ratio: 0.5 },
    })
    expect(await judgeCounts(gate, [22, 2], [240, 24])).toMatchObject({
      verdict: 'pass',
      figures: { ratio: 1.1 },
    })
    const few = await judgeCounts(gate, [9, 2], [240, 24])
    expect(few).toMatchObject({
      verdict: 'block',
      violationCount: 0,
      violations: [],
      figures: { ratio: 0.45 },
    })
    expect(few?.sentence).toBe(
      'row_count: 4.5 rows per interval, 0.45 times the 10 of the last 24 intervals published before; 0.5 to 1.1 times may be; it judges the run as a whole and names no row.',
    )
    expect(await judgeCounts(gate, [23, 2], [240, 24])).toMatchObject({ verdict: 'block' })
    expect(await judgeCounts(gate, [0, 2], [240, 24])).toMatchObject({
      verdict: 'block',
      figures: { rows: 0 },
    })
    const warning = rowCount({ min: 0.5, max: 2, onViolation: 'warn' })
    expect(await judgeCounts(warning, [0, 2], [240, 24])).toMatchObject({ verdict: 'warn' })
  })

  test('passes and says so where there is nothing to compare with', async () => {
    const first = await judgeCounts(gate, [7, 1], [0, 0])
    expect(first).toMatchObject({ verdict: 'pass', figures: { ratio: null, rows: 7, published_rows: 0 } })
    expect(first?.sentence).toMatch(/nothing was published before/)
    const quiet = await judgeCounts(gate, [7, 1], [0, 24])
    expect(quiet).toMatchObject({ verdict: 'pass' })
    expect(quiet?.sentence).toMatch(/no rows were published before/)
  })

  test('says how far it looks back', () => {
    expect(historyIntervals([notEmpty(), gate])).toBe(24)
    expect(historyIntervals([rowCount({ min: 0, max: 1, last: 7 })])).toBe(7)
    expect(historyIntervals([notEmpty()])).toBe(0)
  })
})

describe('all gates together', () => {
  const gates: Gate[] = [
    notEmpty(),
    nullRate('value', { max: 0 }),
    inRange('value', 0, 10),
    uniqueRows(),
    rowCount({ min: 0.5, max: 2 }),
  ]

  test('take their figures in one query, and sample only what is violated', async () => {
    asked.length = 0
    const reports = await judgeGates(gates, contextOf(relation(['1', '2', '11'])), query)
    expect(reports.map(({ name, verdict }) => `${name} ${verdict}`)).toEqual([
      'not_empty pass',
      'null_rate(value) pass',
      'in_range(value) block',
      'unique_rows pass',
      'row_count pass',
    ])
    expect(asked).toHaveLength(2)
    expect(overallVerdict(reports)).toBe('block')
  })

  test('every kind of gate is there', () => {
    const others = [
      allowedValues('value', [1]),
      coverage({ min: 1 }),
      psi('value', { max: 1 }),
      jensenShannon('value', { max: 1 }),
      knownValues([{ keys: { origin: 'a' }, at: '2001-01-08', feature: 'value', value: 1 }]),
      queryGate('none', 'SELECT 1'),
    ]
    expect([...gates, ...others].map(({ gate }) => gate).sort()).toEqual(Object.keys(qualityGates).sort())
  })

  test('samples are ten rows in the order of keys and time, however the rows lie', async () => {
    const many = `(SELECT 'k' || lpad(CAST(hash(i) % 100000 AS VARCHAR), 5, '0') AS origin,
      TIMESTAMPTZ '2001-01-08 00:00:00Z' + INTERVAL 1 SECOND * i AS event_timestamp,
      NULL::TIMESTAMPTZ AS created_timestamp, 99.0 + i AS value FROM range(50000) AS r(i))`
    const shuffled = `(SELECT * FROM ${many} ORDER BY hash(value))`
    const [one] = await judgeGates([inRange('value', 0, 10)], contextOf(many), query)
    const [other] = await judgeGates([inRange('value', 0, 10)], contextOf(shuffled), query)
    expect(one?.violationCount).toBe(50_000)
    expect(one?.violations).toHaveLength(10)
    expect(other).toEqual(one)
    const names = one?.violations.map(({ origin }) => origin ?? '') ?? []
    expect(names).toEqual([...names].sort())
  })

  test('no gates say nothing, and nothing is read', async () => {
    asked.length = 0
    expect(await judgeGates([], contextOf(relation(['1'])), query)).toEqual([])
    expect(asked).toEqual([])
    expect(overallVerdict([])).toBe('pass')
    expect(overallVerdict([{ verdict: 'pass' }, { verdict: 'warn' }])).toBe('warn')
    expect(overallVerdict([{ verdict: 'block' }, { verdict: 'warn' }])).toBe('block')
  })

  test('composite keys are named in full, and names are quoted', async () => {
    const staged = `(SELECT 'a' AS "two words", 1::BIGINT AS "qu""ote", now() AS event_timestamp,
      now() AS created_timestamp, 5.0::DOUBLE AS "a, b" FROM range(2))`
    const context = contextOf(staged, { keys: ['two words', 'qu"ote'], features: { 'a, b': 'float64' } })
    const reports = await judgeGates([inRange('a, b', 0, 1), uniqueRows()], context, query)
    expect(reports[0]?.violations[0]).toMatchObject({ 'two words': 'a', 'qu"ote': '1', 'a, b': '5.0' })
    expect(reports[1]?.violations).toMatchObject([{ 'two words': 'a', 'qu"ote': '1', 'times staged': '2' }])
  })

  test('a run of no intervals and a feature that is not there are errors', async () => {
    const none = judgeGates(gates, contextOf(relation([]), { intervals: 0 }), query)
    await expect(none).rejects.toThrow(InputError)
    const unknown = judgeGates([inRange('other', 0, 1)], contextOf(relation([])), query)
    await expect(unknown).rejects.toThrow(IntegrityError)
  })
})
