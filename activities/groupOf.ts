/** The group that a step works on: as this worker defines it and as the registry knows it, which must be the same. */
import type { Table } from '../iceberg/index.ts'
import {
  formatInstant,
  InputError,
  type BoundGroup,
  type FeatureGroup,
  type FeatureType,
  type KeyType,
} from '../model/index.ts'
import { groupFingerprint, type RegisteredGroup } from '../registry/index.ts'
import type { ActivityDeps } from './deps.ts'

export interface KnownGroup {
  readonly group: FeatureGroup
  readonly bound: BoundGroup
  readonly registered: RegisteredGroup
  readonly table: Table
}

/** @throws InputError for a group that is unknown, not registered, or registered with another meaning. */
export async function groupOf(deps: ActivityDeps, id: string): Promise<KnownGroup> {
  const group = deps.definitions.groups.get(id)
  if (group === undefined) {
    const known = [...deps.definitions.groups.keys()].sort().join(', ')
    throw new InputError(
      `There is no feature group ${JSON.stringify(id)}. The definitions have ${known || 'none'}.`,
      { group: id },
    )
  }
  const registered = await deps.registry.group(id)
  if (registered === null) {
    throw new InputError(`Feature group ${id} is defined but not registered. Run \`asof apply\` first.`, {
      group: id,
    })
  }
  if (registered.retiredAt !== null) {
    throw new InputError(
      `Feature group ${id} was retired at ${formatInstant(registered.retiredAt)}: its table stays, and nothing computes or loads it any more. Use a newer version.`,
      { group: id },
    )
  }
  const fingerprint = groupFingerprint(group)
  if (registered.fingerprint !== fingerprint) {
    throw new InputError(
      `Feature group ${id} is registered with fingerprint ${registered.fingerprint.slice(0, 12)}, this worker has ${fingerprint.slice(0, 12)}. Run \`asof plan\` to see what differs, then restart the worker with the registered definitions or give the group a new version.`,
      { group: id },
    )
  }
  const table = await deps.catalog.loadTable({ namespace: deps.store, name: id })
  return { group, registered, table, bound: boundOf(group, registered) }
}

function boundOf(group: FeatureGroup, { keys, features }: RegisteredGroup): BoundGroup {
  return {
    group,
    keys: keys.map(({ name, type }) => ({ name, type: type as KeyType })),
    features: features.map(({ name, type }) => ({ name, type: type as FeatureType })),
  }
}
