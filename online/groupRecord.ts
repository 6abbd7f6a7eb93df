/** What Redis keeps of a group beside its values: its card and the schema of every tag, as one JSON text. */
import { createHash } from 'node:crypto'
import { IntegrityError } from '../model/index.ts'
import { encodeCard, readCard, type StoredCard, type WrittenCard } from './card.ts'
import type { GroupCard, ValueSchema } from './store.ts'

export interface GroupRecord {
  readonly stored: StoredCard
  /** By tag. */
  readonly schemas: ReadonlyMap<string, ValueSchema>
}

/** The record with another card, and with the schema that new values have. */
export function withCard(
  record: GroupRecord | null,
  { group, schema }: Omit<GroupCard, 'complete'>,
  stored: StoredCard,
): GroupRecord {
  const there = record?.schemas.get(schema.tag)
  if (there !== undefined && JSON.stringify(there.features) !== JSON.stringify(schema.features)) {
    throw new IntegrityError(
      `group ${group}: two schemas have the tag ${schema.tag}. Rename one of the new features.`,
      { group, tag: schema.tag },
    )
  }
  return { stored, schemas: new Map([...(record?.schemas ?? []), [schema.tag, schema]]) }
}

export function encodeRecord({ stored, schemas }: GroupRecord): string {
  const features = Object.fromEntries([...schemas].map(([tag, schema]) => [tag, schema.features]))
  return `{"card":${encodeCard(stored)},"schemas":${JSON.stringify(features)}}`
}

/** Of a record as it is encoded: whoever knows this one need not read it again. */
export const recordVersion = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 32)

/** @throws IntegrityError where the card has another format */
export function decodeRecord(text: string): GroupRecord {
  const { card, schemas } = JSON.parse(text) as {
    readonly card: WrittenCard
    readonly schemas: Readonly<Record<string, ValueSchema['features']>>
  }
  const entries = Object.entries(schemas).map(([tag, features]) => [tag, { tag, features }] as const)
  return { stored: readCard(card), schemas: new Map(entries) }
}
