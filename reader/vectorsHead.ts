/** What an answer of vectors says once: of which groups, how old they are, and what the columns are. */
import { groupAge } from '../online/index.ts'
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
