/** The drift gates: which bins DuckDB counts into, what they say, and an oracle for both on random values. */
import { describe, expect, test } from 'vitest'
import { jensenShannon, psi, type Gate, type ScalarType } from '../../model/index.ts'
import { divergenceTerms, sharesOf, sumOf } from '../../quality/divergence.ts'
import { refusesDrift } from '../../quality/drift.ts'
import { driftBins } from '../../quality/driftBins.ts'
import type { GateContext } from '../../quality/gate.ts'
import { contextOf, gateBench, relation } from './bench.ts'

const { judgeIn, query } = gateBench()

function against(
  published: readonly string[],
  staged: readonly string[],
  type: ScalarType = 'float64',
): GateContext {
  const history = { relation: relation(published, type), intervals: 24 }
  return contextOf(relation(staged, type), { published: () => history, features: { value: type } })
}

/** `bin published staged`, in order. */
async function binsOf(gate: ReturnType<typeof psi>, context: GateContext): Promise<string[]> {
  const sql = driftBins(gate, context)
  const rows = sql === null ? [] : await query(sql)
  return rows.map(({ bin, published, staged }) => `${String(bin)}: ${String(published)}, ${String(staged)}`)
}

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, at) => String(from + at))
const quoted = (...words: string[]) => words.map((word) => `'${word}'`)
const gate = psi('value', { max: 0.25, bins: 4 })

describe('bins', () => {
  test('numbers: quantiles of the published values, and what lies outside of them', async () => {
    const context = against(numbers(1, 8), [
      '0',
      '-1',
      '1',
      '2',
      '2.5',
      '4',
      '8',
      '8.5',
      'NULL',
      "'NaN'",
      "'Infinity'",
    ])
    expect(await binsOf(gate, context)).toEqual([
      'below 1.0: 0, 2',
      '1.0 to 2.0: 2, 2',
      '2.0 to 4.0: 2, 2',
      '4.0 to 6.0: 2, 0',
      '6.0 to 8.0: 2, 1',
      'above 8.0: 0, 2',
      'null: 0, 1',
      'NaN: 0, 1',
    ])
  })

  test('ties make bins fall together; whole numbers stay exact beyond 2^53', async () => {
    expect(await binsOf(gate, against(['5', '5', '5', '5', '5', '9'], ['5', '6'], 'int32'))).toEqual([
      '5 to 5: 5, 1',
      '5 to 9: 1, 1',
    ])
    const [low, high] = ['9007199254740992', '9007199254740993']
    expect(await binsOf(gate, against([low, low], [low, high], 'int64'))).toEqual([
      `${low} to ${low}: 2, 1`,
      `above ${low}: 0, 1`,
    ])
  })

  test('strings and booleans: the most frequent values, the rest, what was never published', async () => {
    const published = quoted('ATL', 'ATL', 'ATL', 'BOS', 'BOS', 'JFK', 'LAX')
    const context = against(
      [...published, 'NULL'],
      [...quoted('ATL', 'JFK', 'null', 'null'), 'NULL'],
      'string',
    )
    expect(await binsOf(psi('value', { max: 1, bins: 2 }), context)).toEqual([
      "'ATL': 3, 1",
      "'BOS': 2, 0",
      'other published values: 2, 1',
      'values never published: 0, 2',
      'null: 1, 1',
    ])
    expect(await binsOf(gate, against(['true', 'true', 'false'], ['false'], 'boolean'))).toEqual([
      "'true': 2, 0",
      "'false': 1, 1",
    ])
  })

  test('not a number and nothing else was published', async () => {
    expect(await binsOf(gate, against(["'NaN'", 'NULL'], ['1', 'NULL']))).toEqual([
      'null: 1, 1',
      'NaN: 1, 0',
      'any number: 0, 1',
    ])
  })

  test('are drawn by the gate for its own period only', async () => {
    const asked: number[] = []
    const published = (last: number) => {
      asked.push(last)
      return { relation: relation(['1']), intervals: last }
    }
    await judgeIn(psi('value', { max: 1, last: 7 }), contextOf(relation(['1']), { published }))
    expect(new Set(asked)).toEqual(new Set([7]))
  })

  test('agree with sorted values and a loop', async () => {
    const seed = Date.now() % 1e9
    console.log(`drift bins seed ${seed}`)
    let state = seed
    const random = () => (state = (state * 48271 + 11) % 2147483647) / 2147483647
    for (let round = 0; round < 25; round += 1) {
      const draw = (count: number, spread: number) =>
        Array.from({ length: count }, () =>
          random() < 0.1 ? null : Math.round((random() - 0.5) * spread) / 4,
        )
      const [published, staged] = [draw(2 + Math.floor(random() * 60), 60), draw(40, 80)]
      const bins = 2 + Math.floor(random() * 9)
      const context = against(published.map(String), staged.map(String))
      const found = await query(driftBins(psi('value', { max: 1, bins }), context) ?? '')
      const counts = found.map((row) => [Number(row['published']), Number(row['staged'])])
      expect(counts, `seed ${seed} round ${round}`).toEqual(naiveBins(published, staged, bins))
    }
  })
})

