/** Errors as HTTP: which status, what to say, and what never to show. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { InputError, UnavailableError } from '../model/index.ts'
import type { OnlineStore } from '../online/index.ts'

/** There is no such group. */
export class NotFoundError extends InputError {}

/** Who asks has shown no token, or none that counts. */
export class UnauthorizedError extends InputError {
  constructor() {
    super('This reader wants a token: send the header "authorization: Bearer <token>".')
  }
}

/** The group was never loaded completely, so a miss would prove nothing. */
export class NotLoadedError extends UnavailableError {
  constructor(group: string) {
    super(
      `Feature group ${group} has not been loaded completely yet. Wait for its load to finish, or run asof materialize ${group}.`,
      { group },
    )
  }
}

/**
 * A store without any group was never loaded, or has lost everything: whether the group exists, it cannot say. Nor is a
 * group unknown that a service takes or that was there before: it is lost, or being loaded again.
 */
export async function nothingThere(
  store: OnlineStore,
  group: string,
  isKnown: boolean,
): Promise<NotFoundError | NotLoadedError> {
  const groups = isKnown ? [] : await store.listGroups()
  if (groups.length === 0 || groups.includes(group)) return new NotLoadedError(group)
  return new NotFoundError(
    `There is no feature group ${JSON.stringify(group)} in the online store. There is ${groups.join(', ')}.`,
  )
}

/** There was no room for the request: nothing was done for it, and another reader may have room. */
export class OverloadedError extends UnavailableError {
  constructor() {
    super('The reader has more to do than it can. Ask again in a second, or start more readers.')
  }
}

/** The request was taken on, and not answered in time. */
export class DeadlineError extends UnavailableError {
  constructor() {
    super(
      'The answer was not ready by its deadline: the online store is slow, or there are too many requests. Ask again in a second.',
    )
  }
}

/** The body was not there in time. */
export class SlowRequestError extends InputError {
  constructor() {
    super('The body did not arrive in time. Send it at once, or a smaller one.')
  }
}

export interface ErrorResponse {
  readonly status: number
  readonly code: string
  readonly message: string
  readonly retryAfterSeconds: number | null
}

export function responseOf(error: unknown): ErrorResponse {
  if (error instanceof NotFoundError) return refusal(404, 'unknown_group', error.message)
  if (error instanceof UnauthorizedError) return refusal(401, 'unauthorized', error.message)
  if (error instanceof NotLoadedError) return wait('not_loaded', error.message, 10)
  if (error instanceof OverloadedError) return wait('overloaded', error.message, 1)
  if (error instanceof DeadlineError) return wait('deadline', error.message, 1)
  if (error instanceof UnavailableError) {
    return wait('store_unavailable', 'The online store does not answer. The log of the reader says why.', 5)
  }
  if (error instanceof SlowRequestError) return refusal(408, 'slow_request', error.message)
  if (error instanceof InputError) return refusal(400, 'bad_request', error.message)
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
  if (status === 413)
    return refusal(413, 'too_large', 'The body is too large. Ask for fewer entities at once.')
  if (status >= 400 && status < 500) return refusal(status, 'bad_request', (error as Error).message)
  return refusal(500, 'internal', 'The reader failed. Its log says why.')
}

const refusal = (status: number, code: string, message: string): ErrorResponse => ({
  status,
  code,
  message,
  retryAfterSeconds: null,
})

const wait = (code: string, message: string, retryAfterSeconds: number): ErrorResponse => ({
  status: 503,
  code,
  message,
  retryAfterSeconds,
})

export function errorBody({ code, message }: Pick<ErrorResponse, 'code' | 'message'>): string {
  return JSON.stringify({ error: { code, message } })
}

const lingerMs = 1_000
const noRequest = { status: 400, code: 'bad_request', message: 'This is no HTTP request that can be read.' }
const tornRequests: Readonly<Record<string, typeof noRequest>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'too_long',
    message: 'The address is too long. Ask for fewer or shorter ids.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: 'slow_request',
    message: 'The request did not arrive in time. Send it at once.',
  },
}

/** Answers what was no HTTP request at all, one whose address is too long to be read, or one that never came to its end. */
export function refuseTornRequest(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') return
  const { status, ...said } = tornRequests[error.code ?? ''] ?? noRequest
  const body = errorBody(said)
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'content-type: application/json; charset=utf-8',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
  // At once it would be a reset, and the answer lost, where more of the request is on the way.
  setTimeout(() => socket.destroy(), lingerMs).unref()
}
