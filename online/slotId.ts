/**
 * Slots of pre-joined services by name.
 *
 * A slot is to a store a group of its own, `<service>_<tag>!<group>`, such as `delay_model_v1_5f0c93aa!airport_delays_v1`.
 * The tag is that of the list of the service's groups, so a service that takes another group has other slots. No group's
 * name has a `!`, so no slot is ever taken for a group. Values of all slots of a service lie together, where a group
 * called `<service>_<tag>!` would have them.
 */
import { createHash } from 'node:crypto'
import { checkStorageName, isStorageName } from './key.ts'
import type { SlotPlace } from './store.ts'

export interface Slot {
  readonly id: string
  readonly service: string
  readonly group: string
  readonly place: SlotPlace
}

/** The slots of a service, one for each of its groups, in the order in which they stand in a value. */
export function slotsOf(service: string, groups: readonly string[]): Slot[] {
  const sorted = [...new Set(groups)].sort()
  const tag = createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 8)
  return sorted.map((group, at) => {
    return { id: `${service}_${tag}!${group}`, service, group, place: { at, of: sorted.length } }
  })
}

const slotId = /^([A-Za-z0-9_-]{1,128})_[0-9a-f]{8}!([A-Za-z0-9_-]{1,128})$/

export const isSlotId = (id: string): boolean => slotId.test(id)

/** What a slot is of; null for what is no slot. */
export function parseSlotId(id: string): Pick<Slot, 'service' | 'group'> | null {
  const [, service, group] = slotId.exec(id) ?? []
  return service === undefined || group === undefined ? null : { service, group }
}

/** Whether a store can keep something under this id. */
export const isStoredId = (id: string): boolean => isStorageName(id) || isSlotId(id)

/** @throws InputError where a group or slot could not stand in front of a colon. */
export function checkStoredId(id: string): void {
  if (!isSlotId(id)) checkStorageName('group', id)
}

/** Under which name the values lie: a group's own, or the one that all slots of a service share. */
export function valuesName(id: string): string {
  const end = id.indexOf('!')
  return end < 0 ? id : id.slice(0, end + 1)
}
