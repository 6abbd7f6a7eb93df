/**
 * Shedding instead of dying: how much the reader takes on, and what it says to the rest.
 *
 * A request is *arriving* until its body is there, *waiting* while all places are taken, and *under way* while it is
 * answered. Each stage is bounded in number, addresses and bodies in the sum of their bytes, and all of it in time, so
 * that memory stays flat whatever comes:
 *
 * - beyond these bounds, or while the event loop turns too slowly: 503 `overloaded` at once, before a body is read;
 * - not answered by its deadline, which counts from its headers: 503 `deadline`, or 408 where its body is not there yet.
 *
 * A place stays taken until its work is done, answered or not: a store that hangs is asked by so many and no more. Where
 * there is room a request costs a few comparisons and an entry in a set; one timer looks at the deadlines of all.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { DeadlineError, OverloadedError, SlowRequestError } from './errors.ts'

export interface Bounds {
  /** Requests under way. A batch of 100 takes a millisecond of this process, so 64 keep it busy and each of them short. */
  readonly concurrency: number
  /** Requests waiting, and as many arriving: a burst that can still be answered long before the deadline. */
  readonly queue: number
  /** From a request's headers to its answer, and the 50 ms between two looks. A model that waits longer has given up. */
  readonly deadlineMs: number
  /** One body: 1,000 rows of several keys. */
  readonly bodyBytes: number
  /** All bodies together, and as much for all addresses. */
  readonly heldBytes: number
}

export const usualBounds: Bounds = {
  concurrency: 64,
  queue: 512,
  deadlineMs: 2_000,
  bodyBytes: 1 << 20,
  heldBytes: 64 << 20,
}

/** `queue`: there was no room; `lag`: the loop was slow; `deadline`: it took too long; `slow_request`: its body did. */
export type ShedReason = 'queue' | 'lag' | 'deadline' | 'slow_request'

export interface Gate {
  readonly bounds: Bounds
  readonly underWay: number
  readonly waiting: number
  /** How late the event loop was on average, when it was last looked at. */
  readonly lagMs: number
  /** How many requests were shed so far. */
  readonly shed: Readonly<Record<ShedReason, number>>
  /** Adds the gate's hooks, before any route. A route's handler must be async, or return what it answers. */
  addTo(app: FastifyInstance): void
}

interface Pass {
  readonly reply: FastifyReply
  readonly bytes: number
  readonly hasBody: boolean
  /** By `performance.now()`, like `expiresAt`. */
  readonly arrivedAt: number
  readonly expiresAt: number
  stage: 'arriving' | 'waiting' | 'under way' | 'over'
  /** Begins the work of one that waits. */
  begin: (() => void) | null
}

declare module 'fastify' {
  interface FastifyRequest {
    pass: Pass | null
  }
}

/** Whoever watches or balances must get through when nobody else does. */
const neverShed: ReadonlySet<string | undefined> = new Set(['/health', '/ready', '/metrics', '/openapi.json'])

const sweepEveryMs = 50
const lagWindowMs = 250
const lagResolutionMs = 20

// Made once: under overload there is no time for stack traces that nobody reads.
const refusals: Record<ShedReason, Error> = {
  queue: new OverloadedError(),
  lag: new OverloadedError(),
  deadline: new DeadlineError(),
  slow_request: new SlowRequestError(),
}

