/**
 * The answer's JSON, written as text: a general serializer would lose 64-bit integers, and what repeats in every
 * entity (names, statuses) is quoted once.
 */
import {
  formatMicros,
  groupAge,
  scalarJson,
  valueJson,
  type EntityReading,
  type GroupCard,
  type LoadMark,
} from '../online/index.ts'
import type { EpochMs } from '../model/index.ts'
import type { Question } from './question.ts'

/** @param readings one per asked entity, in the order of the question */
export function writeAnswer(
  card: GroupCard & { readonly complete: LoadMark },
  nowMs: EpochMs,
  question: Question,
  readings: readonly EntityReading[],
): string {
  const names = card.keys.map(({ name }) => `${JSON.stringify(name)}:`)
  const results = readings.map((reading, index) => {
    const keys = names.map((name, place) => name + scalarJson(question.keys[index]?.[place] ?? ''))
    const id = JSON.stringify(question.entityIds[index])
    return `{"entity_id":${id},"keys":{${keys.join(',')}},${writeReading(reading)}}`
  })
  const { ageMs, stale } = groupAge(card, nowMs)
  const head = {
    feature_group: card.group,
    as_of: new Date(nowMs).toISOString(),
    age_seconds: ageMs / 1000,
    stale,
    snapshot_id: card.complete.snapshotId,
    keys: card.keys.map(({ name }) => name),
  }
  return `${JSON.stringify(head).slice(0, -1)},"results":[${results.join(',')}]}`
}

function writeReading({ eventTimestampMicros, features }: EntityReading): string {
  const at = eventTimestampMicros === null ? 'null' : `"${formatMicros(eventTimestampMicros)}"`
  let text = `"event_timestamp":${at},"features":{`
  let separator = ''
  for (const { name, type, value, status } of features) {
    text += `${separator}"${name}":{"value":${valueJson(type, value)},"status":"${status}"}`
    separator = ','
  }
  return `${text}}`
}
