/** Feature groups: a named, versioned set of features of one entity, computed from its sources on a cadence. */
import type { Answering, AnyInputs, AnyValues } from './answers.ts'
import type { AggregateCompute, Compute } from './compute.ts'
import type { DeclaredFeature } from './declared.ts'
import type { Entity, KeyType } from './entity.ts'
import { IntegrityError } from './errors.ts'
import type { AggregateFeature, Window } from './feature.ts'
import type { Gate } from './gate.ts'
import type { Source } from './source.ts'
import type { Duration } from './time.ts'

export type GroupFeature = AggregateFeature | DeclaredFeature

/** How a large group's table is cut beside its days: by a hash of one of its keys. */
export interface Buckets {
  /** A key of the entity. */
  readonly key: string
  /** How many, from 2 to 1,024. */
  readonly count: number
}

/** What engines call the partition; no column of the table may be called so. */
export const bucketPartition = ({ key }: Buckets): string => `${key}_bucket`

/** The values of features by name, and what is given for the keys: `FeatureGroup<{ orders: bigint | null }, { shop: string }>`. */
export interface FeatureGroup<out Values = AnyValues, out Inputs = AnyInputs> extends Answering<
  Values,
  Inputs
> {
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
  /** Null: the table is partitioned by day alone. */
  readonly buckets: Buckets | null
  readonly features: Readonly<Record<NameIn<Values>, GroupFeature>>
  readonly gates: readonly Gate[]
  /** Some of the group's features, for a service. */
  pick<Feature extends NameIn<Values>>(
    ...features: Feature[]
  ): FeatureSelection<{ [Name in Feature]: Values[Name] }, Inputs>
  /**
   * The group under other keys, so that a model can use it twice: `airportDelays.as('destination', { origin: 'destination' })`
   * looks up the group's key `origin` by the label's or request's column `destination`, and its features are called
   * `destination__<feature>`. Keys that are left out keep their names. All features, unless some are picked.
   */
  as<const Role extends string, const Columns extends Readonly<Partial<Record<string, string>>>>(
    role: Role,
    keys: Columns,
  ): RoleSelection<Role, Values, Renamed<Inputs, Columns>>
}

type NameIn<Values> = Extract<keyof Values, string>

/** Columns by the names that they have in a role. */
type Renamed<Inputs, Columns> = Inputs extends unknown
  ? { [Key in keyof Inputs as Key extends keyof Columns ? Extract<Columns[Key], string> : Key]: Inputs[Key] }
  : never

/** Values by the names that they have in a role. */
type InRole<Role extends string, Values> = {
  [Feature in NameIn<Values> as `${Role}__${Feature}`]: Values[Feature]
}

/** Features of one group, in the order in which a model takes them. */
export interface FeatureSelection<out Values = AnyValues, out Inputs = AnyInputs> extends Answering<
  Values,
  Inputs
> {
  readonly group: FeatureGroup
  readonly features: readonly string[]
  /** What stands before the features' names, where the group is used under other keys. */
  readonly role?: string
  /** Columns of labels and requests by the group's key; a key that is not here has its own name. */
  readonly keys?: Readonly<Record<string, string>>
}

export interface RoleSelection<
  Role extends string = string,
  out Values = AnyValues,
  out Inputs = AnyInputs,
> extends FeatureSelection<InRole<Role, Values>, Inputs> {
  pick<Feature extends NameIn<Values>>(
    ...features: Feature[]
  ): FeatureSelection<{ [Name in Feature as `${Role}__${Name}`]: Values[Name] }, Inputs>
}

/** What a feature is called in a training set and in a vector of a service. */
export const featureColumn = ({ role }: FeatureSelection, feature: string): string =>
  role === undefined ? feature : `${role}__${feature}`

/** The columns of labels and requests by which a selection is looked up, by the group's keys in their order. */
export const keyColumns = ({ group, keys = {} }: FeatureSelection): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.keys(group.entity.keys).map((key) => [key, keys[key] ?? key]))

/** `airport_delays_v1.mean_delay_24h as destination`, as sentences name what a service takes. */
export const selectedName = ({ group, role }: FeatureSelection, feature: string): string =>
  `${group.id}.${feature}${role === undefined ? '' : ` as ${role}`}`

/** What a definition says of a group, whichever way it is computed. */
export interface GroupDefinition<
  Features extends Record<string, GroupFeature>,
  Keys extends Record<string, KeyType> = Record<string, KeyType>,
> {
  name: string
  version: number
  owner: string
  description: string
  /**
   * Says that a change of what is computed is a fix: the same meaning, computed rightly. It keeps the version and makes
   * the published intervals missing. A fix of one feature says so itself.
   */
  fix?: string
  entity: Entity<Keys>
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
  /**
   * For a large group: its table is partitioned by day and by `bucket[count](key)`, so that whoever asks for some entities
   * (a training set's join, PyIceberg, Spark) reads only their files. Every day then has up to `count` files, so take few.
   * A table is made once: another choice is another version.
   */
  buckets?: Buckets
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
