/**
 * The reader's edge: who may ask, how much it takes on, and how it ends. What is asked and answered lies behind it.
 *
 * @example
 * const edge = createEdge({ access: createAccess(tokens) })
 * const reader = createReader({ ...options, edge })
 * edge.access.replaceTokens(newTokens) // without a restart
 */
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { addAccess, createAccess, type Access } from './access.ts'
import { drain } from './draining.ts'
import { createMetrics, type Counted, type ReaderMetrics } from './metrics.ts'
import { addOpenApi } from './openApi.ts'
import { createGate, type Bounds, type Gate } from './shedding.ts'
import { createHttpServer, usualServer, type ServerOptions } from './server.ts'

export interface EdgeOptions {
  /** Anybody may ask unless it says otherwise. */
  readonly access?: Access
  /** The usual ones unless it says otherwise. */
  readonly bounds?: Partial<Bounds>
  /** Plain HTTP unless it says otherwise. */
  readonly server?: Partial<ServerOptions>
}

export interface Edge {
  readonly access: Access
  readonly gate: Gate
  readonly metrics: ReaderMetrics
  /** What Fastify has to be made with. */
  readonly fastifyOptions: Required<
    Pick<FastifyServerOptions, 'serverFactory' | 'bodyLimit' | 'return503OnClosing'>
  >
  /** Adds the edge's hooks and routes, before any other route. */
  addTo(app: FastifyInstance, of: Counted): void
  /** Whether the reader is about to end: it answers, and wants nobody new. */
  readonly isDraining: boolean
  /**
   * Ends the reader: `/ready` is 503 from now on, after `graceMs` nobody new is let in, and once what is under way is
   * answered, which takes no longer than its deadline, all connections are closed.
   */
  drain(app: FastifyInstance, graceMs: number): Promise<void>
}

/** For a client to take its answer when everything ends. */
const takingMs = 1_000

export function createEdge({ access = createAccess(), bounds, server = {} }: EdgeOptions = {}): Edge {
  const gate = createGate(bounds)
  const metrics = createMetrics(gate)
  let isDraining = false
  return {
    access,
    gate,
    metrics,
    fastifyOptions: {
      bodyLimit: gate.bounds.bodyBytes,
      // Whoever got through is answered.
      return503OnClosing: false,
      serverFactory: (listener) => createHttpServer(listener, { ...usualServer, ...server }),
    },
    addTo(app, of) {
      // Whoever may not ask takes no room.
      addAccess(app, access)
      gate.addTo(app)
      metrics.addTo(app, of)
      addOpenApi(app, access)
    },
    get isDraining() {
      return isDraining
    },
    drain(app, graceMs) {
      isDraining = true
      return drain(app, { graceMs, patienceMs: gate.bounds.deadlineMs + takingMs })
    },
  }
}
