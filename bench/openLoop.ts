/**
 * Open-loop load: requests are due at fixed moments, whether those before were answered or not, and latency counts from
 * the moment that one was due. So a server that stands still for a second is charged with every request of that second,
 * which a client that waits for its answers would not have sent.
 *
 * A program of its own, so that nothing else keeps its timers waiting. These are exact to a millisecond, and so are the
 * latencies: one is never shown too short. Requests are made beforehand and answers looked at no further than their
 * status and length: a general client takes as long as the server, and its pauses would be counted as the server's.
 *
 * `openLoop.ts <schedule as JSON>` prints an `OpenLoopResult` as a line of JSON.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { OpenLoopResult, Schedule } from './openLoad.ts'

/** Far more than are under way at half of the capacity; beyond them requests wait here, and their latency grows. */
const connections = 64
const requestsMade = 2_000
const patienceMs = 10_000

const schedule = JSON.parse(process.argv[2] ?? '') as Schedule
const { entities, accept, body, requestsPerSecond, seconds } = schedule
const url = new URL(schedule.url)
const ids = readFileSync(schedule.ids, 'utf8').trimEnd().split('\n')

function makeRequest(): Buffer {
  const picked = Array.from({ length: entities }, () => ids[Math.floor(Math.random() * ids.length)])
  const text = body[0] + picked.join('","') + body[1]
  const lines = [
    ...[`POST ${url.pathname} HTTP/1.1`, `host: ${url.host}`, `accept: ${accept}`],
    ...['content-type: application/json', `content-length: ${Buffer.byteLength(text)}`],
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${text}`)
}

const requests = Array.from({ length: requestsMade }, makeRequest)
const latencies: number[] = []
const failures: string[] = []
/** When those were due that wait for a connection. */
const waiting: number[] = []
const idle: Connection[] = []
let open = 0
let made = 0

/** One request at a time, and another connection in its place when it ends. */
class Connection {
  private readonly socket: Socket
  private due = NaN
  private head: Buffer | null = null
  private missing = 0
  private status = ''

  constructor() {
    open++
    this.socket = connect(Number(url.port), url.hostname)
    this.socket.setNoDelay(true)
    this.socket.setTimeout(patienceMs, () => this.fail(`no answer after ${patienceMs} ms`))
    this.socket.on('data', (chunk) => this.take(chunk))
    this.socket.on('error', (error) => this.fail(error.message))
    this.socket.on('close', () => this.fail('the connection was closed'))
  }

  ask(due: number): void {
    this.due = due
    this.socket.write(requests[made++ % requestsMade] as Buffer)
  }

  end(): void {
    this.socket.destroy()
  }

  private take(chunk: Buffer): void {
    if (this.missing === 0) {
      const bytes: Buffer = this.head === null ? chunk : Buffer.concat([this.head, chunk])
      const end = bytes.indexOf('\r\n\r\n')
      this.head = end < 0 ? bytes : null
      if (end < 0) return
      const text = bytes.toString('latin1', 0, end)
      this.status = text.slice(9, 12)
      this.missing = Number(/\r\ncontent-length: *(\d+)/i.exec(text)?.[1]) - (bytes.length - end - 4)
    } else this.missing -= chunk.length
    if (this.missing > 0) return
    this.missing = 0
    if (this.status === '200') latencies.push(performance.now() - this.due)
    else failures.push(this.status)
    this.due = NaN
    const next = waiting.shift()
    if (next === undefined) idle.push(this)
    else this.ask(next)
  }

  private fail(reason: string): void {
    const place = idle.indexOf(this)
    if (place >= 0) idle.splice(place, 1)
    else if (Number.isNaN(this.due)) return
    else failures.push(reason)
    this.due = NaN
    open--
    this.socket.destroy()
    const next = waiting.shift()
    if (next !== undefined) new Connection().ask(next)
  }
}

const total = Math.floor(requestsPerSecond * seconds)
const began = performance.now() + 100
for (let sent = 0; sent < total;) {
  const due = began + (sent * 1000) / requestsPerSecond
  const waitMs = due - performance.now()
  if (waitMs > 0) {
    await sleep(waitMs)
    continue
  }
  sent++
  const connection = idle.pop() ?? (open < connections ? new Connection() : undefined)
  if (connection === undefined) waiting.push(due)
  else connection.ask(due)
}
while (latencies.length + failures.length < total) await sleep(10)
for (const connection of idle) connection.end()

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
