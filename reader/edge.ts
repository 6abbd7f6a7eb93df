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
import { createHttpServer, type ServerOptions } from './server.ts'

export interface EdgeOptions {
  /** Anybody may ask unless it says otherwise. */
  readonly access?: Access
  /** Plain HTTP unless it says otherwise. */
  readonly server?: Partial<ServerOptions>
}

export interface Edge {
  readonly access: Access
  /** What Fastify has to be made with. */
  readonly fastifyOptions: Required<Pick<FastifyServerOptions, 'serverFactory'>>
  /** Adds the edge's hooks; before any route is added. */
  addTo(app: FastifyInstance): void
}

export function createEdge({ access = createAccess(), server = {} }: EdgeOptions = {}): Edge {
  return {
    access,
    fastifyOptions: {
      serverFactory: (listener) => createHttpServer(listener, { tls: null, maxConnections: null, ...server }),
    },
    addTo(app) {
      addAccess(app, access)
    },
  }
}
