/** All steps of a run, bound to their dependencies. */
import type { Activities } from '../workflows/contract.ts'
import { abandonRun } from './abandonRun.ts'
import { computeChunk } from './computeChunk.ts'
import type { ActivityDeps } from './deps.ts'
import { toFailure } from './failures.ts'
import { withHeartbeat } from './heartbeat.ts'
import { judgeRun } from './judgeRun.ts'
import { listGroups } from './listGroups.ts'
import { materializeGroup } from './materializeGroup.ts'
import { parkRun } from './parkRun.ts'
import { planBackfill } from './planBackfill.ts'
import { planRefresh } from './planRefresh.ts'
import { publishRun } from './publishRun.ts'
import { recordRun } from './recordRun.ts'
import { stageRun } from './stageRun.ts'
import { sweepTable } from './sweepTable.ts'
import { takeBackLostRuns } from './takeBackLostRuns.ts'
import { buildTrainingPart } from './training/buildTrainingPart.ts'
import { failTraining } from './training/failTraining.ts'
import { finishTraining } from './training/finishTraining.ts'
import { planTraining } from './training/planTraining.ts'
import { sweepTraining } from './training/sweepTraining.ts'
import { trainingState } from './training/trainingState.ts'

export type { ActivityDeps } from './deps.ts'
export { compileDefinition, type CompiledDefinition } from './compileDefinition.ts'
export {
  applyRegistration,
  bindDefinition,
  planRegistration,
  type PlannedGroup,
  type RegistrationPlan,
} from './registration.ts'
export { retire } from './retire.ts'
export { slotsOfGroup, unwantedSlots } from './slotsOfGroup.ts'
export { diffTraining, trainingAspects, type TrainingDifference } from './training/diffTraining.ts'
export { dropTraining, type DroppedTraining } from './training/dropTraining.ts'
export { finishedSet, knownSet, type FinishedSet } from './training/finishedSet.ts'
export type { TrainingManifest } from './training/finishTraining.ts'
export { outdatedTraining } from './training/outdatedTraining.ts'
export {
  isVerifiedTraining,
  verifyTraining,
  type FileFinding,
  type TrainingVerification,
} from './training/verifyTraining.ts'
export { isVerified, verifyOnline, type OnlineVerification } from './verifyOnline.ts'

export function createActivities(deps: ActivityDeps): Activities {
  return {
    planBackfill: translated(beating(planBackfill(deps))),
    planRefresh: translated(beating(planRefresh(deps))),
    computeChunk: translated(computeChunk(deps)),
    stageRun: translated(stageRun(deps)),
    judgeRun: translated(judgeRun(deps)),
    publishRun: translated(beating(publishRun(deps))),
    materializeGroup: translated(materializeGroup(deps)),
    recordRun: translated(beating(recordRun(deps))),
    abandonRun: translated(beating(abandonRun(deps))),
    parkRun: translated(beating(parkRun(deps))),
    listGroups: translated(beating(listGroups(deps))),
    takeBackLostRuns: translated(beating(takeBackLostRuns(deps))),
    sweepTable: translated(beating(sweepTable(deps))),
    sweepTraining: translated(beating(sweepTraining(deps))),
    planTraining: translated(beating(planTraining(deps))),
    buildTrainingPart: translated(buildTrainingPart(deps)),
    finishTraining: translated(beating(finishTraining(deps))),
    failTraining: translated(beating(failTraining(deps))),
    trainingState: translated(beating(trainingState(deps))),
  }
}

/** Short steps beat too, so that a worker that died in one of them is noticed within a minute. */
function beating<Input, Output>(step: (input: Input) => Promise<Output>): (input: Input) => Promise<Output> {
  return (input) => withHeartbeat(() => step(input))
}

function translated<Input, Output>(
  step: (input: Input) => Promise<Output>,
): (input: Input) => Promise<Output> {
  return async (input) => {
    try {
      return await step(input)
    } catch (error) {
      throw toFailure(error)
    }
  }
}
