import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { growingPercent } from '../../worker/garbageRoom.ts'

const megabyte = 2 ** 20

describe('room for garbage', () => {
  test('is the same amount whatever is alive, and V8 judges where that is little beside it', () => {
    const limit = 4_000 * megabyte
    expect([8, 32, 64, 100, 128, 200].map((alive) => growingPercent(alive * megabyte, limit))).toEqual([
      ...[200, 200, 100, 64, 50, 0],
    ])
  })

  test('takes no more than half of what a small heap has left', () => {
    expect([264, 180, 128, 1].map((limit) => growingPercent(72 * megabyte, limit * megabyte))).toEqual([
      ...[89, 75, 0, 0],
    ])
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
    import { keepGarbageRoom } from ${JSON.stringify(module)}
    if (${withRoom}) keepGarbageRoom()
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
