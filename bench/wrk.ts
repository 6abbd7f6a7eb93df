/** Closed-loop load by wrk: eight connections of one thread ask as fast as they are answered. */
import { fileURLToPath } from 'node:url'
import { run } from '../scripts/tools.mjs'

/** Requests of one kind to one server. */
export interface Asking {
  readonly url: string
  /** A file of ids, one a line, from which every request takes some at random. */
  readonly ids: string
  readonly entities: number
  readonly accept: string
  /** The body: what stands before the first id, and after the last one. */
  readonly body: readonly [before: string, after: string]
}

export interface WrkResult {
  readonly requests: number
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Requests without an answer. */
  readonly failed: number
  /** Answers that were no 2xx. */
  readonly refused: number
}

const connections = 8

/**
 * The same seed asks the same questions in the same order.
 *
 * @returns requests a second
 * @throws where one request was not answered, or refused
 */
export async function capacityOf(
  wrk: string,
  asking: Asking,
  seconds: number,
  seed: number,
): Promise<number> {
  const script = fileURLToPath(new URL('ask.lua', import.meta.url))
  const { url, ids, entities, accept, body } = asking
  const { code, output } = await run(
    wrk,
    [
      ...['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', script, url, '--'],
      ...[ids, String(entities), String(seed), accept, ...body],
    ],
    {},
  )
  if (code !== 0) throw new Error(`wrk failed: ${output.trim().slice(-1000)}`)
  const result = JSON.parse(output.trim().split('\n').at(-1) ?? '') as WrkResult
  if (result.failed > 0 || result.refused > 0 || result.requests === 0) {
    throw new Error(
      `Of ${result.requests} requests to ${url} ${result.refused} were refused, and ${result.failed} not answered.`,
    )
  }
  return result.requests / result.seconds
}
