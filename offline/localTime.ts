/**
 * Local times as instants, over both changes of the clock.
 *
 * A local time names no instant where clocks go forward over it, and two where they go back over it. DuckDB picks one
 * without a word; here the source's definition does. The offsets a day before and a day after the time, taken as UTC, are
 * those on either side of a change that it can be caught in. Where they agree there is no change and one answer; else
 * each offset gives an instant, which counts if it reads as the local time again. Two changes of one zone within two days
 * would escape this; no zone has had them since standard time came.
 */
import { quoteLiteral } from '../iceberg/duckdb/quote.ts'
import type { Source } from '../model/source.ts'

export interface LocalTime {
  /** SQL of the instant in microseconds since the epoch; a time that is refused fails the query. */
  readonly micros: string
  /** SQL of what is wrong with the time: `nonexistent`, `ambiguous` or null. */
  readonly fault: string
}

export type ZoneRules = Pick<Source, 'nonexistent' | 'ambiguous'>

const dayMicros = 864e8

/** `local` is SQL of a TIMESTAMP that stands for a local time of the zone. */
export function localTime(local: string, zone: string, { nonexistent, ambiguous }: ZoneRules): LocalTime {
  const read = `epoch_us(${local})`
  // UTC needs no conversion, which would cost more than all the rest of reading.
  if (zone === 'UTC') return { micros: read, fault: 'NULL' }
  const localAt = (micros: string) =>
    `epoch_us(make_timestamptz(${micros}) AT TIME ZONE ${quoteLiteral(zone)})`
  const [dayBefore, dayAfter] = [`(${read} - ${dayMicros})`, `(${read} + ${dayMicros})`]
  const [offsetBefore, offsetAfter] = [
    `(${localAt(dayBefore)} - ${dayBefore})`,
    `(${localAt(dayAfter)} - ${dayAfter})`,
  ]
  const [byOldClock, byNewClock] = [`(${read} - ${offsetBefore})`, `(${read} - ${offsetAfter})`]
  const [isOld, isNew] = [`${localAt(byOldClock)} = ${read}`, `${localAt(byNewClock)} = ${read}`]
  const cases = (single: [string, string, string], twice: string, never: string) =>
    `(CASE WHEN ${offsetBefore} = ${offsetAfter} THEN ${single[0]} WHEN ${isOld} THEN CASE WHEN ${isNew} THEN ${twice} ELSE ${single[1]} END WHEN ${isNew} THEN ${single[2]} ELSE ${never} END)`
  const refused = (what: string) => `error(${quoteLiteral(what)} || CAST(${local} AS VARCHAR))`
  return {
    micros: cases(
      [byOldClock, byOldClock, byNewClock],
      {
        earlier: byOldClock,
        later: byNewClock,
        refuse: refused(`a local time that ${zone} has twice: `),
      }[ambiguous ?? 'later'],
      nonexistent === 'shift-forward' ? byOldClock : refused(`a local time that ${zone} does not have: `),
    ),
    fault: cases(
      ['NULL', 'NULL', 'NULL'],
      ambiguous === 'refuse' ? `'ambiguous'` : 'NULL',
      nonexistent === 'shift-forward' ? 'NULL' : `'nonexistent'`,
    ),
  }
}
