/** How a reader ends: it says so, lets balancers notice, finishes what it has begun, and is gone within a bound. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'

export interface DrainOptions {
  /** How long it goes on listening after `/ready` has begun to say `draining`: as long as a balancer takes to notice. */
  readonly graceMs: number
  /** How long requests under way may take to finish; then their connections are cut. */
  readonly patienceMs: number
}

/** Between two looks for connections that have become idle. */
const lookEveryMs = 50

/** Closes the reader. Every answer from now on is the last one of its connection. */
export async function drain(app: FastifyInstance, { graceMs, patienceMs }: DrainOptions): Promise<void> {
  const { server } = app
  server.prependListener('request', (_request, response) => {
    response.shouldKeepAlive = false
  })
  await sleep(graceMs)
  const closed = app.close()
  // Connections whose request began before wait for another one, which nobody may send.
  const closing = setInterval(() => server.closeIdleConnections(), lookEveryMs)
  const cutting = setTimeout(() => server.closeAllConnections(), patienceMs)
  await closed
  clearInterval(closing)
  clearTimeout(cutting)
}
