/** One group's answer as JSON text: what repeats in every entity (names, statuses) is quoted once. */
import { groupAge, scalarJson, type GroupCard, type GroupCursor, type LoadMark } from '../online/index.ts'
import type { EpochMs } from '../model/index.ts'
import type { Question } from './question.ts'
import type { Tally } from './tally.ts'

export interface GroupAnswer {
  readonly card: GroupCard & { readonly complete: LoadMark }
  readonly cursor: GroupCursor
  readonly question: Question
  readonly nowMs: EpochMs
}

export function groupHead({ card, nowMs }: GroupAnswer) {
  const { ageMs, stale } = groupAge(card, nowMs)
  return {
    feature_group: card.group,
    as_of: new Date(nowMs).toISOString(),
    age_seconds: ageMs / 1000,
    stale,
    snapshot_id: card.complete.snapshotId,
    keys: card.keys.map(({ name }) => name),
  }
}

export function groupJson(answer: GroupAnswer, tally: Tally): string {
  const { card, cursor, question } = answer
  const keyNames = card.keys.map(({ name }) => `${JSON.stringify(name)}:`)
  const names = cursor.features.map(({ name }) => `${JSON.stringify(name)}:{"value":`)
  let text = `${JSON.stringify(groupHead(answer)).slice(0, -1)},"results":[`
  for (const [row, id] of question.entityIds.entries()) {
    cursor.moveTo(row)
    tally.row()
    const keys = keyNames.map((name, at) => name + scalarJson(question.keys[row]?.[at] ?? ''))
    let features = ''
    for (const [at, name] of names.entries()) {
      features += `${at > 0 ? ',' : ''}${name}${cursor.json(at)},"status":"${cursor.status(at)}"}`
    }
    text += `${row > 0 ? ',' : ''}{"entity_id":${JSON.stringify(id)},"keys":{${keys.join(',')}},"event_timestamp":${cursor.eventTimestampJson},"features":{${features}}}`
  }
  return `${text}]}`
}
