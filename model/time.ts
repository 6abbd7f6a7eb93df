/**
 * Instants, durations and intervals (the rules of time, 1 and 2).
 *
 * An instant is a UTC instant in whole milliseconds since the Unix epoch (`EpochMs`): interval ends always are whole
 * seconds, so nothing is lost. Event timestamps of rows keep their microseconds; they live in DuckDB and in the
 * online value, never in these functions. On the wire an instant is an ISO string that ends in `Z`.
 */
import { InputError } from './errors.ts'

export type EpochMs = number
export type DurationUnit = 's' | 'm' | 'h' | 'd' | 'w'
/** A length of time such as `15m`, `24h` or `7d`. */
export type Duration = `${number}${DurationUnit}`

const unitInMs: Record<DurationUnit, number> = { s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 }

/** Milliseconds of a duration. `what` names the thing in the error. */
export function durationMs(duration: string, what = 'duration'): number {
  const match = typeof duration === 'string' ? /^([1-9]\d{0,8}|0)(s|m|h|d|w)$/.exec(duration) : null
  if (!match) {
    throw new InputError(
      `${what}: ${JSON.stringify(duration)} is not a duration. Write a whole number and a unit: s, m, h, d or w, such as '15m' or '7d'.`,
      { value: duration },
    )
  }
  return Number(match[1]) * unitInMs[match[2] as DurationUnit]
}

/** The shortest way to write so many milliseconds: 5400000 is `90m`, 604800000 is `7d`. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms % unitInMs[unit] === 0) return `${ms / unitInMs[unit]}${unit}`
  }
  return `${ms / 1e3}s`
}

const instantPattern = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2}))?$/

/** Reads `2001-01-08` (midnight UTC) or an ISO instant with a zone. A time without a zone is refused. */
export function parseInstant(text: string, what = 'instant'): EpochMs {
  const ms = typeof text === 'string' && instantPattern.test(text) ? Date.parse(text) : Number.NaN
  // Date.parse rolls 30 February over into March; the day must come back as it was written.
  const rolled =
    !Number.isNaN(ms) &&
    new Date(Date.parse(text.slice(0, 10))).toISOString().slice(0, 10) !== text.slice(0, 10)
  if (Number.isNaN(ms) || rolled) {
    throw new InputError(
      `${what}: ${JSON.stringify(text)} is not an instant. Write a day such as 2001-01-08 (midnight UTC), or a time with its zone such as 2001-01-08T06:00:00Z.`,
      { value: text },
    )
  }
  return ms
}

/** `2001-01-08T06:00:00Z`; milliseconds only where there are some. */
export function formatInstant(ms: EpochMs): string {
  const iso = new Date(ms).toISOString()
  return ms % 1e3 === 0 ? `${iso.slice(0, 19)}Z` : iso
}

/** A run of whole cadence steps: the instants `from < t <= to`, both ends on the cadence. */
export interface IntervalRange {
  /** Exclusive. */
  readonly from: EpochMs
  /** Inclusive. */
  readonly to: EpochMs
}

/** How many intervals of the cadence the range holds. */
export function intervalCount(range: IntervalRange, cadenceMs: number): number {
  return Math.round((range.to - range.from) / cadenceMs)
}

/** The greatest instant on the cadence that is not after `t`. */
export function alignDown(t: EpochMs, cadenceMs: number): EpochMs {
  return Math.floor(t / cadenceMs) * cadenceMs
}

/** The smallest instant on the cadence that is not before `t`. */
export function alignUp(t: EpochMs, cadenceMs: number): EpochMs {
  return Math.ceil(t / cadenceMs) * cadenceMs
}

/** The interval ends of a range, in order. */
export function* intervalEnds(range: IntervalRange, cadenceMs: number): Generator<EpochMs> {
  for (let end = range.from + cadenceMs; end <= range.to; end += cadenceMs) yield end
}

/** Runs of neighbouring interval ends as ranges. `ends` must ascend. */
export function rangesOf(ends: Iterable<EpochMs>, cadenceMs: number): IntervalRange[] {
  const ranges: { from: EpochMs; to: EpochMs }[] = []
  for (const end of ends) {
    const last = ranges.at(-1)
    if (last && last.to === end - cadenceMs) last.to = end
    else ranges.push({ from: end - cadenceMs, to: end })
  }
  return ranges
}
