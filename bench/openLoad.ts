/** Runs `openLoop.ts`. */
import { fileURLToPath } from 'node:url'
import { run } from '../scripts/tools.mjs'
import type { Asking } from './wrk.ts'

export interface Schedule extends Asking {
  readonly requestsPerSecond: number
  readonly seconds: number
}

export interface OpenLoopResult {
  readonly answered: number
  readonly failed: number
  readonly firstFailure: string | null
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** @throws where one request failed */
export async function runOpenLoop(schedule: Schedule): Promise<OpenLoopResult> {
  const program = fileURLToPath(new URL('openLoop.ts', import.meta.url))
  const { code, output } = await run(
    process.execPath,
    ['--import', 'tsx', program, JSON.stringify(schedule)],
    {},
  )
  if (code !== 0) throw new Error(`The open-loop load failed: ${output.trim().slice(-1000)}`)
  const result = JSON.parse(output.trim().split('\n').at(-1) ?? '') as OpenLoopResult
  if (result.failed > 0) {
    throw new Error(
      `Of ${result.answered + result.failed} requests to ${schedule.url} ${result.failed} failed, the first with ${result.firstFailure}.`,
    )
  }
  return result
}
