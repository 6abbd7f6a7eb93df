/**
 * How much garbage a process lets lie before V8 looks through its heap. After a rest of some seconds V8 means to keep a heap
 * small, and lets it grow by no more than a third, also when there is work again. What lies outside of the heap counts, and
 * passes through by the gigabyte: Redis' replies, columns of DuckDB's chunks. So everything was looked through ten times a
 * second, which took a third of all the time of a reader under load, and doubled its p99.
 */
import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** What may lie: as much more memory as the process takes at work. Of a heap that was given little, half of what is left. */
const roomBytes = 64 * 2 ** 20
/** What is alive in a worker, and in a reader without what it caches. */
export const aliveBytes = { worker: 72 * 2 ** 20, reader: 32 * 2 ** 20 } as const
/** Below this V8 judges better by itself. */
const leastPercent = 50

/**
 * By how many percent of what is alive a heap may grow before it is looked through; null to leave it to V8.
 *
 * @param alive bytes that are no garbage, at most
 * @param heapLimit what the heap may come to, `--max-old-space-size`
 */
export function growingPercent(
  alive: number,
  heapLimit = getHeapStatistics().heap_size_limit,
): number | null {
  const room = Math.min(roomBytes, (heapLimit - alive) / 2)
  const percent = Math.round((100 * room) / alive)
  return percent < leastPercent ? null : percent
}

/** For this process, from now on. @param alive bytes that are no garbage, at most */
export function keepGarbageRoom(alive: number): void {
  const percent = growingPercent(alive)
  // One of the flags that V8 reads anew each time.
  if (percent !== null) setFlagsFromString(`--heap-growing-percent=${percent}`)
}
