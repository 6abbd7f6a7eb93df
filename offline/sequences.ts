/**
 * The k first or last events of a window, found by their places in a sequence.
 *
 * An entity's events that count stand in one order, and tiles know how many there are: of an end, `before` it and, of those,
 * `inside` its window. So the window's events are the places from `before - inside` to `before`, and its k first or last
 * ones a slice of them. Sequences are cut into blocks of at least k, each held together with the one behind it: any slice
 * lies in the block where it starts. That takes one sort of the events and one join, however long the windows are.
 */
import type { SequenceAggregate } from './aggregate.ts'

/** Events in their order, as lists. */
export interface Sequence {
  /** SQL of what is kept of an event. */
  readonly value: string
  readonly conditions: readonly string[]
  /** How many events a block begins with. */
  readonly size: number
}

/** The block of each end in which its slice begins. */
export interface SequenceRead {
  readonly sequence: Sequence
  /** SQL of the place at which the slice begins. */
  readonly start: string
}

/** Shorter blocks would be too many; and aggregates of few events share them. */
const shortestBlock = 16

/** What to read for an aggregate, and its value from the list that is read; `before` and `inside` are SQL of counts. */
export function sliceOf(
  { value, conditions, k, side }: SequenceAggregate,
  before: string,
  inside: string,
): { read: SequenceRead; value(list: string): string } {
  const size = Math.max(k, shortestBlock)
  const taken = `least(coalesce(${inside}, 0), ${k})`
  const start = `CAST(${before} - ${side === 'first' ? `coalesce(${inside}, 0)` : taken} AS BIGINT)`
  return {
    read: { sequence: { value, conditions, size }, start },
    value(list) {
      const slice = `list_slice(${list}, ${start} % ${size} + 1, ${start} % ${size} + CAST(${taken} AS BIGINT))`
      return `CASE WHEN ${inside} > 0 THEN ${side === 'first' ? slice : `list_reverse(${slice})`} END`
    },
  }
}

/**
 * SELECT of the ends with what is read as r0, r1, … beside what they have already.
 *
 * @param ends a relation of the keys and more columns
 * @param events SELECT of the events that tiles are made of
 */
export function withReads(
  reads: readonly SequenceRead[],
  ends: string,
  keys: readonly string[],
  events: string,
): string {
  const joins = reads.map(({ sequence, start }, index) => {
    const same = keys.map((key) => `b${index}.${key} IS NOT DISTINCT FROM ends_read.${key}`)
    return `LEFT JOIN (${blocksSql(sequence, keys.join(', '), events)}) AS b${index}
  ON ${[...same, `b${index}.block = ${start} // ${sequence.size}`].join(' AND ')}`
  })
  return `SELECT ends_read.*, ${reads.map((_, index) => `b${index}.items AS r${index}`).join(', ')}
FROM (SELECT * FROM ${ends} WHERE is_end) AS ends_read
${joins.join('\n')}`
}

/** Events that are equal in time and value make no difference to each other. */
function blocksSql({ value, conditions, size }: Sequence, keys: string, events: string): string {
  return `SELECT ${keys}, block, list_concat(items, coalesce(lead(items) OVER (PARTITION BY ${keys} ORDER BY block), [])) AS items
FROM (
  SELECT ${keys}, place // ${size} AS block, list(item ORDER BY place) AS items
  FROM (
    SELECT ${keys}, item, row_number() OVER (PARTITION BY ${keys} ORDER BY event_us, item) - 1 AS place
    FROM (SELECT ${keys}, event_us, ${value} AS item FROM (${events}) WHERE ${conditions.join(' AND ')})
  )
  GROUP BY ${keys}, place // ${size}
)`
}
