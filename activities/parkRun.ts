/** Says in the registry that a gate holds the run. */
import type { Activities } from '../workflows/contract.ts'
import type { ActivityDeps } from './deps.ts'

export const parkRun =
  (deps: ActivityDeps): Activities['parkRun'] =>
  ({ runId }) =>
    deps.registry.updateRun(runId, { status: 'waiting' })
