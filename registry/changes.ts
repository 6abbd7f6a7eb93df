/**
 * What a change of each field of a definition means. One table: fingerprints cover exactly the fields that are `fix` or
 * `breaking` here (a feature's not how its table is laid out, which is the group's affair), and `describeChange` takes its verdicts from it. A field that is forgotten does not compile.
 *
 * - `cosmetic` changes no stored row: prose, gates, how long a value may be used.
 * - `additive` adds a column; rows that are there keep their versions.
 * - `fix` changes what is computed. Where the definition says that it is a fix (the same meaning, computed rightly), it
 *   is allowed under the same version and makes the intervals missing; where it does not, it is breaking.
 * - `breaking` changes which rows there are, what they are keyed by or how the table is made, and needs a new version whatever anybody says.
 */
import type { Compute } from '../model/compute.ts'
import type { Entity } from '../model/entity.ts'
import type { Gate } from '../model/gate.ts'
import type { FeatureGroup, FeatureSelection, GroupFeature } from '../model/group.ts'
import type { OnDemand } from '../model/onDemand.ts'
import type { FeatureService } from '../model/service.ts'
import type { Source } from '../model/source.ts'
import { durationMs, parseInstant } from '../model/time.ts'
import { plainData, type Json } from './canonicalJson.ts'

export type ChangeKind = 'cosmetic' | 'additive' | 'fix' | 'breaking'
/** What is there at run time: `~` stands before what only the compiler sees. */
type FieldsOf<Thing> = Thing extends unknown ? Exclude<keyof Thing, 'pick' | 'as' | `~${string}`> : never
type Kinds<Thing, Elsewhere extends string = never> = Readonly<
  Record<Exclude<FieldsOf<Thing>, Elsewhere>, ChangeKind>
>

export const changeKinds = {
  entity: {
    kind: 'breaking',
    name: 'cosmetic',
    description: 'cosmetic',
    keys: 'breaking',
  } satisfies Kinds<Entity>,
  source: {
    kind: 'fix',
    name: 'cosmetic',
    description: 'cosmetic',
    format: 'fix',
    path: 'fix',
    timestamp: 'fix',
    timeZone: 'fix',
    completeFrom: 'fix',
    retention: 'cosmetic',
    nonexistent: 'fix',
    ambiguous: 'fix',
    arrival: 'fix',
    columns: 'fix',
    sources: 'fix',
    sql: 'fix',
  } satisfies Kinds<Source>,
  /** Those of a group's own fields that are not things with a table of their own. */
  group: {
    kind: 'breaking',
    id: 'breaking',
    name: 'breaking',
    version: 'breaking',
    owner: 'cosmetic',
    description: 'cosmetic',
    fix: 'cosmetic',
    every: 'breaking',
    availableAfter: 'fix',
    lateness: 'cosmetic',
    ttl: 'cosmetic',
    online: 'cosmetic',
    allowPartialWindows: 'fix',
    buckets: 'breaking',
  } satisfies Kinds<FeatureGroup, 'entity' | 'source' | 'sources' | 'compute' | 'features' | 'gates'>,
  compute: {
    kind: 'breaking',
    sql: 'fix',
    created: 'fix',
    over: 'fix',
    columns: 'fix',
    map: 'fix',
    codeHash: 'fix',
  } satisfies Kinds<Compute, 'features'>,
  feature: {
    kind: 'breaking',
    aggregate: 'fix',
    column: 'fix',
    condition: 'fix',
    where: 'fix',
    over: 'fix',
    q: 'fix',
    k: 'fix',
    edges: 'fix',
    type: 'breaking',
    default: 'cosmetic',
    description: 'cosmetic',
    fix: 'cosmetic',
  } satisfies Kinds<GroupFeature>,
  gate: {
    gate: 'cosmetic',
    feature: 'cosmetic',
    params: 'cosmetic',
    onViolation: 'cosmetic',
  } satisfies Kinds<Gate>,
  service: {
    kind: 'breaking',
    name: 'breaking',
    description: 'cosmetic',
    features: 'additive',
    onDemand: 'additive',
    preJoined: 'cosmetic',
  } satisfies Kinds<FeatureService>,
  /** One of a service's, where it is the same one: another at the end is the service's affair. */
  selection: {
    group: 'breaking',
    features: 'breaking',
    role: 'breaking',
    keys: 'breaking',
  } satisfies Kinds<FeatureSelection>,
  /** Its values are kept nowhere, so there is nothing to compute again: a model that was trained on it cannot be served. */
  onDemand: {
    kind: 'breaking',
    name: 'breaking',
    description: 'cosmetic',
    request: 'breaking',
    reads: 'breaking',
    features: 'breaking',
    compute: 'breaking',
    codeHash: 'breaking',
  } satisfies Kinds<OnDemand>,
} as const

export type Thing = keyof typeof changeKinds

/** A field that this table does not know was written by another version of Asof: its change is taken seriously. */
export function kindOfField(thing: Thing, field: string): ChangeKind {
  const kinds = new Map<string, ChangeKind>(Object.entries(changeKinds[thing]))
  return kinds.get(field) ?? 'fix'
}

const durations = new Set(['every', 'availableAfter', 'lateness', 'ttl', 'over', 'retention'])
const instants = new Set(['completeFrom'])
/** What holds where a field says nothing: to write it down changes nothing. */
const unsaid = new Map([
  ['nonexistent', 'refuse'],
  ['ambiguous', 'later'],
])

/** A field as what it means: `24h` and `1d` are one window, and midnight is one instant however it is written. */
export function meaningOfField(field: string, value: unknown): unknown {
  if (typeof value !== 'string') return value
  if (unsaid.get(field) === value) return undefined
  if (durations.has(field) && /^\d+[smhdw]$/.test(value)) return durationMs(value)
  return instants.has(field) ? parseInstant(value) : value
}

/** The fields of a thing that a result depends on. */
export function meaningOf(thing: Thing, value: object): { readonly [field: string]: Json } {
  const fields = Object.entries(value)
    .filter(([field, at]) => at !== undefined && typeof at !== 'function' && isMeaning(thing, field))
    .map(([field, at]) => [field, meaningOfField(field, at)] as const)
    .filter(([, at]) => at !== undefined)
  return plainData(Object.fromEntries(fields)) as { readonly [field: string]: Json }
}

function isMeaning(thing: Thing, field: string): boolean {
  const kind = kindOfField(thing, field)
  return kind === 'fix' || kind === 'breaking'
}
