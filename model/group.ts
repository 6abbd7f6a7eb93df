/** Feature groups: a named, versioned set of features of one entity, computed from its sources on a cadence. */
import type { AggregateCompute, Compute } from './compute.ts'
import type { DeclaredFeature } from './declared.ts'
import type { Entity } from './entity.ts'
import { IntegrityError } from './errors.ts'
import type { AggregateFeature, Window } from './feature.ts'
import type { Gate } from './gate.ts'
import type { Source } from './source.ts'
import type { Duration } from './time.ts'

export type GroupFeature = AggregateFeature | DeclaredFeature

export interface FeatureGroup<Feature extends string = string> {
  readonly kind: 'feature_group'
  /** `<name>_v<version>`; also the name of the table. */
  readonly id: string
  readonly name: string
  readonly version: number
  readonly owner: string
  readonly description: string
  /** Why what is computed has changed under the same version; null where nobody says that it is a fix. */
  readonly fix: string | null
  readonly entity: Entity
  /** Whose events aggregates and maps see; null for a query group, which names its own. */
  readonly source: Source | null
  /** Everything that the group reads. */
  readonly sources: readonly Source[]
  readonly compute: Compute
  readonly every: Duration
  readonly availableAfter: Duration
  readonly lateness: Duration
  readonly ttl: Duration | null
  readonly online: boolean
  readonly allowPartialWindows: boolean
  readonly features: Readonly<Record<Feature, GroupFeature>>
  readonly gates: readonly Gate[]
  /** Some of the group's features, for a service. */
  pick(...features: Feature[]): FeatureSelection
}

/** Features of one group, in the order in which a model takes them. */
export interface FeatureSelection {
  readonly group: FeatureGroup
  readonly features: readonly string[]
}

/** What a definition says of a group, whichever way it is computed. */
export interface GroupDefinition<Features extends Record<string, GroupFeature>> {
  name: string
  version: number
  owner: string
  description: string
  /**
   * Says that a change of what is computed is a fix: the same meaning, computed rightly. It keeps the version and makes
   * the published intervals missing. A fix of one feature says so itself.
   */
  fix?: string
  entity: Entity
  /** The cadence: how long an interval is. Intervals are aligned to the Unix epoch in UTC. */
  every: Duration
  /** An interval is due this long after its end. */
  availableAfter?: Duration
  /** How far back a refresh re-reads late events. */
  lateness?: Duration
  /** How long a value may be used; none means for ever. */
  ttl?: Duration
  /** Load the newest values into the online store. */
  online?: boolean
  /** Compute intervals whose windows reach before the source is complete. */
  allowPartialWindows?: boolean
  features: Features
  gates?: readonly Gate<NoInfer<Extract<keyof Features, string>>>[]
}

/**
 * The windows of a group; `feature` is null for one that all features share. What a query reads is its own affair, but
 * it is at least the interval.
 */
export function windowsOf({ compute, every }: FeatureGroup): { feature: string | null; over: Window }[] {
  switch (compute.kind) {
    case 'aggregate':
      return Object.entries(compute.features).map(([feature, { over }]) => ({ feature, over }))
    case 'map':
      return [{ feature: null, over: compute.over }]
    case 'query':
      return [{ feature: null, over: every }]
  }
}

/** The features of a group that is known to be made of aggregates. */
export function aggregatesOf({ id, compute }: FeatureGroup): AggregateCompute['features'] {
  if (compute.kind === 'aggregate') return compute.features
  throw new IntegrityError(`feature group ${id} is a ${compute.kind} group and has no aggregates.`)
}
