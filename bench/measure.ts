/**
 * Ratios that can be trusted on a noisy machine: the two sides take turns in one process, pair by pair, and the figure is
 * the median of the pairs' ratios. Seconds, megabytes and requests are shown for orientation only.
 */
export interface Measured extends Row {
  /** How many pairs of turns. */
  readonly turns: number
  readonly ratio: Spread
  /** Medians of either side. */
  readonly figures: { readonly unit: Unit; readonly ours: number; readonly floor: number }
}

/** A figure with a goal of its own, where people set it and no other program does. It depends on the machine. */
export interface MeasuredFigure extends FigureRow {
  readonly turns: number
  readonly figure: Spread
  /** What else was seen, for orientation. */
  readonly beside: string
}

export type Unit = 's' | 'MB' | 'ms' | 'requests/s'

export interface Spread {
  readonly min: number
  readonly median: number
  readonly max: number
}

/** A row of the table before anything is measured. */
export interface Row {
  readonly what: string
  readonly floor: string
  /** The ratio of our figure to the floor's that we want. */
  readonly goal: Goal
}

/** A row that is held against nothing but its goal. */
export interface FigureRow {
  readonly what: string
  readonly unit: Unit
  readonly goal: Goal
}

export type Goal = { readonly atMost: number } | { readonly below: number } | { readonly atLeast: number }

export interface Pair extends Row {
  ours(): Promise<void>
  byHand(): Promise<void>
}

/** One turn of each side. */
export interface Turn {
  readonly ours: number
  readonly floor: number
}

/** Takes turns, after one turn of each that does not count. */
export async function measure(pair: Pair, turns: number): Promise<Measured> {
  const { ours, byHand, ...row } = pair
  await byHand()
  await ours()
  const taken: Turn[] = []
  for (let turn = 0; turn < turns; turn++) {
    const floor = await secondsOf(byHand)
    taken.push({ floor, ours: await secondsOf(ours) })
  }
  return measured(row, 's', taken)
}

export function measured(row: Row, unit: Unit, turns: readonly Turn[]): Measured {
  const ratios = turns.map(({ ours, floor }) => ours / floor)
  return {
    what: row.what,
    floor: row.floor,
    goal: row.goal,
    turns: turns.length,
    ratio: spreadOf(ratios),
    figures: {
      unit,
      ours: median(turns.map(({ ours }) => ours)),
      floor: median(turns.map(({ floor }) => floor)),
    },
  }
}

export const measuredFigure = (
  row: FigureRow,
  figures: readonly number[],
  beside: string,
): MeasuredFigure => ({ ...row, turns: figures.length, figure: spreadOf(figures), beside })

const spreadOf = (values: readonly number[]): Spread => ({
  min: Math.min(...values),
  median: median(values),
  max: Math.max(...values),
})

export async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await run()
  return (performance.now() - began) / 1000
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
