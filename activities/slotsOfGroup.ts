/** The slots that a group fills: one in each registered service that is pre-joined and takes it. */
import { parseSlotId, slotsOf, type Slot } from '../online/index.ts'
import { preJoinedGroups, type RegisteredService } from '../registry/index.ts'

/** @param services as they are registered: what a reader's definitions say beyond that, it serves from the groups. */
export function slotsOfGroup(services: readonly RegisteredService[], group: string): Slot[] {
  return services.flatMap(({ name, definition }) =>
    slotsOf(name, preJoinedGroups(definition) ?? []).filter((slot) => slot.group === group),
  )
}

/**
 * Of the slots that a store has, those of a group that no service wants: one was renamed, takes other groups, or is
 * pre-joined no more.
 */
export function unwantedSlots(there: readonly string[], group: string, wanted: readonly Slot[]): string[] {
  return there.filter((id) => parseSlotId(id)?.group === group && !wanted.some((slot) => slot.id === id))
}
