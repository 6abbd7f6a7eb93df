/** Where a run that a gate holds waits for a person's `resolveGate`. */
import { ApplicationFailure, condition, setHandler } from '@temporalio/workflow'
import { show, type RunProgress } from './progress.ts'
import {
  checkGateDecision,
  resolveGateDescription,
  resolveGateUpdate,
  type GateDecision,
} from './resolveGate.ts'

export interface GateDesk {
  decide(): Promise<GateDecision>
}

/** How long a blocked run waits for a decision before it ends failed and is cleaned up. */
const gatePatience = '7 days'

/** Takes `resolveGate` updates while a gate holds the run. */
export function openGateDesk(progress: RunProgress): GateDesk {
  let waiting = false
  let decision: GateDecision | undefined
  setHandler(
    resolveGateUpdate,
    (given) => {
      decision = given
      waiting = false
      return `${given.decision}: taken`
    },
    {
      validator: (given: GateDecision) => checkGateDecision(given, waiting),
      description: resolveGateDescription,
    },
  )
  return {
    async decide() {
      decision = undefined
      waiting = true
      progress.waitingFor = `Waits for the update \`resolveGate\`. ${resolveGateDescription}`
      show(progress, 'waiting')
      const decided = await condition(() => decision !== undefined, gatePatience, {
        summary: 'a gate holds the run',
      })
      waiting = false
      progress.waitingFor = null
      if (!decided || decision === undefined) {
        throw ApplicationFailure.nonRetryable(
          `${progress.group}: a gate held the run and nobody decided within ${gatePatience}.`,
          'GateTimeout',
        )
      }
      return decision
    },
  }
}
