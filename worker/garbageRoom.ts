/**
 * How much garbage a reader lets lie before V8 looks through its heap. After a rest of some seconds V8 means to keep a heap
 * small, and lets it grow by no more than a third, also when there is work again: it then looked through everything ten
 * times a second, which took a third of all the time of a reader under load, and doubled its p99.
 */
import { setFlagsFromString } from 'node:v8'

/** What may lie: as much more memory as the reader takes under load. */
const roomBytes = 64 * 2 ** 20
/** What is alive in a reader without a cache. */
const aliveBytes = 32 * 2 ** 20
/** Below this V8 judges better by itself. */
const leastPercent = 50

/** By how many percent of what is alive a heap may grow before it is looked through; null to leave it to V8. */
export function growingPercent(cacheBytes: number): number | null {
  const percent = Math.round((100 * roomBytes) / (aliveBytes + cacheBytes))
  return percent < leastPercent ? null : percent
}

/** For this process, from now on. @param cacheBytes the most that is kept in memory */
export function keepGarbageRoom(cacheBytes: number): void {
  const percent = growingPercent(cacheBytes)
  // One of the flags that V8 reads anew each time.
  if (percent !== null) setFlagsFromString(`--heap-growing-percent=${percent}`)
}
