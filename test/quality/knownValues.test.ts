import { expect, test } from 'vitest'
import { knownValues, type KnownValue } from '../../model/index.ts'
import { knownValues as quality } from '../../quality/knownValues.ts'
import { contextOf, gateBench } from './bench.ts'

const { judgeIn } = gateBench()
const at = '2001-01-08T06:00:00Z'
const staged = `(SELECT * FROM (VALUES
  ('ATL', 1::BIGINT, TIMESTAMPTZ '2001-01-08 06:00:00Z', 5::BIGINT, 0.1::FLOAT, 'x', 2.5::DOUBLE),
  ('BOS', 1::BIGINT, TIMESTAMPTZ '2001-01-08 06:00:00Z', 9007199254740993::BIGINT, NULL::FLOAT, NULL, 'NaN'::DOUBLE),
  ('BOS', 1::BIGINT, TIMESTAMPTZ '2001-01-08 07:00:00.000001Z', 7::BIGINT, 1::FLOAT, 'y', 1::DOUBLE))
  AS v(origin, gate, event_timestamp, flights, share, word, mean))`
const context = contextOf(staged, {
  keys: ['origin', 'gate'],
  features: { flights: 'int64', share: 'float32', word: 'string', mean: 'float64' },
  ranges: [{ from: Date.UTC(2001, 0, 8), to: Date.UTC(2001, 0, 9) }],
})
const known = (
  feature: string,
  value: KnownValue['value'],
  change: Partial<KnownValue> = {},
): KnownValue => ({
  keys: { origin: 'ATL', gate: 1 },
  at,
  feature,
  value,
  ...change,
})
const boston = { keys: { origin: 'BOS', gate: 1n } }
const judge = (...fixtures: KnownValue[]) => judgeIn(knownValues(fixtures), context)

test('passes where every value stands in its row, each in its own type', async () => {
  const report = await judge(
    known('flights', 5),
    known('share', 0.1),
    known('word', 'x'),
    known('mean', 2.4, { tolerance: 0.11 }),
    known('flights', 9007199254740993n, boston),
    known('share', null, boston),
    known('mean', NaN, boston),
    known('flights', 7, { ...boston, at: '2001-01-08T08:00:00.000001+01:00' }),
  )
  expect(report).toMatchObject({ verdict: 'pass', figures: { checked: 8, known: 8, wrong: 0 } })
  expect(report.sentence).toBe(
    "known_values: 8 of 8 known values lie inside the run's intervals, 0 of them are not as known.",
  )
})

test('blocks or warns with what was expected and what was found', async () => {
  const report = await judge(
    known('flights', 6),
    known('mean', 2.4, { tolerance: 0.09 }),
    known('word', null),
    known('share', 1, boston),
    known('flights', 9007199254740992n, boston),
    known('mean', 1, { ...boston, tolerance: 1e9 }),
    known('flights', 5, { keys: { origin: 'JFK', gate: 1 } }),
    known('flights', 7, { ...boston, at: '2001-01-08T07:00:00Z' }),
    known('flights', 5),
  )
  expect(report).toMatchObject({ verdict: 'block', violationCount: 8, figures: { checked: 9, wrong: 8 } })
  expect(report.violations.map(({ feature, expected, found }) => [feature, expected, found])).toEqual([
    ['flights', '6', '5'],
    ['mean', '2.4', '2.5'],
    ['word', null, 'x'],
    ['share', '1.0', null],
    ['flights', '9007199254740992', '9007199254740993'],
    ['mean', '1.0', 'nan'],
    ['flights', '5', 'no row'],
    ['flights', '7', 'no row'],
  ])
  expect(report.violations[6]).toEqual({
    origin: 'JFK',
    gate: '1',
    event_timestamp: '2001-01-08T06:00:00.000000Z',
    feature: 'flights',
    expected: '5',
    found: 'no row',
  })
  const warned = await judgeIn(knownValues([known('flights', 6)], { onViolation: 'warn' }), context)
  expect(warned.verdict).toBe('warn')
})

test("only what lies inside the run's intervals is checked: after their start, up to their end", async () => {
  const wrong = (instant: string) => known('flights', -1, { at: instant })
  const outside = await judge(wrong('2001-01-08'), wrong('2001-01-09T00:00:00.000001Z'))
  expect(outside).toMatchObject({ verdict: 'pass', figures: { checked: 0, known: 2 } })
  expect(outside.sentence).toBe(
    "known_values: 0 of 2 known values lie inside the run's intervals, so none was checked.",
  )
  const inside = await judge(wrong('2001-01-08T00:00:00.000001Z'), wrong('2001-01-09'), wrong('2001-02-01'))
  expect(inside).toMatchObject({ verdict: 'block', figures: { checked: 2, known: 3, wrong: 2 } })
})

test('of two versions of a row, both must hold the value', async () => {
  const twice = `(SELECT * FROM ${staged} UNION ALL SELECT * REPLACE (6 AS flights) FROM ${staged})`
  const report = await judgeIn(knownValues([known('flights', 5)]), { ...context, staged: twice })
  expect(report).toMatchObject({ violationCount: 1, violations: [{ found: '6' }] })
})

test('registration looks whether each value is one of its feature', () => {
  const gate = knownValues([known('flights', 1.5), known('word', null)])
  expect(quality.refuses('int64', gate, 'flights')).toBe('1.5 is no int64')
  expect(quality.refuses('int64', gate, 'word')).toBeNull()
})
