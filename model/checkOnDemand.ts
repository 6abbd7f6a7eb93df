/** What the parts of an on-demand definition must be to each other: everything that it names has a name of its own. */
import { reservedColumns } from './checkGroup.ts'
import { InputError } from './errors.ts'
import { defaultValue } from './featureDefault.ts'
import { featureColumn, selectedName } from './group.ts'
import type { OnDemand } from './onDemand.ts'

/** @throws InputError that names the definition, the two that share a name, and the cure. */
export function checkOnDemand(
  { request, reads, features }: Pick<OnDemand, 'request' | 'reads' | 'features'>,
  what: string,
): void {
  const taken = new Map<string, string>()
  const take = (name: string, meaning: string, cure: string) => {
    const there = taken.get(name)
    if (there !== undefined) {
      throw new InputError(`${what}: ${meaning} and ${there} are both called ${name}. ${cure}`, { name })
    }
    taken.set(name, meaning)
  }
  for (const selection of reads) {
    for (const feature of selection.features) {
      const meaning = `the feature ${selectedName(selection, feature)}`
      take(featureColumn(selection, feature), meaning, 'Read one of them in a role: group.as(role, keys).')
    }
  }
  for (const name of Object.keys(request)) {
    take(name, `the request value ${name}`, 'Give the request value another name.')
  }
  for (const name of reservedColumns) taken.set(name, 'a column that every table has')
  for (const [name, { type, default: given }] of Object.entries(features)) {
    take(name, `the feature ${name} that the function makes`, 'Give what it makes another name.')
    if (given !== undefined) defaultValue(type, given, `${what}: feature ${name}`)
  }
}
