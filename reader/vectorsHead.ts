/** What an answer of vectors says once: of which groups, how old they are, and what the columns are. */
import type { EpochMs } from '../model/index.ts'
import { groupAge, type GroupCard } from '../online/index.ts'
import { packed, type Packer } from './packer.ts'
import type { ReadPlan } from './plan.ts'
import type { Vectors } from './vectors.ts'

interface ReadGroup {
  readonly feature_group: string
  readonly role: string | null
  readonly age_seconds: number
  readonly stale: boolean
  readonly snapshot_id: string
}

interface ReadColumn {
  readonly name: string
  readonly type: string
  /** Its place among the groups; null for what is computed on demand. */
  readonly group: number | null
}

const readGroups = ({ plan, lookups, nowMs }: Vectors): ReadGroup[] =>
  lookups.map(({ cursor: { card }, complete }, at) => {
    const { ageMs, stale } = groupAge({ cadenceMs: card.cadenceMs, complete }, nowMs)
    const role = plan.lookups[at]?.role ?? null
    return {
      ...{ feature_group: card.group, role, age_seconds: ageMs / 1000, stale },
      snapshot_id: complete.snapshotId,
    }
  })

const readColumns = ({ plan, lookups }: Vectors): ReadColumn[] => [
  ...plan.stored.map(({ name, lookup, feature }) => {
    const type = lookups[lookup]?.cursor.features[feature]?.type ?? ''
    return { name, type, group: lookup }
  }),
  ...plan.onDemand.flatMap(({ made }) => made.map(({ name, type }) => ({ name, type, group: null }))),
]

/** The same as JSON, without its end. */
export function vectorsHeadJson(vectors: Vectors): string {
  const parts = fixedParts(vectors)
  const { json } = parts
  // Many requests are answered in one millisecond.
  if (json.ms === vectors.nowMs) return json.text
  const { service, features } = parts
  const groups = JSON.stringify(readGroups(vectors))
  json.text = `{"service":${service},"as_of":"${new Date(vectors.nowMs).toISOString()}","groups":${groups},"features":${features}`
  json.ms = vectors.nowMs
  return json.text
}

/** The same as MessagePack, in a map of so many pairs more. */
export function packVectorsHead(packer: Packer, vectors: Vectors, more: number): void {
  const parts = fixedParts(vectors)
  packer.map(4 + more)
  packer.raw(parts.packedService)
  packer.raw(words.asOf)
  packer.int64(BigInt(Math.floor(vectors.nowMs)) * 1000n)
  packer.raw(words.groups)
  packer.value(readGroups(vectors))
  packer.raw(parts.packedFeatures)
}

const words = { asOf: packed('as_of'), groups: packed('groups') }

interface FixedParts {
  readonly cards: readonly GroupCard[]
  /** JSON. */
  readonly service: string
  readonly features: string
  /** The whole head as it was at a moment. */
  readonly json: { ms: EpochMs; text: string }
  /** MessagePack, names and values. */
  readonly packedService: Buffer
  readonly packedFeatures: Buffer
}

/** What stays the same from answer to answer, for as long as the cards do. */
const known = new WeakMap<ReadPlan, FixedParts>()

function fixedParts(vectors: Vectors): FixedParts {
  const { plan, lookups } = vectors
  const there = known.get(plan)
  if (there !== undefined && lookups.every(({ cursor }, at) => cursor.card === there.cards[at])) return there
  const features = readColumns(vectors)
  const parts = {
    cards: lookups.map(({ cursor }) => cursor.card),
    ...{ service: JSON.stringify(plan.service), features: JSON.stringify(features) },
    json: { ms: NaN, text: '' },
    packedService: Buffer.concat([packed('service'), packed(plan.service)]),
    packedFeatures: Buffer.concat([packed('features'), packed(features)]),
  }
  known.set(plan, parts)
  return parts
}
