import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { aliveBytes, growingPercent } from '../../worker/garbageRoom.ts'

const megabyte = 2 ** 20

describe('room for garbage', () => {
  test('is the same amount whatever a cache keeps, and V8 judges where that is little beside it', () => {
    expect(growingPercent(aliveBytes.reader)).toBe(200)
    expect(growingPercent(aliveBytes.worker)).toBe(89)
    expect(growingPercent(aliveBytes.reader + 64 * megabyte)).toBe(67)
    expect(growingPercent(aliveBytes.reader + 128 * megabyte)).toBeNull()
  })

  test('takes no more than half of what a small heap has left', () => {
    expect(growingPercent(aliveBytes.worker, 180 * megabyte)).toBe(75)
    expect(growingPercent(aliveBytes.worker, 128 * megabyte)).toBeNull()
    expect(growingPercent(aliveBytes.worker, megabyte)).toBeNull()
  })

  test('makes V8 look through a heap less often than where it means to keep it small', async () => {
    const [room, none] = await Promise.all([looks(true), looks(false)])
    expect(none).toBeGreaterThan(10)
    expect(room).toBeLessThan(none / 3)
  })
})

/** How often V8 looks through a heap of some megabytes while much is made in it that lives a while. */
async function looks(withRoom: boolean): Promise<number> {
  const module = new URL('../../worker/garbageRoom.ts', import.meta.url).href
  const program = `
    import { constants, PerformanceObserver } from 'node:perf_hooks'
    import { aliveBytes, keepGarbageRoom } from ${JSON.stringify(module)}
    if (${withRoom}) keepGarbageRoom(aliveBytes.reader)
    let count = 0
    const isMajor = ({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR
    const seen = new PerformanceObserver((entries) => (count += entries.getEntries().filter(isMajor).length))
    seen.observe({ entryTypes: ['gc'] })
    const alive = Array.from({ length: 200_000 }, (_, at) => ({ at }))
    const young = []
    for (let at = 0; at < 60_000; at++) {
      young[at % 2_000] = new Array(1_000).fill(at)
      if (at % 500 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
    console.log(count, alive.length)`
  // As V8 does by itself where a process has rested.
  const flags = ['--optimize-for-size', '--import', 'tsx', '--input-type=module', '-e', program]
  const { stdout } = await promisify(execFile)(process.execPath, flags)
  return Number(stdout.split(' ')[0])
}
