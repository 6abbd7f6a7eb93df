/** Starts a training set and says in the same call what it will be: one round trip, one job for one request. */
import { createHash } from 'node:crypto'
import { WithStartWorkflowOperation, type Client, type WorkflowHandle } from '@temporalio/client'
import { defaultPayloadConverter } from '@temporalio/common'
import { InputError } from '../model/errors.ts'
import { parseTrainingRequest, type TrainingRequest } from '../model/training.ts'
import { canonicalJson } from '../registry/canonicalJson.ts'
import type { buildTrainingSet } from '../workflows/buildTrainingSet.ts'
import type { FinishedTraining, PlannedTraining } from '../workflows/contract.ts'
import { trainingWorkflowId, updateNames } from '../workflows/names.ts'
import { payloadRefusal } from '../workflows/payloadLimit.ts'
import { resultOf } from './resultOf.ts'

export interface TrainingJob {
  /** The workflow's id: whoever asks for the same while it runs gets the same job. */
  readonly jobId: string
  /** What is pinned, what is missing, and which set it is; settled before anything is built. */
  readonly plan: PlannedTraining
  /** Waits for the set. @throws an error with the workflow's own sentence where it could not be built */
  result(): Promise<FinishedTraining>
}

/**
 * @param request as the workflow takes it; a relative path in it starts at the worker's folder
 * @throws InputError with the sentence that says what is wrong with the request, whoever finds it
 */
export async function startTrainingSet(
  client: Client,
  { taskQueue }: { readonly taskQueue: string },
  request: TrainingRequest,
): Promise<TrainingJob> {
  refuseUnfit(request)
  const start = new WithStartWorkflowOperation<typeof buildTrainingSet>('buildTrainingSet', {
    taskQueue,
    workflowId: trainingWorkflowId(request.name, hashOf(request)),
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [request],
  })
  const plan = await planOf(client, start)
  const handle = await start.workflowHandle()
  return { jobId: handle.workflowId, plan, result: () => resultOf(handle.result()) }
}

/** What can be seen from here is said at once, and opens no workflow. */
function refuseUnfit(request: TrainingRequest): void {
  const { name } = parseTrainingRequest(request)
  const what = `The request for training set ${name}`
  const refusal = payloadRefusal(what, [defaultPayloadConverter.toPayload(request)])
  if (refusal !== null) throw new InputError(refusal, { name })
}

const hashOf = (request: TrainingRequest): string =>
  createHash('sha256').update(canonicalJson(request)).digest('hex')

async function planOf(
  client: Client,
  start: WithStartWorkflowOperation<typeof buildTrainingSet>,
): Promise<PlannedTraining> {
  try {
    return await client.workflow.executeUpdateWithStart<typeof buildTrainingSet, PlannedTraining, []>(
      updateNames.plan,
      { startWorkflowOperation: start },
    )
  } catch (error) {
    // A workflow that ended before it had a plan knows why; the update only knows that there will be none.
    const handle = await start.workflowHandle().catch(() => null)
    if (handle !== null && !(await isOpen(handle))) await resultOf(handle.result())
    throw error
  }
}

async function isOpen(handle: WorkflowHandle): Promise<boolean> {
  const { status } = await handle.describe()
  return status.name === 'RUNNING' || status.name === 'PAUSED'
}
