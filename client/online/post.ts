/** `POST /online`, tried until there is an answer, no hope or no time: it only reads, so asking again does no harm. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Packr, Unpackr } from 'msgpackr'
import { InputError, IntegrityError, UnavailableError } from '../../model/errors.ts'

export interface Reader {
  /** Without a slash at its end, and without credentials: it stands in errors. */
  readonly address: string
  readonly token: () => string | undefined | Promise<string | undefined>
  readonly fetch: typeof fetch
  readonly attemptTimeoutMs: number
  readonly retries: number
}

/** Those who wait for an answer. */
export interface Waiting {
  /** Given once nobody waits any more. */
  readonly signal: AbortSignal
  /** By `performance.now()`, until when the last of them waits. */
  readonly until: () => number
  /** What the last try came to, for whoever stops waiting. */
  lastFailure: string | null
}

const packr = new Packr({ useRecords: false })
const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' })
const msgpack = 'application/msgpack'

/**
 * The body of the answer, decoded.
 *
 * @throws InputError (its context has the status) where the reader refuses, UnavailableError where it does not answer,
 * IntegrityError where it fails
 */
export async function post(reader: Reader, question: object, waiting: Waiting): Promise<unknown> {
  const body = packr.pack(question)
  for (let tries = 1; ; tries++) {
    const outcome = await attempt(reader, body, waiting.signal)
    if ('answer' in outcome) return outcome.answer
    const { failure, retryAfterMs } = outcome
    waiting.lastFailure = failure
    const waitMs = retryAfterMs + Math.random() * Math.min(longestPauseMs, firstPauseMs * 2 ** tries)
    if (tries > reader.retries || performance.now() + waitMs > waiting.until()) {
      const often = tries === 1 ? '' : ` (${tries} tries)`
      throw new UnavailableError(`${failure}${often}`, { address: reader.address, tries })
    }
    await sleep(waitMs, undefined, { signal: waiting.signal })
  }
}

/** Pauses are random below a bound that doubles, so that clients that were refused together do not come back together. */
const firstPauseMs = 25
const longestPauseMs = 1_000

type Outcome =
  | { readonly answer: unknown }
  /** Somebody may answer later. */
  | { readonly failure: string; readonly retryAfterMs: number }

async function attempt(reader: Reader, body: Uint8Array, signal: AbortSignal): Promise<Outcome> {
  const { address, attemptTimeoutMs } = reader
  const headers = await headersOf(reader)
  const timeout = AbortSignal.timeout(attemptTimeoutMs)
  try {
    const response = await reader.fetch(`${address}/online`, {
      method: 'POST',
      headers,
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, timeout]),
    })
    return outcomeOf(address, response, Buffer.from(await response.arrayBuffer()))
  } catch (error) {
    if (signal.aborted || error instanceof InputError || error instanceof IntegrityError) throw error
    const why = timeout.aborted
      ? `did not answer within ${attemptTimeoutMs} ms`
      : `is not there: ${causeOf(error)}`
    return { failure: `The reader at ${address} ${why}.`, retryAfterMs: 0 }
  }
}

async function headersOf({ token }: Reader): Promise<Record<string, string>> {
  const given = await token()
  const headers = { accept: msgpack, 'content-type': msgpack }
  if (given === undefined) return headers
  // Node would show it in its own error.
  if (!/^[\x21-\x7e]+$/.test(given)) {
    throw new InputError(
      'The token is empty or has characters that no header may have. Give it as it was made.',
    )
  }
  return { ...headers, authorization: `Bearer ${given}` }
}

const unavailable: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** @throws InputError, IntegrityError for an answer that will not be another one later */
function outcomeOf(address: string, { status, headers }: Response, bytes: Buffer): Outcome {
  const type = headers.get('content-type') ?? ''
  if (status === 200 && type.startsWith(msgpack)) return { answer: unpackr.unpack(bytes) as unknown }
  const { code, message } = errorOf(type, bytes)
  const said = message === null ? '' : `: ${message}`
  if (unavailable.has(status)) {
    return {
      failure: `The reader at ${address} answers ${status}${said === '' ? '.' : said}`,
      retryAfterMs: retryAfterMs(headers.get('retry-after')),
    }
  }
  if (status >= 400 && status < 500 && message !== null) {
    throw new InputError(message, { status, code, address })
  }
  if (status >= 500) {
    throw new IntegrityError(`The reader at ${address} answers ${status}${said === '' ? '.' : said}`, {
      status,
    })
  }
  throw new InputError(
    `What is at ${address} answers POST /online with ${status} ${type}, which no reader does. Give the reader's own address.`,
    { status, address },
  )
}

function errorOf(type: string, bytes: Buffer): { code: string | null; message: string | null } {
  try {
    const body: unknown = type.startsWith(msgpack) ? unpackr.unpack(bytes) : JSON.parse(bytes.toString())
    const { error } = body as { error: { code: unknown; message: unknown } }
    if (typeof error.code === 'string' && typeof error.message === 'string') {
      return { code: error.code, message: error.message }
    }
  } catch {
    // Whoever answered it was no reader.
  }
  return { code: null, message: null }
}

/** Of a number of seconds, or of a date. */
function retryAfterMs(header: string | null): number {
  const value =
    header === null ? 0 : /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return value > 0 ? value : 0
}

/** `ECONNREFUSED` beats `fetch failed`. */
function causeOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } }
  return cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error))
}
