/** All steps of a run, bound to their dependencies. */
import type { Activities } from '../workflows/contract.ts'
import { abandonRun } from './abandonRun.ts'
import { computeChunk } from './computeChunk.ts'
import type { ActivityDeps } from './deps.ts'
import { toFailure } from './failures.ts'
import { judgeRun } from './judgeRun.ts'
import { materializeGroup } from './materializeGroup.ts'
import { parkRun } from './parkRun.ts'
import { planBackfill } from './planBackfill.ts'
import { publishRun } from './publishRun.ts'
import { recordRun } from './recordRun.ts'
import { stageRun } from './stageRun.ts'

export type { ActivityDeps } from './deps.ts'
export { applyRegistration, planRegistration, type RegistrationPlan } from './registration.ts'

export function createActivities(deps: ActivityDeps): Activities {
  return {
    planBackfill: translated(planBackfill(deps)),
    computeChunk: translated(computeChunk(deps)),
    stageRun: translated(stageRun(deps)),
    judgeRun: translated(judgeRun(deps)),
    publishRun: translated(publishRun(deps)),
    materializeGroup: translated(materializeGroup(deps)),
    recordRun: translated(recordRun(deps)),
    abandonRun: translated(abandonRun(deps)),
    parkRun: translated(parkRun(deps)),
  }
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
