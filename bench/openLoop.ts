/**
 * Open-loop load: requests are due at fixed moments, whether those before were answered or not, and latency counts from
 * the moment that one was due. So a server that stands still for a second is charged with every request of that second,
 * which a client that waits for its answers would not have sent.
 *
 * A program of its own, so that nothing else keeps its timers waiting. These are exact to a millisecond, and so are the
 * latencies: one is never shown too short.
 *
 * `openLoop.ts <schedule as JSON>` prints an `OpenLoopResult` as a line of JSON.
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OpenLoopResult, Schedule } from './openLoad.ts'

/** Far more than are under way at half of the capacity; beyond them requests wait here, and their latency grows. */
const connections = 64
const patienceMs = 10_000

const schedule = JSON.parse(process.argv[2] ?? '') as Schedule
const { url, entities, accept, body, requestsPerSecond, seconds } = schedule
const ids = readFileSync(schedule.ids, 'utf8').trimEnd().split('\n')
const agent = new Agent({ keepAlive: true, maxSockets: connections })
const headers = { 'content-type': 'application/json', accept }

function nextBody(): string {
  const picked = Array.from({ length: entities }, () => ids[Math.floor(Math.random() * ids.length)])
  return body[0] + picked.join('","') + body[1]
}

/** Null where all is well. */
const ask = (): Promise<string | null> =>
  new Promise((resolve) => {
    const text = nextBody()
    const options = { agent, method: 'POST', timeout: patienceMs }
    const asked = request(
      url,
      { ...options, headers: { ...headers, 'content-length': Buffer.byteLength(text) } },
      (response) => {
        response.resume()
        response.once('end', () => resolve(response.statusCode === 200 ? null : `${response.statusCode}`))
        response.once('error', (error) => resolve(error.message))
      },
    )
    asked.once('timeout', () => asked.destroy(new Error(`no answer after ${patienceMs} ms`)))
    asked.once('error', (error) => resolve(error.message))
    asked.end(text)
  })

const latencies: number[] = []
const failures: string[] = []

async function askAt(due: number): Promise<void> {
  const failure = await ask()
  if (failure === null) latencies.push(performance.now() - due)
  else failures.push(failure)
}

const underWay: Promise<void>[] = []
const began = performance.now() + 100
for (let sent = 0; sent < requestsPerSecond * seconds;) {
  const due = began + (sent * 1000) / requestsPerSecond
  const waitMs = due - performance.now()
  if (waitMs > 0) {
    await sleep(waitMs)
    continue
  }
  underWay.push(askAt(due))
  sent++
}
await Promise.all(underWay)
agent.destroy()

latencies.sort((a, b) => a - b)
const quantile = (share: number) => latencies[Math.ceil(latencies.length * share) - 1] ?? NaN
const result: OpenLoopResult = {
  answered: latencies.length,
  failed: failures.length,
  firstFailure: failures[0] ?? null,
  p50Ms: quantile(0.5),
  p99Ms: quantile(0.99),
  maxMs: quantile(1),
}
process.stdout.write(`${JSON.stringify(result)}\n`)
