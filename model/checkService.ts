/**
 * What the parts of a service must be to each other: one name in a vector means one thing.
 *
 * Two groups may have a feature of the same name, for services that do so are older than roles: a training set then
 * calls both by their full names. Whatever is taken in a role, brought by a request or made on demand has its name alone.
 */
import { checkPreJoined } from './checkPreJoined.ts'
import type { KeyType } from './entity.ts'
import { InputError } from './errors.ts'
import { featureColumn, keyColumns, selectedName, type FeatureSelection } from './group.ts'
import type { OnDemand } from './onDemand.ts'
import type { FeatureService } from './service.ts'

type Parts = Pick<FeatureService, 'features' | 'onDemand' | 'preJoined'>

/** @throws InputError that names the service, what does not fit into it, and the cure. */
export function checkService({ features, onDemand = [], preJoined = false }: Parts, what: string): void {
  refuseTwice(features, what)
  const selections = [...features, ...onDemand.flatMap(({ reads }) => reads)]
  checkRoles(selections, what)
  const [stored, keys] = [storedNames(features), keyTypes(selections)]
  const requested = checkRequests(onDemand, stored, keys, what)
  const keyNames = [...keys.keys()].map((column) => [column, `the key ${column}`] as const)
  checkMade(onDemand, new Map([...keyNames, ...requested, ...stored]), what)
  if (preJoined) checkPreJoined(selections, what)
}

function refuseTwice(features: readonly FeatureSelection[], what: string): void {
  const seen = new Set<string>()
  for (const selection of features) {
    for (const feature of selection.features) {
      const name = selectedName(selection, feature)
      if (seen.has(name)) throw new InputError(`${what}: ${name} is there twice. Keep one.`, { feature })
      seen.add(name)
    }
  }
}

/** A group in a role is looked up in one way, and what is called `<role>__<feature>` is one feature. */
function checkRoles(selections: readonly FeatureSelection[], what: string): void {
  const lookups = new Map<string, string>()
  const columns = new Map<string, { name: string; role: string | undefined }>()
  for (const selection of selections) {
    const { group, role } = selection
    if (role !== undefined) {
      const [there, keys] = [lookups.get(`${group.id} ${role}`), shownKeys(selection)]
      if (there !== undefined && there !== keys) {
        throw new InputError(
          `${what}: feature group ${group.id} as ${role} is looked up by ${there} and by ${keys}. A role has one meaning: give one of them another role.`,
          { group: group.id, role },
        )
      }
      lookups.set(`${group.id} ${role}`, keys)
    }
    for (const feature of selection.features) {
      const [column, name] = [featureColumn(selection, feature), selectedName(selection, feature)]
      const there = columns.get(column)
      if (there !== undefined && there.name !== name && (role ?? there.role) !== undefined) {
        throw new InputError(
          `${what}: ${there.name} and ${name} would both be called ${column}. Take one of them in another role.`,
          { column },
        )
      }
      columns.set(column, { name, role })
    }
  }
}

const shownKeys = (selection: FeatureSelection) =>
  Object.entries(keyColumns(selection))
    .map(([key, column]) => (key === column ? key : `${key} from ${column}`))
    .join(', ')

/** What a name stands for, in words. */
type Names = ReadonlyMap<string, string>

function storedNames(features: readonly FeatureSelection[]): Names {
  const columns = features.flatMap((selection) =>
    selection.features.map(
      (feature) =>
        [featureColumn(selection, feature), `the feature ${selectedName(selection, feature)}`] as const,
    ),
  )
  return new Map(columns)
}

function keyTypes(selections: readonly FeatureSelection[]): ReadonlyMap<string, KeyType> {
  const types = selections.flatMap((selection) =>
    Object.entries(keyColumns(selection)).map(
      ([key, column]) => [column, selection.group.entity.keys[key] as KeyType] as const,
    ),
  )
  return new Map(types)
}

/** A request value may be a key's column, for a function that wants to see it, and may serve several functions. */
function checkRequests(
  onDemand: readonly OnDemand[],
  stored: Names,
  keys: ReadonlyMap<string, KeyType>,
  what: string,
): Names {
  const types = new Map<string, string>(keys)
  const names = new Map<string, string>()
  for (const { name, request } of onDemand) {
    for (const [value, type] of Object.entries(request)) {
      const meaning = `the request value ${value} of on-demand features ${name}`
      refuseTaken(stored, value, meaning, what)
      const there = types.get(value)
      if (there !== undefined && there !== type) {
        throw new InputError(
          `${what}: ${meaning} is ${type}, and ${names.get(value) ?? `the key ${value}`} is ${there}. A request brings it once: give it one type.`,
          { name: value },
        )
      }
      types.set(value, type)
      names.set(value, meaning)
    }
  }
  return names
}

function checkMade(onDemand: readonly OnDemand[], others: Names, what: string): void {
  const taken = new Map(others)
  const definitions = new Set<string>()
  for (const { name, features } of onDemand) {
    if (definitions.has(name))
      throw new InputError(`${what}: on-demand features ${name} are there twice. Keep one.`, { name })
    definitions.add(name)
    for (const feature of Object.keys(features)) {
      const meaning = `the feature ${feature} of on-demand features ${name}`
      refuseTaken(taken, feature, meaning, what)
      taken.set(feature, meaning)
    }
  }
}

function refuseTaken(taken: Names, name: string, meaning: string, what: string): void {
  const there = taken.get(name)
  if (there === undefined) return
  throw new InputError(`${what}: ${meaning} and ${there} are both called ${name}. Give one another name.`, {
    name,
  })
}
