/** Two servers of `POST /online` say the same, or a ratio between them would say nothing. */
import { readFileSync } from 'node:fs'
import { unpack } from 'msgpackr'
import { messagePack } from './servedWorld.ts'
import type { Asking } from './wrk.ts'

export interface AnsweredRow {
  readonly values: readonly unknown[]
  readonly statuses: readonly string[]
  /** Instants as text, or as microseconds. */
  readonly event_timestamps: readonly (string | number | bigint | null)[]
}

const everyStatus = ['PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE']

/** Asks for a thousand entities around the first stranger. @throws where something differs, or a status does not occur */
export async function refuseDifferentAnswers(
  ours: Asking,
  floor: Asking,
  firstStranger: number,
): Promise<void> {
  const ids = readFileSync(ours.ids, 'utf8').split('\n')
  const asked = ids.slice(firstStranger - 500, firstStranger + 500)
  const [left, right] = [await rowsOf(ours, asked), await rowsOf(floor, asked)]
  for (const [at, id] of asked.entries()) {
    if (left[at] === undefined || left[at] !== right[at]) {
      throw new Error(`The reader answers ${left[at]} for ${id}, and its floor ${right[at]}.`)
    }
  }
  const missing = everyStatus.find((status) => !left.some((row) => row.includes(`"${status}"`)))
  if (missing !== undefined) throw new Error(`No value was ${missing}: too little was compared.`)
}

/** A row as text that is the same where values have the same bits. */
async function rowsOf(asking: Asking, ids: readonly string[]): Promise<string[]> {
  const rows = await askedRows(asking, ids)
  return rows.map(({ values, statuses, event_timestamps }) =>
    JSON.stringify([values, statuses, event_timestamps.map(microsOf)]),
  )
}

/** @throws where the answer is none */
export async function askedRows(
  { url, accept, body }: Asking,
  ids: readonly string[],
): Promise<AnsweredRow[]> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept },
    body: body[0] + ids.join('","') + body[1],
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  if (response.status !== 200) throw new Error(`${url} answers ${response.status}: ${bytes.toString()}`)
  const answer = (accept === messagePack ? unpack(bytes) : JSON.parse(bytes.toString())) as {
    results: AnsweredRow[]
  }
  return answer.results
}

const microsOf = (instant: string | number | bigint | null) =>
  instant === null ? null : typeof instant === 'string' ? Date.parse(instant) * 1000 : Number(instant)
