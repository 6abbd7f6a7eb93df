/** The workflows with a step more at their start than the recorded histories have: replaying them must fail. */
import { sleep } from '@temporalio/workflow'
import { backfill as realBackfill } from '../../../workflows/backfill.ts'
import { buildTrainingSet as realBuildTrainingSet } from '../../../workflows/buildTrainingSet.ts'
import type {
  BackfillInput,
  JanitorInput,
  MaterializeInput,
  RefreshInput,
  TrainingInput,
} from '../../../workflows/contract.ts'
import { janitor as realJanitor } from '../../../workflows/janitor.ts'
import { materialize as realMaterialize } from '../../../workflows/materialize.ts'
import { parkedRun as realParkedRun } from '../../../workflows/parkedRun.ts'
import { refresh as realRefresh } from '../../../workflows/refresh.ts'
import type { BlockedRun } from '../../../workflows/run.ts'

export async function backfill(input: BackfillInput): Promise<unknown> {
  await sleep('1 second')
  return realBackfill(input)
}

export async function materialize(input: MaterializeInput): Promise<unknown> {
  await sleep('1 second')
  return realMaterialize(input)
}

export async function refresh(input: RefreshInput): Promise<unknown> {
  await sleep('1 second')
  return realRefresh(input)
}

export async function parkedRun(blocked: BlockedRun): Promise<unknown> {
  await sleep('1 second')
  return realParkedRun(blocked)
}

export async function janitor(input: JanitorInput): Promise<unknown> {
  await sleep('1 second')
  return realJanitor(input)
}

export async function buildTrainingSet(input: TrainingInput): Promise<unknown> {
  await sleep('1 second')
  return realBuildTrainingSet(input)
}