type Values = readonly (number | null)[]

/** Published and staged counts by place: below, between the cuts, above, null. */
function naiveBins(published: Values, staged: Values, bins: number): number[][] {
  const sorted = published.filter((value) => value !== null).sort((left, right) => left - right)
  const [lowest, highest] = [sorted[0] ?? NaN, sorted.at(-1) ?? NaN]
  const cuts = Array.from(
    { length: bins - 1 },
    (_, at) => sorted[Math.ceil(((at + 1) * sorted.length) / bins) - 1] ?? NaN,
  )
  const placeOf = (value: number | null) => {
    if (value === null) return bins + 2
    if (value < lowest) return 0
    if (value > highest) return bins + 1
    return 1 + cuts.filter((cut) => value > cut).length
  }
  const counts = Array.from({ length: bins + 3 }, () => [0, 0])
  for (const [side, values] of [published, staged].entries()) {
    for (const value of values) {
      const bin = counts[placeOf(value)]
      if (bin !== undefined) bin[side] = (bin[side] ?? 0) + 1
    }
  }
  return counts.filter(([before, now]) => before !== 0 || now !== 0)
}

describe.each([
  ['psi', psi],
  ['jensen_shannon', jensenShannon],
])('%s', (name, make) => {
  const steady = against(numbers(1, 100), numbers(1, 100))
  const shifted = against(numbers(1, 100), numbers(51, 150))

  test('passes where nothing moved', async () => {
    expect(await judgeIn(make('value', { max: 0 }), steady)).toMatchObject({
      verdict: 'pass',
      figures: { drift: 0, published: 100, staged: 100, bins: 10 },
      violations: [],
      sentence: `${name}(value): 0 between 100 values and the 100 of the last 24 intervals published before, at most 0 may be.`,
    })
  })

  test('blocks or warns where half of the values are new, and names the bins that moved most', async () => {
    const report = await judgeIn(make('value', { max: 0.25 }), shifted)
    expect(report).toMatchObject({ verdict: 'block', violationCount: 0 })
    expect(report.violations[0]).toMatchObject({ bin: 'above 100.0', published: '0%', staged: '50%' })
    expect(report.violations).toHaveLength(10)
    expect(report.sentence).toMatch(
      /the bin above 100\.0 moved most, from 0% to 50%; it judges the run as a whole and names no row\.$/,
    )
    expect(JSON.parse(JSON.stringify(report))).toEqual(report)
    const warned = await judgeIn(make('value', { max: 0.25, onViolation: 'warn' }), shifted)
    expect(warned.verdict).toBe('warn')
  })

  test('sees more nulls as a drift', async () => {
    const nulls = against(numbers(1, 100), [...numbers(1, 50), ...numbers(1, 50).map(() => 'NULL')])
    const report = await judgeIn(make('value', { max: 0.25 }), nulls)
    expect(report).toMatchObject({
      verdict: 'block',
      violations: [{ bin: 'null', staged: '50%' }, ...rest(9)],
    })
  })

  test('passes and says so where one side is empty, or the feature is new', async () => {
    const first = contextOf(relation(['1']), { features: { value: 'float64' } })
    const nothing = /no value was published before, so there is nothing to compare\.$/
    for (const context of [first, against([], ['1']), against(['NULL', 'NULL'], ['1', 'NULL'])]) {
      const report = await judgeIn(make('value', { max: 0 }), context)
      expect(report).toMatchObject({ verdict: 'pass', figures: { drift: null } })
      expect(report.sentence).toMatch(nothing)
    }
    expect(await judgeIn(make('value', { max: 0 }), against(['1'], []))).toMatchObject({
      verdict: 'pass',
      sentence: `${name}(value): no row was staged, so there is nothing to compare.`,
    })
  })
})

const rest = (count: number) => Array.from({ length: count }, () => expect.anything() as object)

test('the divergence is that of the counts, which a step of one bin shows', async () => {
  const one: Gate = jensenShannon('value', { max: 1, bins: 2 })
  const report = await judgeIn(one, against(['1', '2'], ['1', '1', '1', '2']))
  expect(report.figures['drift']).toBe(sumOf(divergenceTerms(sharesOf([1, 1]), sharesOf([3, 1]))))
})

test('types without a distribution are refused', () => {
  expect(refusesDrift('timestamp')).toBe('it needs a number, a string or a boolean, not a timestamp')
  expect(refusesDrift('list<float64>')).toMatch(/not a list/)
  expect(refusesDrift('int64')).toBeNull()
})
