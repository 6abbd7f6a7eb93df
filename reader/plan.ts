/**
 * What a request reads: which groups are looked up, by which columns of the request, and where each value of the vector
 * comes from. Made once per service or list of features; columns are called as they are in a training set.
 */
import {
  featureColumn,
  groupIdsOf,
  InputError,
  madeColumns,
  type FeatureSelection,
  type FeatureService,
  type FeatureType,
  type OnDemand,
  type ScalarType,
} from '../model/index.ts'
import { slotsOf, type FeatureValue, type KeyColumns } from '../online/index.ts'

/** One group under one choice of key columns. */
export interface Lookup {
  readonly group: string
  readonly role: string | null
  /** Columns of the request by the group's key where their names differ. */
  readonly keys: Readonly<Record<string, string>>
  /** The features that are read: those of the vector, and those that only functions see. */
  readonly features: readonly string[]
  /** Id of the group's slot in a service that is pre-joined. */
  readonly slot: string | null
}

/** A stored value, by the name under which it is seen. */
export interface StoredColumn {
  readonly name: string
  /** Which lookup, and which of its features. */
  readonly lookup: number
  readonly feature: number
}

/** A stored value of the vector. */
export interface VectorColumn extends StoredColumn {
  /** How many columns from this one on are neighbouring features of one lookup. */
  readonly together: number
}

export interface MadeColumn {
  readonly name: string
  readonly type: FeatureType
  readonly default: FeatureValue
}

export interface OnDemandStep {
  readonly onDemand: OnDemand
  readonly request: readonly string[]
  /** What the function reads, by the name under which it sees it. */
  readonly reads: readonly StoredColumn[]
  readonly made: readonly MadeColumn[]
}

export interface ReadPlan {
  /** Null for a list of features. */
  readonly service: string | null
  /** Whether all lookups have slots; none has one otherwise. */
  readonly preJoined: boolean
  readonly lookups: readonly Lookup[]
  readonly stored: readonly VectorColumn[]
  readonly onDemand: readonly OnDemandStep[]
  /** What requests bring for functions, with types. */
  readonly request: ReadonlyMap<string, ScalarType>
}

export const columnOf = ({ keys }: Pick<Lookup, 'keys'>, key: string): string => keys[key] ?? key

/** The columns of a request that a lookup's keys stand in, in the order of the group's keys. */
export const lookupColumns = (lookup: Lookup, columns: KeyColumns): string[] =>
  columns.map(({ name }) => columnOf(lookup, name))

/** A selection without its group's definition, as lists of features have it. */
export interface Wanted {
  readonly group: string
  readonly role: string | null
  readonly keys: Readonly<Record<string, string>>
  readonly features: readonly string[]
}

const wantedOf = ({ group, role, keys, features }: FeatureSelection): Wanted => ({
  ...{ group: group.id, role: role ?? null, keys: keys ?? {}, features },
})

/** @param fullNames calls stored features `<group>__<feature>`, unless they are taken in a role */
export function planService(service: FeatureService, fullNames: boolean): ReadPlan {
  const { name, features, onDemand = [], preJoined = false } = service
  const slots = preJoined ? slotsOf(name, groupIdsOf(service)) : []
  const slotIds = new Map(slots.map(({ group, id }) => [group, id]))
  return makePlan(name, features.map(wantedOf), onDemand, fullNames, slotIds)
}

export const planFeatures = (features: readonly Wanted[], fullNames: boolean): ReadPlan =>
  makePlan(null, features, [], fullNames, new Map())

interface GrowingLookup extends Lookup {
  readonly features: string[]
}

function makePlan(
  service: string | null,
  wanted: readonly Wanted[],
  onDemand: readonly OnDemand[],
  fullNames: boolean,
  slotIds: ReadonlyMap<string, string>,
): ReadPlan {
  const lookups = new Map<string, { readonly at: number; readonly lookup: GrowingLookup }>()
  const place = (selection: Wanted, feature: string): Pick<StoredColumn, 'lookup' | 'feature'> => {
    const { group, role, keys } = selection
    const renamed = Object.entries(keys).filter(([key, column]) => key !== column)
    const id = JSON.stringify([group, role, renamed.sort()])
    let there = lookups.get(id)
    if (there === undefined) {
      const slot = slotIds.get(group) ?? null
      there = { at: lookups.size, lookup: { group, role, keys, features: [], slot } }
      lookups.set(id, there)
    }
    const { features } = there.lookup
    if (!features.includes(feature)) features.push(feature)
    return { lookup: there.at, feature: features.indexOf(feature) }
  }
  const names = new Map<string, string>()
  const stored = wanted.flatMap((selection) =>
    selection.features.map((feature): StoredColumn => {
      const { group, role } = selection
      const full = fullNames && role === null
      const name = full ? `${group}__${feature}` : role === null ? feature : `${role}__${feature}`
      refuseTwin(names, name, `${group}.${feature}${role === null ? '' : ` as ${role}`}`)
      return { name, ...place(selection, feature) }
    }),
  )
  const steps = onDemand.map((one): OnDemandStep => {
    const reads = one.reads.flatMap((selection) =>
      selection.features.map((feature) => {
        return { name: featureColumn(selection, feature), ...place(wantedOf(selection), feature) }
      }),
    )
    const made = madeColumns(one).map((column) => ({ ...column, default: column.default ?? null }))
    for (const { name } of made) refuseTwin(names, name, `${one.name}.${name}`)
    return { onDemand: one, request: Object.keys(one.request), reads, made }
  })
  return {
    ...{ service, preJoined: slotIds.size > 0, stored: withNeighbours(stored), onDemand: steps },
    lookups: [...lookups.values()].map(({ lookup }) => lookup),
    request: new Map(onDemand.flatMap(({ request }) => Object.entries(request))),
  }
}

function withNeighbours(columns: readonly StoredColumn[]): VectorColumn[] {
  const found: VectorColumn[] = []
  for (const column of columns.toReversed()) {
    const next = found[0]
    const isNext = next?.lookup === column.lookup && next.feature === column.feature + 1
    found.unshift({ ...column, together: isNext ? next.together + 1 : 1 })
  }
  return found
}

/** As in a training set, which DuckDB makes and which therefore tells names apart regardless of case. */
function refuseTwin(names: Map<string, string>, name: string, of: string): void {
  const there = names.get(name.toLowerCase())
  if (there !== undefined) {
    throw new InputError(
      `${there} and ${of} would both be called ${name}. Ask with "full_names": true, which calls them <group>__<feature>, and name each feature once.`,
      { column: name },
    )
  }
  names.set(name.toLowerCase(), of)
}
