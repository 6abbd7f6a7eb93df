/** Which windows a group's features need: what several of them share is computed once. */
import { over, type AggregateSql, type Partial } from './aggregate.ts'
import { frameName } from './eventWindows.ts'
import { sliceOf, type SequenceRead } from './sequences.ts'

export interface FeaturePlan {
  readonly name: string
  /** In milliseconds; Infinity for an unbounded window. */
  readonly windowMs: number
  readonly sql: AggregateSql
}

/** A window's width in steps of its line; null for an unbounded one. */
export type Width = number | null

export interface WindowPlan {
  /** SQL of each distinct partial: p0, p1, … */
  readonly partials: readonly string[]
  /** SQL of each distinct window over a partial: w0, w1, … */
  readonly windows: readonly string[]
  /** In tiles. */
  readonly widths: readonly Width[]
  /** SQL of each distinct window over events: v0, v1, … */
  readonly calls: readonly string[]
  /** In microseconds. */
  readonly callWidths: readonly Width[]
  /** Distinct reads of sequences: r0, r1, … */
  readonly reads: readonly SequenceRead[]
  /** By feature, in order. */
  readonly values: readonly { name: string; sql: string }[]
}

export function planWindows(features: readonly FeaturePlan[], tileMs: number): WindowPlan {
  const [partials, windows, calls] = [namesFrom('p'), namesFrom('w'), namesFrom('v')]
  const [widths, callWidths] = [new Set<Width>(), new Set<Width>()]
  const [readNames, reads] = [namesFrom('r'), new Map<string, SequenceRead>()]
  const mergedOver = (width: Width, { tile, merge }: Partial) => {
    widths.add(width)
    return windows.of(`${merge}(${partials.of(tile)}) OVER ${frameName(width)}`)
  }
  const values = features.map(({ name, windowMs, sql }) => {
    const isBounded = Number.isFinite(windowMs)
    if (sql.over === 'events') {
      const width = isBounded ? windowMs * 1000 : null
      callWidths.add(width)
      return { name, sql: sql.value(sql.calls.map((call) => calls.of(`${call} OVER ${frameName(width)}`))) }
    }
    const width = isBounded ? windowMs / tileMs : null
    if (sql.over === 'tiles') {
      return { name, sql: sql.value(sql.partials.map((partial) => mergedOver(width, partial))) }
    }
    const counted: Partial = { tile: over('count(*)', sql.conditions), merge: 'sum' }
    const { read, value } = sliceOf(sql, mergedOver(null, counted), mergedOver(width, counted))
    const readName = readNames.of(JSON.stringify(read))
    reads.set(readName, read)
    return { name, sql: value(readName) }
  })
  return {
    ...{ partials: partials.all(), windows: windows.all(), calls: calls.all() },
    ...{ widths: [...widths], callWidths: [...callWidths], reads: [...reads.values()], values },
  }
}

/** Gives equal SQL one name: p0, p1, … */
function namesFrom(prefix: string): { of(sql: string): string; all(): string[] } {
  const names = new Map<string, string>()
  return {
    of(sql) {
      const name = names.get(sql) ?? `${prefix}${names.size}`
      names.set(sql, name)
      return name
    },
    all: () => [...names.keys()],
  }
}
