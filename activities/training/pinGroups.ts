/** Pins every group of a request, each once: whatever reads it afterwards reads the same snapshot. */
import { InputError, type TrainingRequest } from '../../model/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { groupOf, type KnownGroup } from '../groupOf.ts'
import { pinGroup, type GroupPin, type PinnedIntervals } from './pinGroup.ts'
import type { KnownSelection } from './selections.ts'

export interface PinnedGroup {
  readonly known: KnownGroup
  readonly pin: GroupPin
  readonly intervals: PinnedIntervals
}

export type Pins = ReadonlyMap<string, PinnedGroup>

/** @throws InputError for a snapshot that is not there, and for one of a group that the request does not have */
export async function pinGroups(
  deps: ActivityDeps,
  request: TrainingRequest,
  selections: readonly KnownSelection[],
): Promise<Pins> {
  const groups = new Map<string, KnownGroup>()
  for (const { known } of selections) if (!groups.has(known.group.id)) groups.set(known.group.id, known)
  const { labels } = request
  if ('entitiesOf' in labels && !groups.has(labels.entitiesOf)) {
    groups.set(labels.entitiesOf, await groupOf(deps, labels.entitiesOf))
  }
  refuseOtherGroups(request, [...groups.keys()])
  const pins = new Map<string, PinnedGroup>()
  for (const [id, known] of groups) {
    pins.set(id, { known, ...(await pinGroup(deps, known, askedState(request, id))) })
  }
  return pins
}

const askedState = ({ asOf, snapshots }: TrainingRequest, group: string) => ({
  ...(asOf === undefined ? {} : { asOf }),
  ...(snapshots?.[group] === undefined ? {} : { snapshotId: snapshots[group] }),
})

function refuseOtherGroups({ name, snapshots = {} }: TrainingRequest, groups: readonly string[]): void {
  const other = Object.keys(snapshots).find((id) => !groups.includes(id))
  if (other === undefined) return
  throw new InputError(
    `training set ${name}: snapshots: ${other} is no group of the request, which has ${groups.join(', ')}.`,
    { group: other },
  )
}
