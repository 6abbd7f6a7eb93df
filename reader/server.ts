/**
 * The HTTP server under the reader: plain or TLS, and for how long one connection may take up its room.
 *
 * Every wait on a client is bounded, so that one which sends or reads by the drop ends by itself:
 * TLS handshake, headers and the whole request, an idle connection, an answer that nobody takes.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { Socket } from 'node:net'

export interface ServerOptions {
  /** PEM; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null
  /** How many connections at most; those beyond are closed as they come. Null for as many as the system gives. */
  readonly maxConnections: number | null
  /** A request must be there so soon, headers, body and all; a TLS handshake too. */
  readonly requestMs: number
  /** For so long a client may leave a part of its answers untaken. */
  readonly untakenMs: number
}

export const usualServer: ServerOptions = {
  tls: null,
  maxConnections: null,
  // 512 KiB of address take four seconds at 1 Mbit/s; a client in the same network needs milliseconds.
  requestMs: 10_000,
  untakenMs: 30_000,
}

/** Room for 1,000 composite ids in the address; Node's own limit of 16 KiB is too small for 1,000 of 16 characters. */
const maxHeaderSize = 1 << 19

/** Node looks for requests that are late only twice a minute by default. */
const lookEveryMs = 500
/** Longer than balancers keep an idle connection (a minute, mostly), so that it is they who close it and no request meets a closing one. */
const keepAliveMs = 72_000

/** Makes the server; it listens when it is told to. */
export function createHttpServer(listener: RequestListener, options: ServerOptions): Server {
  const bounds = {
    maxHeaderSize,
    headersTimeout: options.requestMs,
    requestTimeout: options.requestMs,
    connectionsCheckingInterval: lookEveryMs,
    keepAliveTimeout: keepAliveMs,
  }
  const server =
    options.tls === null
      ? createServer(bounds, listener)
      : createTlsServer({ ...bounds, ...options.tls, handshakeTimeout: options.requestMs }, listener)
  cutUntaken(server, options)
  if (options.maxConnections !== null) server.maxConnections = options.maxConnections
  return server
}

/**
 * Cuts connections whose client does not take its answers, or by the drop: what it leaves lies in our memory. Node's own
 * timeout sees only a socket on which nothing moves at all.
 */
function cutUntaken(server: Server, { tls, untakenMs }: ServerOptions): void {
  const sockets = new Map<Socket, { looks: number }>()
  server.on(tls === null ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.set(socket, { looks: 0 })
    socket.once('close', () => sockets.delete(socket))
  })
  const timer = setInterval(() => {
    for (const [socket, seen] of sockets) {
      seen.looks = socket.writableLength === 0 ? 0 : seen.looks + 1
      if (seen.looks * lookEveryMs > untakenMs) socket.destroy()
    }
  }, lookEveryMs).unref()
  server.once('close', () => clearInterval(timer))
}
