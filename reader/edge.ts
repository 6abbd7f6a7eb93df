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
  /** What Fastify has to be made with. */
  readonly fastifyOptions: Required<Pick<FastifyServerOptions, 'serverFactory' | 'bodyLimit'>>
  /** Adds the edge's hooks; before any route is added. */
  addTo(app: FastifyInstance): void
}

export function createEdge({ access = createAccess(), bounds, server = {} }: EdgeOptions = {}): Edge {
  const gate = createGate(bounds)
  return {
    access,
    gate,
    fastifyOptions: {
      bodyLimit: gate.bounds.bodyBytes,
      serverFactory: (listener) => createHttpServer(listener, { ...usualServer, ...server }),
    },
    addTo(app) {
      // Whoever may not ask takes no room.
      addAccess(app, access)
      gate.addTo(app)
    },
  }
}
