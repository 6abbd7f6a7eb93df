/** One group's answer as MessagePack. */
import { encodeFeature } from '../online/index.ts'
import { groupHead, type GroupAnswer } from './groupJson.ts'
import { packed, Packer } from './packer.ts'
import type { Tally } from './tally.ts'

const words = {
  entityId: packed('entity_id'),
  keys: packed('keys'),
  eventTimestamp: packed('event_timestamp'),
  features: packed('features'),
  value: packed('value'),
  status: packed('status'),
}

export function groupPacked(answer: GroupAnswer, tally: Tally): Buffer {
  const { card, cursor, question } = answer
  const names = cursor.features.map(({ name }) => packed(name))
  const packer = new Packer()
  packer.head(groupHead(answer), 'results')
  packer.array(question.entityIds.length)
  for (const [row, id] of question.entityIds.entries()) {
    cursor.moveTo(row)
    tally.row()
    packer.map(4)
    packer.raw(words.entityId)
    packer.value(id)
    packer.raw(words.keys)
    packer.map(card.keys.length)
    for (const [at, key] of card.keys.entries()) {
      packer.value(key.name)
      packer.raw(encodeFeature(key, question.keys[row]?.[at] ?? ''))
    }
    packer.raw(words.eventTimestamp)
    packer.room(9)
    packer.at = cursor.copyEventTimestampTo(packer.bytes, packer.at)
    packer.raw(words.features)
    packer.map(names.length)
    for (const [at, name] of names.entries()) {
      packer.raw(name)
      packer.map(2)
      packer.raw(words.value)
      packer.room(cursor.sizeOf(at))
      packer.at = cursor.copyTo(packer.bytes, packer.at, at)
      packer.raw(words.status)
      packer.value(cursor.status(at))
    }
  }
  return packer.done()
}
