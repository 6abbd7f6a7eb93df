/** Chunks cover their ranges exactly, cut between days and are neither tiny nor huge; incomplete sources are refused. */
import { expect, test } from 'vitest'
import { count, csv, formatInstant, mean, parseInstant } from '../../model/index.ts'
import { largestWindowMs, planChunks, refuseIncomplete } from '../../offline/index.ts'
import { randomFrom } from './random.ts'
import { groupOn } from './workbench.ts'

const dayMs = 864e5
const now = parseInstant('2001-07-01')
const range = (from: string, to: string) => ({ from: parseInstant(from), to: parseInstant(to) })
const shown = (chunks: readonly { from: number; to: number }[]) =>
  chunks.map(({ from, to }) => `${formatInstant(from)} ${formatInstant(to)}`)

test('an hourly half-year in chunks of about four weeks', () => {
  const chunks = planChunks([range('2001-01-08', '2001-07-01')], 36e5, 7 * dayMs, { targetMs: 28 * dayMs })
  expect(shown(chunks)).toEqual([
    '2001-01-08T00:00:00Z 2001-02-05T23:00:00Z',
    '2001-02-05T23:00:00Z 2001-03-06T23:00:00Z',
    '2001-03-06T23:00:00Z 2001-04-04T23:00:00Z',
    '2001-04-04T23:00:00Z 2001-05-03T23:00:00Z',
    '2001-05-03T23:00:00Z 2001-06-01T23:00:00Z',
    '2001-06-01T23:00:00Z 2001-07-01T00:00:00Z',
  ])
})

test('random ranges are covered once, no day of ends is cut, and no chunk is out of proportion', () => {
  const seed = Number(process.env['ASOF_TEST_SEED'] ?? Date.now() % 1e6)
  console.log(`chunks.test.ts: ASOF_TEST_SEED=${seed}`)
  const random = randomFrom(seed)
  for (let round = 0; round < 2000; round++) {
    const cadence = random.pick([1e3, 6e4, 9e5, 36e5, 42e5, 6 * 36e5, dayMs, 2 * dayMs, 7 * dayMs])
    const largest = random.pick([36e5, dayMs, 7 * dayMs, 30 * dayMs])
    const targetMs = random.pick([36e5, dayMs, 7 * dayMs, 28 * dayMs])
    const from = Math.floor((random.next() * 1e12 - 2e11) / cadence) * cadence
    const whole = { from, to: from + Math.ceil((1 + random.below(100 * dayMs)) / cadence) * cadence }
    const chunks = planChunks([whole], cadence, largest, { targetMs })
    const what = `cadence ${cadence}, largest ${largest}, target ${targetMs}: ${shown([whole]).join()} as ${shown(chunks).join()}`
    expect(
      chunks.map(({ from: start }) => start),
      what,
    ).toEqual([from, ...chunks.slice(0, -1).map(({ to }) => to)])
    expect(chunks.at(-1)?.to, what).toBe(whole.to)
    const aim = Math.max(targetMs, largest, cadence)
    for (const [index, { from: start, to }] of chunks.entries()) {
      expect((to - start) % cadence, what).toBe(0)
      expect(to, what).toBeGreaterThan(start)
      expect(to - start, what).toBeLessThanOrEqual(1.5 * (aim + dayMs) + 2 * dayMs + 2 * cadence)
      if (index > 0)
        expect(Math.floor(start / dayMs), what).toBeLessThan(Math.floor((start + cadence) / dayMs))
    }
  }
})

test('an interval whose windows reach before the source is complete is refused', () => {
  const source = csv({ name: 'events', path: 'x.csv', timestamp: 't', completeFrom: '2001-01-01' })
  const group = {
    ...groupOn(source, { short: count({ over: '1h' }), long: mean('v', { over: '7d' }) }),
    every: '1h' as const,
  }
  expect(largestWindowMs(group)).toBe(7 * dayMs)
  expect(() =>
    refuseIncomplete(group, [range('2001-02-01', '2001-02-02'), range('2001-01-07', '2001-01-09')], now),
  ).toThrow(
    'feature group tested_v1: feature long: the window of 7d of the interval that ends at 2001-01-07T01:00:00Z reaches back to 2000-12-31T01:00:00Z, but source events is complete only from 2001-01-01T00:00:00Z. The first interval with whole windows ends at 2001-01-08T00:00:00Z: start from 2001-01-07T23:00:00Z, or set allowPartialWindows on the group.',
  )
  refuseIncomplete(group, [range('2001-01-07T23:00:00Z', '2001-01-09')], now)
  refuseIncomplete(group, [], now)
  refuseIncomplete({ ...group, allowPartialWindows: true }, [range('2001-01-01', '2001-01-09')], now)
  const unbounded = csv({ name: 'events', path: 'x.csv', timestamp: 't' })
  refuseIncomplete({ ...group, sources: [unbounded] }, [range('2001-01-01', '2001-01-09')], now)
})

test('an interval whose windows reach behind what the source keeps is refused, by the clock of the store', () => {
  const source = csv({ name: 'events', path: 'x.csv', timestamp: 't', retention: '30d' })
  const group = groupOn(source, { long: mean('v', { over: '7d' }) })
  const asked = [range('2001-02-10', '2001-02-20')]
  const fits = parseInstant('2001-02-11') - 7 * dayMs + 30 * dayMs
  refuseIncomplete(group, asked, fits)
  expect(() => refuseIncomplete(group, asked, fits + 1e3)).toThrow(
    "feature group tested_v1: feature long: the window of 7d of the interval that ends at 2001-02-11T00:00:00Z reaches back to 2001-02-04T00:00:00Z, but source events keeps events for 30d: it is 2001-03-06T00:00:01Z on the store's clock, and those before 2001-02-04T00:00:01Z are going or gone. The first interval with whole windows ends at 2001-02-12T00:00:00Z: start from 2001-02-11T00:00:00Z, or set allowPartialWindows on the group.",
  )
  refuseIncomplete({ ...group, allowPartialWindows: true }, asked, fits + 365 * dayMs)
})

test('half a year of minutes of which every other is missing is refused by its first, however many ranges that are', () => {
  const group = groupOn(csv({ name: 'events', path: 'x.csv', timestamp: 't', completeFrom: '2001-01-01' }), {
    week: count({ over: '7d' }),
  })
  const from = parseInstant('2001-01-08')
  const minutes = Array.from({ length: 150_000 }, (_, at) => ({
    from: from + at * 12e4,
    to: from + at * 12e4 + 6e4,
  }))
  refuseIncomplete(group, minutes, now)
  const earlier = minutes.map((each) => ({ from: each.from - 2 * dayMs, to: each.to - 2 * dayMs }))
  expect(() => refuseIncomplete(group, earlier, now)).toThrow(/reaches back to 2000-12-31/)
})
