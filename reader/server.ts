/**
 * The HTTP server under the reader: plain or TLS, and for how long one connection may take up its room.
 *
 * Every wait on a client is bounded, so that one which sends or reads by the drop ends by itself:
 * TLS handshake, headers and the whole request, an idle connection, an answer that nobody takes.
 */
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'

export interface ServerOptions {
  /** PEM; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null
  /** How many connections at most; those beyond are closed as they come. Null for as many as the system gives. */
  readonly maxConnections: number | null
}

/** Room for 1,000 composite ids in the address; Node's own limit of 16 KiB is too small for 1,000 of 16 characters. */
const maxHeaderSize = 1 << 19

/** 512 KiB of address take four seconds at 1 Mbit/s; a client in the same network needs milliseconds. */
const requestMs = 10_000
/** Node looks for requests that are over that time only so often, by default twice a minute. */
const lookEveryMs = 1_000
/** Longer than balancers keep an idle connection (a minute, mostly), so that it is they who close it and no request meets a closing one. */
const keepAliveMs = 72_000
/** A socket on which nothing moves while a request is under way: longer than any request may take, and nobody waits on. */
const stillMs = 30_000

/** Makes the server; it listens when it is told to. */
export function createHttpServer(listener: RequestListener, options: ServerOptions): Server {
  const bounds = {
    maxHeaderSize,
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    connectionsCheckingInterval: lookEveryMs,
    keepAliveTimeout: keepAliveMs,
  }
  const server =
    options.tls === null
      ? createServer(bounds, listener)
      : createTlsServer({ ...bounds, ...options.tls, handshakeTimeout: requestMs }, listener)
  server.timeout = stillMs
  if (options.maxConnections !== null) server.maxConnections = options.maxConnections
  return server
}
