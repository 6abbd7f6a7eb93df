/** Asks Temporal which workflows are open, over the worker's own connection. */
import { Client, WorkflowNotFoundError } from '@temporalio/client'
import type { ConnectionLike } from '@temporalio/client'
import type { ActivityDeps } from '../activities/index.ts'

/** A workflow that Temporal does not know is not open: it was deleted, or its retention is over. */
export function openWorkflows(
  connection: ConnectionLike,
  namespace: string,
): NonNullable<ActivityDeps['isOpen']> {
  const { workflow } = new Client({ connection, namespace })
  return async (workflowId, firstRunId) => {
    try {
      // The newest execution under the id: only that can be open, and it may continue the one that is asked for.
      const { status, raw } = await workflow.getHandle(workflowId).describe()
      const { firstRunId: first, execution } = raw.workflowExecutionInfo ?? {}
      const isSame = firstRunId === null || first === firstRunId || execution?.runId === firstRunId
      return isSame && (status.name === 'RUNNING' || status.name === 'PAUSED')
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return false
      throw error
    }
  }
}
