/** Loads a group's newest published values into the online store. */
import { setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow'
import type { MaterializeInput, MaterializedGroup } from './contract.ts'
import { checkMaterializeInput } from './input.ts'
import { searchAttributes } from './names.ts'
import { serve } from './steps.ts'

export async function materialize(input: MaterializeInput): Promise<MaterializedGroup> {
  checkMaterializeInput(input)
  upsertSearchAttributes([
    { key: searchAttributes.group, value: input.group },
    { key: searchAttributes.status, value: 'materializing' },
  ])
  const loaded = await serve.materializeGroup(input)
  upsertSearchAttributes([{ key: searchAttributes.status, value: 'materialized' }])
  setCurrentDetails(
    `**${input.group}**: ${loaded.entities} of ${loaded.considered} values written, ${loaded.tombstones} of them tombstones, from snapshot ${loaded.snapshotId ?? '(none)'}`,
  )
  return loaded
}
