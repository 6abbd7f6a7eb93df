/**
 * Ratios that can be trusted on a noisy machine: the two sides take turns in one process, pair by pair, and the figure is
 * the median of the pairs' ratios. Seconds are shown for orientation only.
 */
export interface Measured {
  readonly what: string
  readonly floor: string
  readonly goal: number
  readonly ratio: { readonly min: number; readonly median: number; readonly max: number }
  readonly seconds: { readonly ours: number; readonly floor: number }
}

export interface Pair {
  readonly what: string
  readonly floor: string
  /** The ratio of our time to the floor's that we want at most. */
  readonly goal: number
  ours(): Promise<void>
  byHand(): Promise<void>
}

/** Takes turns, after one turn of each that does not count. */
export async function measure({ what, floor, goal, ours, byHand }: Pair, turns: number): Promise<Measured> {
  await byHand()
  await ours()
  const pairs: { ours: number; floor: number; ratio: number }[] = []
  for (let turn = 0; turn < turns; turn++) {
    const floorSeconds = await secondsOf(byHand)
    const ourSeconds = await secondsOf(ours)
    pairs.push({ ours: ourSeconds, floor: floorSeconds, ratio: ourSeconds / floorSeconds })
  }
  const ratios = pairs.map(({ ratio }) => ratio)
  return {
    what,
    floor,
    goal,
    ratio: { min: Math.min(...ratios), median: median(ratios), max: Math.max(...ratios) },
    seconds: { ours: median(pairs.map((pair) => pair.ours)), floor: median(pairs.map((pair) => pair.floor)) },
  }
}

async function secondsOf(run: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await run()
  return (performance.now() - began) / 1000
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? NaN)
    : ((sorted[middle - 1] ?? NaN) + (sorted[middle] ?? NaN)) / 2
}
