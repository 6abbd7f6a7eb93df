/** Which services may be pre-joined: those whose groups are all looked up by one and the same key. */
import { InputError } from './errors.ts'
import { keyColumns, type FeatureGroup, type FeatureSelection } from './group.ts'

/** The number of slots is one byte of a stored value. */
const mostGroups = 255

/**
 * @param selections of the service and of what its functions read
 * @throws InputError that names the service, the group that does not fit, and the cure
 */
export function checkPreJoined(selections: readonly FeatureSelection[], what: string): void {
  const groups = new Map(selections.map(({ group }) => [group.id, group]))
  for (const selection of selections) refuseOtherKeys(selection, what)
  const [first, ...others] = groups.values()
  if (first === undefined || others.length === 0) {
    throw new InputError(
      `${what}: preJoined joins several feature groups, and ${first?.id} alone is read as one key anyway. Leave preJoined out.`,
    )
  }
  if (groups.size > mostGroups) {
    throw new InputError(
      `${what}: preJoined joins at most ${mostGroups} feature groups, and there are ${groups.size}. Leave preJoined out.`,
    )
  }
  const other = others.find((group) => shownEntity(group) !== shownEntity(first))
  if (other !== undefined) {
    throw new InputError(
      `${what}: preJoined keeps one value per entity, and feature group ${first.id} is of ${shownEntity(first)}, ${other.id} of ${shownEntity(other)}. Take groups of one entity, or leave preJoined out.`,
      { group: other.id },
    )
  }
  for (const { id, online } of groups.values()) {
    if (online) continue
    throw new InputError(
      `${what}: preJoined is about what is served, and feature group ${id} says online: false. Serve the group, or leave preJoined out.`,
      { group: id },
    )
  }
}

function refuseOtherKeys(selection: FeatureSelection, what: string): void {
  const { group, role } = selection
  const renamed = Object.entries(keyColumns(selection)).find(([key, column]) => key !== column)
  if (role === undefined && renamed === undefined) return
  const taken = role === undefined ? `by ${renamed?.[1]}` : `as ${role}`
  throw new InputError(
    `${what}: preJoined looks all groups up by one key, and feature group ${group.id} is taken ${taken}. Take it under its own keys, or leave preJoined out.`,
    { group: group.id },
  )
}

/** `entity shop (country: string, shop: int64)`. The order of keys counts: it is that of the key text. */
const shownEntity = ({ entity: { name, keys } }: FeatureGroup) =>
  `entity ${name} (${Object.entries(keys)
    .map(([key, type]) => `${key}: ${type}`)
    .join(', ')})`
