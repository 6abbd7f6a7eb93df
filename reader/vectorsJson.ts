/** Vectors as JSON text: a general serializer would lose 64-bit integers, and would be given a million objects first. */
import type { FunctionValue } from '../model/index.ts'
import { valueJson } from '../online/index.ts'
import type { MadeColumn } from './plan.ts'
import type { Tally } from './tally.ts'
import { moveTo, type StoredPlace, type Vectors } from './vectors.ts'
import { vectorsHeadJson } from './vectorsHead.ts'

/** @param tally of the stored places, in their order */
export function vectorsJson(vectors: Vectors, stored: readonly StoredPlace[], tally: Tally): string {
  const { plan, lookups } = vectors
  const made = plan.onDemand.flatMap((step) => step.made)
  const allPresent = stored.map(() => '"PRESENT"').join(',')
  let text = `${vectorsHeadJson(vectors)},"results":[`
  for (let row = 0; row < vectors.rows; row++) {
    moveTo(lookups, row)
    let values = storedValues(stored)
    let statuses = tally.row() ? allPresent : storedStatuses(stored)
    if (made.length > 0) {
      const separator = stored.length > 0 ? ',' : ''
      values += separator + madeValues(made, vectors.made[row] ?? [])
      statuses += separator + madeStatuses(vectors.made[row] ?? [])
    }
    let times = ''
    for (const { cursor } of lookups) times += (times === '' ? '' : ',') + cursor.eventTimestampJson
    text += `${row > 0 ? ',' : ''}{"values":[${values}],"statuses":[${statuses}],"event_timestamps":[${times}]}`
  }
  return `${text}]}`
}

/** Whatever JSON has a plain form for is written by the engine, a whole run at once; the rest one by one. */
function storedValues(stored: readonly StoredPlace[]): string {
  let text = ''
  let run: unknown[] = []
  const flush = () => {
    if (run.length === 0) return
    text += (text === '' ? '' : ',') + JSON.stringify(run).slice(1, -1)
    run = []
  }
  for (const { cursor, feature } of stored) {
    const plain = cursor.plain(feature)
    if (plain !== undefined) {
      run.push(plain)
      continue
    }
    flush()
    text += (text === '' ? '' : ',') + cursor.json(feature)
  }
  flush()
  return text
}

const storedStatuses = (stored: readonly StoredPlace[]) =>
  stored.map(({ cursor, feature }) => `"${cursor.status(feature)}"`).join(',')

const madeValues = (made: readonly MadeColumn[], values: readonly FunctionValue[]) =>
  made.map(({ type, default: absent }, at) => valueJson(type, values[at] ?? absent)).join(',')

const madeStatuses = (values: readonly FunctionValue[]) =>
  values.map((value) => (value === null ? '"NULL_VALUE"' : '"PRESENT"')).join(',')
