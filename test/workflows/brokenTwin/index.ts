/** The workflows with a step more at their start than the recorded histories have: replaying them must fail. */
import { sleep } from '@temporalio/workflow'
import { backfill as realBackfill } from '../../../workflows/backfill.ts'
import type { BackfillInput, JanitorInput, MaterializeInput } from '../../../workflows/contract.ts'
import { janitor as realJanitor } from '../../../workflows/janitor.ts'
import { materialize as realMaterialize } from '../../../workflows/materialize.ts'

export async function backfill(input: BackfillInput): Promise<unknown> {
  await sleep('1 second')
  return realBackfill(input)
}

export async function materialize(input: MaterializeInput): Promise<unknown> {
  await sleep('1 second')
  return realMaterialize(input)
}

export async function janitor(input: JanitorInput): Promise<unknown> {
  await sleep('1 second')
  return realJanitor(input)
}
