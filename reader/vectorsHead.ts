/** What an answer of vectors says once: of which groups, how old they are, and what the columns are. */
import { groupAge, type GroupCard } from '../online/index.ts'
import type { ReadPlan } from './plan.ts'
import type { Vectors } from './vectors.ts'

export interface VectorsHead {
  readonly service: string | null
  readonly as_of: string
  readonly groups: readonly {
    readonly feature_group: string
    readonly role: string | null
    readonly age_seconds: number
    readonly stale: boolean
    readonly snapshot_id: string
  }[]
  readonly features: readonly {
    readonly name: string
    readonly type: string
    readonly group: number | null
  }[]
}

export function vectorsHead({ plan, lookups, nowMs }: Vectors): VectorsHead {
  return {
    service: plan.service,
    as_of: new Date(nowMs).toISOString(),
    groups: lookups.map(({ cursor: { card }, complete }, at) => {
      const { ageMs, stale } = groupAge({ ...card, complete }, nowMs)
      const role = plan.lookups[at]?.role ?? null
      return {
        ...{ feature_group: card.group, role, age_seconds: ageMs / 1000, stale },
        snapshot_id: complete.snapshotId,
      }
    }),
    features: [
      ...plan.stored.map(({ name, lookup, feature }) => {
        const type = lookups[lookup]?.cursor.features[feature]?.type ?? ''
        return { name, type, group: lookup }
      }),
      ...plan.onDemand.flatMap(({ made }) => made.map(({ name, type }) => ({ name, type, group: null }))),
    ],
  }
}

/** The same as JSON, without its end. */
export function vectorsHeadJson(vectors: Vectors): string {
  const { plan, lookups, nowMs } = vectors
  const { service, features } = fixedParts(vectors)
  let groups = ''
  for (const [at, { cursor, complete }] of lookups.entries()) {
    const { group } = cursor.card
    const { ageMs, stale } = groupAge({ ...cursor.card, complete }, nowMs)
    const role = JSON.stringify(plan.lookups[at]?.role ?? null)
    groups += `${at > 0 ? ',' : ''}{"feature_group":"${group}","role":${role},"age_seconds":${ageMs / 1000},"stale":${stale},"snapshot_id":"${complete.snapshotId}"}`
  }
  return `{"service":${service},"as_of":"${new Date(nowMs).toISOString()}","groups":[${groups}],"features":${features}`
}

interface FixedParts {
  readonly cards: readonly GroupCard[]
  readonly service: string
  readonly features: string
}

/** What stays the same from answer to answer, for as long as the cards do. */
const known = new WeakMap<ReadPlan, FixedParts>()

function fixedParts(vectors: Vectors): FixedParts {
  const { plan, lookups } = vectors
  const there = known.get(plan)
  if (there !== undefined && lookups.every(({ cursor }, at) => cursor.card === there.cards[at])) return there
  const { service, features } = vectorsHead(vectors)
  const parts = {
    cards: lookups.map(({ cursor }) => cursor.card),
    ...{ service: JSON.stringify(service), features: JSON.stringify(features) },
  }
  known.set(plan, parts)
  return parts
}
