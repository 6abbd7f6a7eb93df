/** The groups that the janitor visits: all that are registered, retired ones too, or the one that is asked for. */
import { durationMs, InputError } from '../model/index.ts'
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'

export const listGroups =
  ({ registry }: ActivityDeps): Activities['listGroups'] =>
  async ({ group, olderThan }) => {
    durationMs(olderThan, 'olderThan')
    const known = (await registry.groups()).map(({ id }) => id).sort()
    if (group === undefined) return known
    if (known.includes(group)) return [group]
    throw new InputError(
      `There is no registered feature group ${JSON.stringify(group)}. Registered: ${known.join(', ') || 'none; run `asof apply`'}.`,
      { group },
    )
  }
