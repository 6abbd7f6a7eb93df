/**
 * Questions that are asked in the same turn of the event loop go out together, up to 1,000 rows a request, and each asker
 * gets its own rows back, or its own error.
 *
 * Where a reader refuses a request of several askers, each half of them is asked again, until who is refused stands
 * alone: at worst everybody asks once, as without batches.
 */
import { InputError, UnavailableError } from '../../model/errors.ts'
import type { Answer } from './answer.ts'
import type { Waiting } from './post.ts'
import type { Question, Row } from './question.ts'

export const maxRows = 1000

/** Asks for rows in one request; answers come in their order. */
export type AskRows = (question: Question, rows: readonly Row[], waiting: Waiting) => Promise<Answer[]>

export interface Patience {
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

export type AskTogether = (question: Question, rows: readonly Row[], patience: Patience) => Promise<Answer[]>

interface Asker {
  readonly rows: readonly Row[]
  readonly until: number
  readonly answer: (answers: Answer[]) => void
  readonly refuse: (reason: unknown) => void
  /** Has its answer, or waits no more. */
  isDone: boolean
  /** The request that it waits for now. */
  request: Request | null
}

/** @param address for the sentence of whoever waited in vain */
export function createBatches(ask: AskRows, address: string): AskTogether {
  let gathered = new Map<string, { readonly question: Question; readonly askers: Asker[] }>()

  const send = () => {
    const batches = gathered
    gathered = new Map()
    for (const { question, askers } of batches.values()) {
      for (const together of cut(askers)) void run(ask, question, together)
    }
  }

  return (question, rows, patience) =>
    new Promise((resolve, reject) => {
      const asker = newAsker(rows, patience, address, resolve, reject)
      if (asker === null) return
      if (gathered.size === 0) setImmediate(send)
      const there = gathered.get(question.id)
      if (there === undefined) gathered.set(question.id, { question, askers: [asker] })
      else there.askers.push(asker)
    })
}

/** Null where its signal was given before. */
function newAsker(
  rows: readonly Row[],
  { timeoutMs, signal }: Patience,
  address: string,
  resolve: (answers: Answer[]) => void,
  reject: (reason: unknown) => void,
): Asker | null {
  const end = () => {
    asker.isDone = true
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
    asker.request?.leave()
  }
  const refuse = (reason: unknown) => {
    end()
    reject(reason)
  }
  const abort = () => refuse(signal?.reason)
  const timer = setTimeout(() => {
    const last = asker.request?.lastFailure ?? `The reader at ${address} has not answered.`
    refuse(new UnavailableError(`${last} Nobody waits longer than ${timeoutMs} ms.`, { address, timeoutMs }))
  }, timeoutMs)
  const asker: Asker = {
    rows,
    until: performance.now() + timeoutMs,
    answer: (answers) => {
      end()
      resolve(answers)
    },
    refuse,
    isDone: false,
    request: null,
  }
  if (signal?.aborted === true) {
    abort()
    return null
  }
  signal?.addEventListener('abort', abort)
  return asker
}

/** Askers in their order, as many together as a request has room for. */
function cut(askers: readonly Asker[]): Asker[][] {
  const batches: Asker[][] = []
  let room = 0
  for (const asker of askers) {
    if (asker.rows.length > room) {
      batches.push([])
      room = maxRows
    }
    batches.at(-1)?.push(asker)
    room -= asker.rows.length
  }
  return batches
}

interface Request extends Waiting {
  /** Somebody waits no more. */
  leave(): void
}

function requestOf(askers: readonly Asker[]): Request {
  const controller = new AbortController()
  return {
    signal: controller.signal,
    until: () => Math.max(...askers.map(({ isDone, until }) => (isDone ? 0 : until))),
    lastFailure: null,
    leave: () => {
      if (askers.every(({ isDone }) => isDone)) controller.abort()
    },
  }
}

async function run(ask: AskRows, question: Question, all: readonly Asker[]): Promise<void> {
  const askers = all.filter(({ isDone }) => !isDone)
  if (askers.length === 0) return
  const request = requestOf(askers)
  for (const asker of askers) asker.request = request
  try {
    const rows = askers.flatMap((asker) => asker.rows)
    const answers = await ask(question, rows, request)
    let at = 0
    for (const asker of askers) asker.answer(answers.slice(at, (at += asker.rows.length)))
  } catch (error) {
    if (askers.length > 1 && isAboutRows(error)) {
      const half = Math.ceil(askers.length / 2)
      await Promise.all([run(ask, question, askers.slice(0, half)), run(ask, question, askers.slice(half))])
    } else {
      for (const asker of askers) asker.refuse(error)
    }
  }
}

/** Other refusals (no such service, no right to ask) are everybody's. */
const isAboutRows = (error: unknown) =>
  error instanceof InputError && [400, 413, 422].includes(Number(error.context['status']))
