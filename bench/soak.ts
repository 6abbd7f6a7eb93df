/**
 * `npm run bench:soak`: ten minutes of reads, 100 entities each, in an open loop at half of the capacity that wrk has just
 * measured. It says what p50 and p99 were and how the reader's memory ran over the last four fifths of the time, and ends
 * with 4 where that grew. A request that fails ends it at once with an error. `ASOF_BENCH_SOAK_SECONDS` makes it shorter.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDuckDb } from '../offline/index.ts'
import { exitCodes, say } from '../scripts/output.ts'
import { median } from './measure.ts'
import { runOpenLoop } from './openLoad.ts'
import type { OwnProcess } from './ownProcess.ts'
import { askingOf, inServedWorld, type ServedWorld } from './servedWorld.ts'
import { duckdbLimits } from './subject.ts'
import { capacityOf } from './wrk.ts'

const seconds = Number(process.env['ASOF_BENCH_SOAK_SECONDS'] ?? 600)
/** Of its median, over the time that counts: a tenth is less than what a collection of garbage gives back. */
const mostGrowth = 0.1

interface Sample {
  readonly minutes: number
  readonly megabytes: number
}

/** Samples memory every second until it is stopped. */
function watchMemory(watched: OwnProcess): { stop(): Sample[] } {
  const began = performance.now()
  const samples: Sample[] = []
  const timer = setInterval(() => {
    samples.push({ minutes: (performance.now() - began) / 60_000, megabytes: watched.megabytes() })
  }, 1_000)
  return {
    stop() {
      clearInterval(timer)
      return samples
    },
  }
}

/** Megabytes a minute: the line of least squares. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [
    mean(samples.map(({ minutes }) => minutes)),
    mean(samples.map(({ megabytes }) => megabytes)),
  ]
  const products = samples.map(({ minutes, megabytes }) => (minutes - x) * (megabytes - y))
  return mean(products) / mean(samples.map(({ minutes }) => (minutes - x) ** 2))
}

async function soak(world: ServedWorld): Promise<void> {
  const asking = askingOf(world, world.ours, 100)
  await capacityOf(world.wrk, asking, 5, 1)
  const capacity = await capacityOf(world.wrk, asking, 5, 2)
  const requestsPerSecond = Math.round(capacity / 2)
  say(`The capacity is ${Math.round(capacity)} requests/s; ${seconds} s at ${requestsPerSecond} follow.`)
  const memory = watchMemory(world.ours.process)
  const { answered, p50Ms, p99Ms, maxMs } = await runOpenLoop({ ...asking, requestsPerSecond, seconds })
  const samples = memory.stop().filter(({ minutes }) => minutes * 60 >= seconds / 5)
  const [megabytes, slope] = [median(samples.map((sample) => sample.megabytes)), slopeOf(samples)]
  const growth = (slope * seconds * 0.8) / 60
  process.stdout.write(
    `soak: ${answered} requests of 100 entities in ${seconds} s, none failed; p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, at most ${maxMs.toFixed(1)} ms; reader memory ${Math.round(megabytes)} MB, ${slope.toFixed(2)} MB more a minute over the last four fifths\n`,
  )
  if (growth > mostGrowth * megabytes) {
    say(`The reader's memory grew by ${growth.toFixed(1)} MB, more than a tenth of it: something is kept.`)
    process.exitCode = exitCodes.checkFound
  }
}

const scratch = mkdtempSync(join(tmpdir(), 'asof-soak-'))
const duckdb = await openDuckDb({ ...duckdbLimits, tempDirectory: join(scratch, 'spill') })
try {
  await inServedWorld({ duckdb, scratch }, soak)
} finally {
  await duckdb.close()
  rmSync(scratch, { recursive: true, force: true })
}
