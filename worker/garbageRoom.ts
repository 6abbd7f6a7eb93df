/**
 * How much garbage a process lets lie before V8 looks through its heap. After a rest of some seconds V8 means to keep a heap
 * small, and lets it grow by no more than a third, also when there is work again. What lies outside of the heap counts, and
 * passes through by the gigabyte: Redis' replies, columns of DuckDB's chunks. So everything was looked through ten times a
 * second, which took a third of all the time of a reader under load, and doubled its p99.
 */
import { constants, PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** What may lie: as much more memory as the process takes at work. Of a heap that was given little, half of what is left. */
const roomBytes = 64 * 2 ** 20
/** A heap of a few megabytes is not worth more. */
const mostPercent = 200
/** Below this V8 judges better by itself. */
const leastPercent = 50

/**
 * By how many percent of what is alive a heap may grow before it is looked through; 0 to leave it to V8.
 *
 * @param alive bytes that are no garbage
 * @param heapLimit what the heap may come to, `--max-old-space-size`
 */
export function growingPercent(alive: number, heapLimit: number): number {
  const room = Math.min(roomBytes, (heapLimit - alive) / 2)
  const percent = Math.min(mostPercent, Math.round((100 * room) / alive))
  return percent < leastPercent ? 0 : percent
}

/** For this process, from now on. */
export function keepGarbageRoom(): void {
  fit()
  // Right after V8 has looked, nearly all that is there is alive.
  const observer = new PerformanceObserver((seen) => {
    if (seen.getEntries().some(isWhole)) fit()
  })
  observer.observe({ entryTypes: ['gc'] })
}

function fit(): void {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
  // One of the flags that V8 reads anew each time.
  setFlagsFromString(`--heap-growing-percent=${growingPercent(used, limit)}`)
}

/** Whether the whole heap was looked through, and not only what is young. Types do not know what entries of this kind have. */
const isWhole = (entry: object) =>
  (entry as { readonly detail: { readonly kind: number } }).detail.kind ===
  constants.NODE_PERFORMANCE_GC_MAJOR
