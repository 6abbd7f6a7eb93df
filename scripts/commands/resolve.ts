/** `asof resolve`: decides about a run that a gate holds. */
import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client'
import { InputError } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import { updateNames } from '../../workflows/names.ts'
import type { GateDecision } from '../../workflows/resolveGate.ts'
import { say } from '../output.ts'
import { requireStack } from '../stack.ts'
import { connectClient } from '../temporal.ts'

export async function resolveGate(config: Config, workflowId: string, decision: GateDecision): Promise<void> {
  const client = await connectClient(config, requireStack(config.home))
  try {
    const answer = await client.workflow
      .getHandle(workflowId)
      .executeUpdate<string, [GateDecision]>(updateNames.resolveGate, { args: [decision] })
    say(`${workflowId}: ${answer}`)
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError)
      throw new InputError(error.cause?.message ?? error.message)
    if (error instanceof WorkflowNotFoundError)
      throw new InputError(`No run ${workflowId} is under way. \`asof status\` lists the newest runs.`)
    throw error
  } finally {
    await client.connection.close()
  }
}
