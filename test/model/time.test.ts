/** Instants, durations and intervals. */
import { describe, expect, test } from 'vitest'
import {
  alignDown,
  alignUp,
  durationMs,
  formatDuration,
  formatInstant,
  intervalCount,
  intervalEnds,
  parseInstant,
  rangesOf,
} from '../../model/index.ts'

const hour = 3_600_000

describe('durations', () => {
  test.each([
    ['90s', 90_000],
    ['15m', 900_000],
    ['24h', 24 * hour],
    ['7d', 168 * hour],
    ['2w', 336 * hour],
  ])('%s', (text, ms) => expect(durationMs(text)).toBe(ms))

  test.each(['', '7', 'd', '-1d', '1.5h', '01h', '1 h', '1y'])('%j is refused', (text) => {
    expect(() => durationMs(text)).toThrow(/is not a duration/)
  })

  test('the shortest way to write one', () => {
    expect([5_400_000, 7 * 24 * hour, 1_000].map(formatDuration)).toEqual(['90m', '7d', '1s'])
  })
})

describe('instants', () => {
  test.each([
    ['2001-01-08', '2001-01-08T00:00:00Z'],
    ['2001-01-08T06:00Z', '2001-01-08T06:00:00Z'],
    ['2001-01-08T06:00:00+02:00', '2001-01-08T04:00:00Z'],
    ['2001-01-08T06:00:00.250Z', '2001-01-08T06:00:00.250Z'],
  ])('%s', (text, instant) => expect(formatInstant(parseInstant(text))).toBe(instant))

  test.each([
    '',
    'today',
    '2001-01-08T06:00:00',
    '2001-13-01',
    '2001-02-30',
    '08.01.2001',
    '2001-01-08T25:00:00Z',
  ])('%j is refused: no instant, or one without a zone', (text) =>
    expect(() => parseInstant(text)).toThrow(/is not an instant/),
  )
})

describe('intervals', () => {
  test('a range owns its end and not its start', () => {
    const range = { from: 0, to: 3 * hour }
    expect([...intervalEnds(range, hour)]).toEqual([hour, 2 * hour, 3 * hour])
    expect(intervalCount(range, hour)).toBe(3)
  })

  test('neighbours become one range, gaps stay', () => {
    expect(rangesOf([hour, 2 * hour, 5 * hour], hour)).toEqual([
      { from: 0, to: 2 * hour },
      { from: 4 * hour, to: 5 * hour },
    ])
    expect(rangesOf([], hour)).toEqual([])
  })

  test('the cadence is aligned to the epoch, before it too', () => {
    expect([alignDown(-1, hour), alignUp(-1, hour), alignDown(hour, hour), alignUp(hour, hour)]).toEqual([
      -hour,
      -0,
      hour,
      hour,
    ])
  })
})
