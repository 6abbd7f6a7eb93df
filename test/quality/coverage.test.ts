import { expect, test } from 'vitest'
import { coverage } from '../../model/index.ts'
import { contextOf, gateBench, relation } from './bench.ts'

const { judgeIn } = gateBench()
const created = "TIMESTAMPTZ '2001-01-08 12:00:00Z'"
const ones = (count: number) => Array.from({ length: count }, () => '1')

/** `before` entities were served in the newest of two intervals, twice as many in both; `now` are staged. */
const covering = (before: number, now: number, known = created) =>
  contextOf(relation(ones(now)), {
    published: (last) => ({ relation: relation(ones(before * last), 'float64', known), intervals: last }),
  })

test('passes at exactly the share; entities that are new do not count', async () => {
  expect(await judgeIn(coverage({ min: 0.95 }), covering(20, 19))).toMatchObject({
    verdict: 'pass',
    figures: { served: 20, covered: 19, share: 0.95, min: 0.95 },
    violationCount: 0,
  })
  expect(await judgeIn(coverage({ min: 1 }), covering(3, 7))).toMatchObject({
    verdict: 'pass',
    figures: { served: 3, covered: 3 },
  })
})

test('blocks or warns with the entities that are missing and when they were last served', async () => {
  const report = await judgeIn(coverage({ min: 0.95 }), covering(20, 18))
  expect(report).toMatchObject({ verdict: 'block', violationCount: 2, figures: { share: 0.9 } })
  expect(report.sentence).toBe(
    'coverage: 18 of the 20 entities of the last 1 interval published before have a row (90%), at least 95% must.',
  )
  expect(report.violations).toEqual([
    { origin: 'k018', 'last served': '2001-01-08T18:00:00.000000Z' },
    { origin: 'k019', 'last served': '2001-01-08T19:00:00.000000Z' },
  ])
  const warning = coverage({ min: 0.95, onViolation: 'warn' })
  expect(await judgeIn(warning, covering(20, 0))).toMatchObject({ verdict: 'warn', violationCount: 20 })
})

test('looks back as far as it is told', async () => {
  expect(await judgeIn(coverage({ min: 1, last: 2 }), covering(5, 5))).toMatchObject({
    verdict: 'block',
    figures: { served: 10, covered: 5 },
  })
})

test('passes and says so where nobody was served: nothing was published, or only rows that were never known', async () => {
  for (const context of [contextOf(relation(['1'])), covering(5, 0, 'NULL')]) {
    expect(await judgeIn(coverage({ min: 1 }), context)).toMatchObject({
      verdict: 'pass',
      figures: { served: 0, share: null },
      sentence: 'coverage: no entity was served before.',
    })
  }
})

test('composite keys cover each other as a whole, and one entity is one, however many rows it has', async () => {
  const rows = (pairs: string) =>
    `(SELECT a, "b c", now() AS event_timestamp, now() AS created_timestamp FROM (VALUES ${pairs}) AS v(a, "b c"))`
  const published = { relation: rows("('x', 1), ('x', 1), ('x', 2), ('y', 1)"), intervals: 1 }
  const context = contextOf(rows("('x', 1), ('y', 2), ('x', 2), ('x', 2)"), {
    keys: ['a', 'b c'],
    published: () => published,
  })
  expect(await judgeIn(coverage({ min: 1 }), context)).toMatchObject({
    figures: { served: 3, covered: 2 },
    violations: [{ a: 'y', 'b c': '1' }],
  })
})
