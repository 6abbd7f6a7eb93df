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

/** A store without any group was never loaded, or has lost everything: whether the group exists, it cannot say. */
export async function nothingThere(
  store: OnlineStore,
  group: string,
): Promise<NotFoundError | NotLoadedError> {
  const groups = await store.listGroups()
  if (groups.length === 0) return new NotLoadedError(group)
  return new NotFoundError(
    `There is no feature group ${JSON.stringify(group)} in the online store. There is ${groups.join(', ')}.`,
  )
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
  if (error instanceof UnavailableError) {
    return wait('store_unavailable', 'The online store does not answer. The log of the reader says why.', 5)
  }
  if (error instanceof InputError) return refusal(400, 'bad_request', error.message)
  const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500
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

/** Answers what was no HTTP request at all, or one whose address is too long to be read. */
export function refuseTornRequest(error: Error & { code?: string }, socket: Socket): void {
  if (socket.destroyed || error.code === 'ECONNRESET') return
  const tooLong = error.code === 'HPE_HEADER_OVERFLOW'
  const status = tooLong ? 431 : 400
  const body = tooLong
    ? errorBody({ code: 'too_long', message: 'The address is too long. Ask for fewer or shorter ids.' })
    : errorBody({ code: 'bad_request', message: 'This is no HTTP request that can be read.' })
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
}
