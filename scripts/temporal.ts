/** The command line's side of Temporal: a client, starts that join what runs already, and links into its UI. */
import { Client, Connection, type WorkflowHandle } from '@temporalio/client'
import type { Workflow } from '@temporalio/common'
import { loadClientConnectConfig } from '@temporalio/envconfig'
import { UnavailableError } from '../model/index.ts'
import type { Config } from '../worker/config.ts'
import { clientDataConverter } from '../worker/payloadGuard.ts'
import type { backfill } from '../workflows/backfill.ts'
import type { BackfillInput, JanitorInput, MaterializeInput, RefreshInput } from '../workflows/contract.ts'
import type { janitor } from '../workflows/janitor.ts'
import type { materialize } from '../workflows/materialize.ts'
import {
  backfillWorkflowId,
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

type Started<Type extends Workflow> = Promise<WorkflowHandle<Type>>

/** A second request for the same backfill joins the first. */
export const startBackfill = (
  client: Client,
  config: Config,
  input: BackfillInput,
  fingerprint: string,
): Started<typeof backfill> =>
  start(client, config, 'backfill', backfillWorkflowId(input, fingerprint), input)

export const startRefresh = (client: Client, config: Config, input: RefreshInput): Started<typeof refresh> =>
  start(client, config, 'refresh', refreshWorkflowId(input.group), input)

export const startMaterialize = (
  client: Client,
  config: Config,
  input: MaterializeInput,
): Started<typeof materialize> =>
  start(client, config, 'materialize', materializeWorkflowId(input.group), input)

export const startJanitor = (client: Client, config: Config, input: JanitorInput): Started<typeof janitor> =>
  start(client, config, 'janitor', janitorWorkflowId(input.group), input)

/** Starts a workflow, or joins the one that runs under its id. */
function start<Input, Result>(
  client: Client,
  { taskQueue }: Config,
  type: string,
  workflowId: string,
  input: Input,
): Started<(input: Input) => Promise<Result>> {
  const options = { taskQueue, workflowId, workflowIdConflictPolicy: 'USE_EXISTING' } as const
  return client.workflow.start<(input: Input) => Promise<Result>>(type, { ...options, args: [input] })
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
