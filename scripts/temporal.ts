/** The command line's side of Temporal: a client, starts that join what runs already, and links into its UI. */
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client'
import { loadClientConnectConfig } from '@temporalio/envconfig'
import { ApplicationFailure } from '@temporalio/common'
import { InputError, UnavailableError } from '../model/index.ts'
import type { Config } from '../worker/config.ts'
import { clientDataConverter } from '../worker/payloadGuard.ts'
import type { backfill } from '../workflows/backfill.ts'
import type { BackfillInput, JanitorInput, MaterializeInput, RefreshInput } from '../workflows/contract.ts'
import type { janitor } from '../workflows/janitor.ts'
import type { materialize } from '../workflows/materialize.ts'
import {
  backfillWorkflowId,
  failureTypes,
  janitorWorkflowId,
  materializeWorkflowId,
  refreshWorkflowId,
} from '../workflows/names.ts'
import type { refresh } from '../workflows/refresh.ts'
import type { StackFile } from './stack.ts'

export async function connectClient(config: Config, { temporal }: StackFile): Promise<Client> {
  const { connectionOptions } = loadClientConnectConfig()
  try {
    const connection = await Connection.connect({ ...connectionOptions, address: temporal.address })
    return new Client({
      connection,
      namespace: config.temporalNamespace,
      dataConverter: clientDataConverter,
    })
  } catch (error) {
    throw new UnavailableError(
      `Temporal does not answer on ${temporal.address}. Is the stack up? Try \`asof doctor\`.`,
      {},
      { cause: error },
    )
  }
}

/** A second request for the same backfill joins the first. */
export function startBackfill(
  client: Client,
  config: Config,
  input: BackfillInput,
  fingerprint: string,
): Promise<WorkflowHandle<typeof backfill>> {
  return client.workflow.start<typeof backfill>('backfill', {
    taskQueue: config.taskQueue,
    workflowId: backfillWorkflowId(input, fingerprint),
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [input],
  })
}

export function startRefresh(
  client: Client,
  config: Config,
  input: RefreshInput,
): Promise<WorkflowHandle<typeof refresh>> {
  return client.workflow.start<typeof refresh>('refresh', {
    taskQueue: config.taskQueue,
    workflowId: refreshWorkflowId(input.group),
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [input],
  })
}

export function startMaterialize(
  client: Client,
  config: Config,
  input: MaterializeInput,
): Promise<WorkflowHandle<typeof materialize>> {
  return client.workflow.start<typeof materialize>('materialize', {
    taskQueue: config.taskQueue,
    workflowId: materializeWorkflowId(input.group),
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [input],
  })
}

export function startJanitor(
  client: Client,
  config: Config,
  input: JanitorInput,
): Promise<WorkflowHandle<typeof janitor>> {
  return client.workflow.start<typeof janitor>('janitor', {
    taskQueue: config.taskQueue,
    workflowId: janitorWorkflowId(input.group),
    workflowIdConflictPolicy: 'USE_EXISTING',
    args: [input],
  })
}

/** Where a run can be watched. */
export function workflowLink(config: Config, { temporal }: StackFile, workflowId: string): string | null {
  if (temporal.uiUrl === null) return null
  return `${temporal.uiUrl}/namespaces/${config.temporalNamespace}/workflows/${encodeURIComponent(workflowId)}`
}

/** The UI's start form, filled in from the newest run of the workflow type. */
export function startFormLink(config: Config, { temporal }: StackFile, workflowType: string): string | null {
  if (temporal.uiUrl === null) return null
  const query = new URLSearchParams({ workflowType, taskQueue: config.taskQueue })
  return `${temporal.uiUrl}/namespaces/${config.temporalNamespace}/workflows/start-workflow?${query.toString()}`
}

const inputTypes: ReadonlySet<string | null | undefined> = new Set([failureTypes.input, failureTypes.payload])

/** Waits for a workflow; its failure comes back as an error with the sentence that caused it. */
export async function resultOf<T>(result: Promise<T>): Promise<T> {
  try {
    return await result
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error
    const { cause } = error
    const message = cause?.message ?? error.message
    const isInput = cause instanceof ApplicationFailure && inputTypes.has(cause.type)
    if (isInput) throw new InputError(message)
    throw new Error(message, { cause: error })
  }
}
