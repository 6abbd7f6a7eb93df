/** Vectors as JSON text: a general serializer would lose 64-bit integers, and would be given a million objects first. */
import type { FunctionValue } from '../model/index.ts'
import { valueJson } from '../online/index.ts'
import type { MadeColumn } from './plan.ts'
import { moveTo, type ReadLookup, type Vectors } from './vectors.ts'
import { vectorsHead } from './vectorsHead.ts'

export function vectorsJson(vectors: Vectors): string {
  const { plan, lookups } = vectors
  const made = plan.onDemand.flatMap((step) => step.made)
  const stored = plan.stored.map(({ lookup, feature }) => {
    return { cursor: (lookups[lookup] as ReadLookup).cursor, feature }
  })
  const allPresent = stored.map(() => '"PRESENT"').join(',')
  let text = `${JSON.stringify(vectorsHead(vectors)).slice(0, -1)},"results":[`
  for (let row = 0; row < vectors.rows; row++) {
    moveTo(lookups, row)
    let values = ''
    let isPresent = true
    for (const { cursor, feature } of stored) {
      if (values !== '') values += ','
      values += cursor.json(feature)
      isPresent = isPresent && cursor.isAt(feature)
    }
    let statuses = isPresent
      ? allPresent
      : stored.map(({ cursor, feature }) => `"${cursor.status(feature)}"`).join(',')
    if (made.length > 0) {
      const separator = stored.length > 0 ? ',' : ''
      values += separator + madeValues(made, vectors.made[row] ?? [])
      statuses += separator + madeStatuses(vectors.made[row] ?? [])
    }
    const times = lookups.map(({ cursor }) => cursor.eventTimestampJson).join(',')
    text += `${row > 0 ? ',' : ''}{"values":[${values}],"statuses":[${statuses}],"event_timestamps":[${times}]}`
  }
  return `${text}]}`
}

const madeValues = (made: readonly MadeColumn[], values: readonly FunctionValue[]) =>
  made.map(({ type, default: absent }, at) => valueJson(type, values[at] ?? absent)).join(',')

const madeStatuses = (values: readonly FunctionValue[]) =>
  values.map((value) => (value === null ? '"NULL_VALUE"' : '"PRESENT"')).join(',')