export function createGate(given: Partial<Bounds> = {}): Gate {
  const bounds = { ...usualBounds, ...given }
  const shed = { queue: 0, lag: 0, deadline: 0, slow_request: 0 }
  /** Those that are not answered yet, in order of arrival and so of their deadlines. */
  const open = new Set<Pass>()
  const waiting = new Set<Pass>()
  const held = { bodies: 0, addresses: 0 }
  let arrivingBodies = 0
  let underWay = 0
  let lagMs = 0

  function refusalOf(reason: ShedReason): Error {
    shed[reason]++
    return refusals[reason]
  }

  function enter(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
    const bodyBytes = announcedBytes(request, bounds.bodyBytes)
    const hasBody = bodyBytes > 0
    const bytes = hasBody ? bodyBytes : (request.raw.url?.length ?? 0)
    const isFull = waiting.size >= bounds.queue || lacksRoom(hasBody, bytes)
    // A loop that turns so slowly let a request wait for half of its time before anybody saw it.
    if (isFull || lagMs > bounds.deadlineMs / 2) {
      done(refusalOf(isFull ? 'queue' : 'lag'))
      return
    }
    const arrivedAt = performance.now()
    const expiresAt = arrivedAt + bounds.deadlineMs
    const pass: Pass = { reply, bytes, hasBody, arrivedAt, expiresAt, stage: 'arriving', begin: null }
    request.pass = pass
    open.add(pass)
    held[hasBody ? 'bodies' : 'addresses'] += bytes
    if (hasBody) arrivingBodies++
    done()
  }

  /** Whether there is none either when those are given up that take it for nothing. */
  function lacksRoom(hasBody: boolean, bytes: number): boolean {
    const isTaken = () =>
      (hasBody && arrivingBodies >= bounds.queue) ||
      held[hasBody ? 'bodies' : 'addresses'] + bytes > bounds.heldBytes
    if (!isTaken()) return false
    reclaim()
    return isTaken()
  }

  /**
   * Gives up those that were answered without their handler: one broke off, its body could not be read, or there is no
   * such route. A listener on every request would cost more than to look for them now and then, and where they take room.
   */
  function reclaim(): void {
    for (const pass of open) if (pass.stage === 'arriving' && pass.reply.sent) release(pass)
  }

  /** Gives up what a request holds but its place. */
  function release(pass: Pass): void {
    if (pass.stage === 'over') return
    if (pass.stage === 'arriving' && pass.hasBody) arrivingBodies--
    if (pass.stage === 'waiting') waiting.delete(pass)
    pass.stage = 'over'
    open.delete(pass)
    held[pass.hasBody ? 'bodies' : 'addresses'] -= pass.bytes
  }

  const through = (handler: RouteHandlerMethod): RouteHandlerMethod =>
    function (request, reply) {
      const { pass } = request
      const work = () => handler.call(this, request, reply)
      if (pass === null || pass.stage !== 'arriving') return work()
      if (pass.hasBody) arrivingBodies--
      if (underWay < bounds.concurrency) return takePlace(pass, work)
      pass.stage = 'waiting'
      if (waiting.size >= bounds.queue) {
        release(pass)
        throw refusalOf('queue')
      }
      waiting.add(pass)
      return new Promise((resolve) => (pass.begin = () => resolve(takePlace(pass, work))))
    }

  async function takePlace(pass: Pass, work: () => unknown): Promise<unknown> {
    pass.stage = 'under way'
    underWay++
    try {
      return await work()
    } catch (error) {
      // Nobody is there any more to hear of it.
      if (!open.has(pass)) return undefined
      throw error
    } finally {
      release(pass)
      underWay--
      fillPlaces()
    }
  }

  function fillPlaces(): void {
    for (const pass of waiting) {
      if (underWay >= bounds.concurrency) return
      if (pass.reply.request.socket.destroyed) {
        release(pass)
        continue
      }
      waiting.delete(pass)
      pass.begin?.()
    }
  }

  /** Answers in place of the handler, which may answer later and is not heard then. */
  function expire(pass: Pass): void {
    const isArriving = pass.stage === 'arriving'
    open.delete(pass)
    // One that is under way holds its bytes as long as its place.
    if (pass.stage !== 'under way') release(pass)
    if (pass.reply.sent || pass.reply.request.socket.destroyed) return
    // What is still on the way of the body would be read as the next request.
    if (isArriving) pass.reply.header('connection', 'close')
    pass.reply.send(refusalOf(isArriving ? 'slow_request' : 'deadline'))
    pass.reply.send = () => pass.reply
  }

  function sweep(): void {
    reclaim()
    const now = performance.now()
    for (const pass of open) {
      if (pass.expiresAt > now) return
      expire(pass)
    }
  }

  return {
    bounds,
    shed,
    get underWay() {
      return underWay
    },
    get waiting() {
      return waiting.size
    },
    get lagMs() {
      return lagMs
    },
    addTo(app) {
      app.decorateRequest('pass', null)
      // By route, not for all: what route a request is on costs more to ask than all the rest.
      app.addHook('onRoute', (route) => {
        if (neverShed.has(route.url)) return
        route.onRequest = [route.onRequest ?? [], enter].flat()
        route.handler = through(route.handler)
      })
      app.addHook('onRequest', (request, reply, done) => {
        if (request.is404) enter(request, reply, done)
        else done()
      })
      const sweeping = setInterval(sweep, sweepEveryMs).unref()
      const stopWatching = watchLag((latest) => (lagMs = latest))
      app.addHook('onClose', (_app, done) => {
        clearInterval(sweeping)
        stopWatching()
        done()
      })
    },
  }
}

/** How long the body will be by its headers, at most `limit`: one that is longer is refused. 0 without a body. */
function announcedBytes({ headers }: FastifyRequest, limit: number): number {
  if (headers['transfer-encoding'] !== undefined) return limit
  return Math.min(Number(headers['content-length'] ?? 0), limit)
}

/** Tells four times a second how late the event loop was on average. @returns stops it */
function watchLag(tell: (lagMs: number) => void): () => void {
  const delays = monitorEventLoopDelay({ resolution: lagResolutionMs })
  delays.enable()
  const timer = setInterval(() => {
    // There is no mean where the loop did not turn once.
    if (delays.count > 0) tell(Math.max(0, delays.mean / 1e6 - lagResolutionMs))
    delays.reset()
  }, lagWindowMs).unref()
  return () => {
    clearInterval(timer)
    delays.disable()
  }
}
