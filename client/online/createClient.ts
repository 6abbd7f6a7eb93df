/** The client: what is asked in words of definitions goes out as rows, and what comes back has their types. */
import { InputError } from '../../model/errors.ts'
import type { AnyInputs, AnyValues } from '../../model/answers.ts'
import { readAnswers, type Answer } from './answer.ts'
import { createBatches, maxRows, type AskRows } from './batches.ts'
import { post, type Reader } from './post.ts'
import { bodyOf, questionOf, readRow, type Asked, type Given, type Row } from './question.ts'

export interface ClientOptions {
  /** A bearer token, or what returns the one of the moment. */
  readonly token?: string | (() => string | Promise<string>)
  /** How long one question may take, with all its tries; 5,000 unless given. */
  readonly timeoutMs?: number
  /** How long one try may take; 2,000 unless given. */
  readonly attemptTimeoutMs?: number
  /** How often to ask again a reader that sheds load, has no store or is not there; 3 unless given. */
  readonly retries?: number
  /** Node's own unless given: for another one's certificates, or a proxy. */
  readonly fetch?: typeof fetch
}

export interface CallOptions {
  /** Whoever aborts gets the signal's reason, and others in the same request their answers. */
  readonly signal?: AbortSignal
  /** In place of the client's own. */
  readonly timeoutMs?: number
}

export interface OnlineClient {
  /**
   * The values of one entity. Entities that are asked for in the same turn of the event loop travel in one request.
   *
   * @param given by name, the entity's keys and what on-demand features ask for; other fields are left alone
   * @throws InputError where the question is wrong, UnavailableError where no reader answers in time
   */
  get<Values extends AnyValues, Inputs extends AnyInputs>(
    asked: Asked<Values, Inputs>,
    given: Given<NoInfer<Inputs>>,
    options?: CallOptions,
  ): Promise<Answer<Values>>
  /**
   * The values of any number of entities, in their order: in requests of at most 1,000, four at a time, for each of which
   * the time limit counts.
   *
   * @throws as `get`, and then for all of them
   */
  getMany<Values extends AnyValues, Inputs extends AnyInputs>(
    asked: Asked<Values, Inputs>,
    given: readonly Given<NoInfer<Inputs>>[],
    options?: CallOptions,
  ): Promise<Answer<Values>[]>
}

/**
 * @param url of a reader, or of what stands before several: `http://127.0.0.1:8080`, `https://features.example.com/asof`
 * @throws InputError for what is no such address
 */
export function createClient(url: string | URL, options: ClientOptions = {}): OnlineClient {
  const reader = readerOf(url, options)
  const timeoutMs = wholeNumber('timeoutMs', options.timeoutMs ?? 5_000, 1)
  const together = createBatches(askRows(reader), reader.address)
  const patienceOf = (call: CallOptions) => ({
    signal: call.signal,
    timeoutMs: wholeNumber('timeoutMs', call.timeoutMs ?? timeoutMs, 1),
  })

  return {
    async get(asked, given, call = {}) {
      const question = questionOf(asked)
      const [answer] = await together(question, [readRow(question, given)], patienceOf(call))
      return answer as never
    },
    async getMany(asked, given, call = {}) {
      const question = questionOf(asked)
      const patience = patienceOf(call)
      const rows = given.map((one, at) => {
        try {
          return readRow(question, one)
        } catch (error) {
          throw placed(`row ${at + 1}`, error)
        }
      })
      const answers = await inTurns(rows, patience.signal, (part, signal) =>
        together(question, part, { ...patience, signal }),
      )
      return answers as never
    },
  }
}

function readerOf(url: string | URL, { token, fetch: own, ...options }: ClientOptions): Reader {
  return {
    address: addressOf(url),
    token: typeof token === 'function' ? token : () => token,
    // Looked up at each call, for whoever replaces Node's later.
    fetch: own ?? ((...request) => fetch(...request)),
    attemptTimeoutMs: wholeNumber('attemptTimeoutMs', options.attemptTimeoutMs ?? 2_000, 1),
    retries: wholeNumber('retries', options.retries ?? 3, 0),
  }
}

function addressOf(url: string | URL): string {
  const text = String(url)
  const parsed = URL.canParse(text) ? new URL(text) : null
  // What is no address may still hold a password: nothing of it is shown.
  if (parsed === null || !/^https?:$/.test(parsed.protocol)) {
    throw new InputError(
      "The reader's address is no http or https URL. Give one such as http://127.0.0.1:8080.",
    )
  }
  const { origin, pathname, search, hash, username, password } = parsed
  const path = pathname.replace(/\/+$/, '')
  if (username !== '' || password !== '') {
    throw new InputError(`The reader's address ${origin}${path} has credentials in it. Give them as token.`)
  }
  if (search !== '' || hash !== '') {
    throw new InputError(`The reader's address ${origin}${path} goes on behind its path. Leave that away.`)
  }
  return `${origin}${path}`
}

function wholeNumber(name: string, value: number, least: number): number {
  // Timers count in 31 bits.
  if (Number.isInteger(value) && value >= least && value < 2 ** 31) return value
  throw new InputError(`${name} ${value} is no whole number from ${least}. Give one, such as ${least + 1}.`, {
    name,
  })
}

const askRows = (reader: Reader): AskRows =>
  async function ask(question, rows, waiting): Promise<Answer[]> {
    try {
      const body = await post(reader, bodyOf(question, rows), waiting)
      return readAnswers(question, body, rows.length)
    } catch (error) {
      const isTooLarge = error instanceof InputError && error.context['status'] === 413
      if (!isTooLarge || rows.length === 1) throw error
      const half = Math.ceil(rows.length / 2)
      const parts = await Promise.all([
        ask(question, rows.slice(0, half), waiting),
        ask(question, rows.slice(half), waiting),
      ])
      return parts.flat()
    }
  }

const atATime = 4

/** Parts of at most 1,000 rows, a few under way at a time; the first that fails ends them all. */
async function inTurns(
  rows: readonly Row[],
  signal: AbortSignal | undefined,
  ask: (part: readonly Row[], signal: AbortSignal) => Promise<Answer[]>,
): Promise<Answer[]> {
  const parts: Answer[][] = []
  const failed = new AbortController()
  const either = signal === undefined ? failed.signal : AbortSignal.any([signal, failed.signal])
  let next = 0
  const work = async () => {
    for (let at = next++; at * maxRows < rows.length; at = next++) {
      const [from, to] = [at * maxRows, Math.min((at + 1) * maxRows, rows.length)]
      const part = rows.slice(from, to)
      parts[at] = await ask(part, either).catch((error: unknown) => {
        throw rows.length > maxRows ? placed(`rows ${from + 1} to ${to}`, error) : error
      })
    }
  }
  try {
    await Promise.all(Array.from({ length: atATime }, work))
  } catch (error) {
    failed.abort(error)
    throw error
  }
  return parts.flat()
}

/** Says of a mistake in which of many rows it is. */
const placed = (where: string, error: unknown) =>
  error instanceof InputError
    ? new InputError(`${where}: ${error.message}`, error.context, { cause: error })
    : error
