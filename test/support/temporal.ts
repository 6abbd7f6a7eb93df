/** A real Temporal server of a test file's own, and a worker in this process. */
import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import type { Client } from '@temporalio/client'
import { TestWorkflowEnvironment } from '@temporalio/testing'
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker'
import { createActivities } from '../../activities/index.ts'
import { findTemporal } from '../../scripts/tools.mjs'
import { openStore, type Store } from '../../worker/openStore.ts'
import { openWorkflows } from '../../worker/openWorkflows.ts'
import { readConfig, type Config } from '../../worker/config.ts'
import { clientDataConverter, guardedWorker } from '../../worker/payloadGuard.ts'
import { searchAttributes } from '../../workflows/names.ts'

let quiet = false
/** Workers and servers say nothing: what they have to say, the tests say. */
export function quietRuntime(): void {
  if (quiet) return
  quiet = true
  Runtime.install({
    logger: new DefaultLogger('ERROR', () => undefined),
    telemetryOptions: { logging: { filter: 'OFF' } },
  })
}

export interface TemporalOptions {
  readonly uiPort?: number
  /** Of the server, such as its limits. */
  readonly dynamicConfig?: Readonly<Record<string, number>>
}

export async function startTemporal(options: TemporalOptions = {}): Promise<TestWorkflowEnvironment> {
  quietRuntime()
  const path = findTemporal()
  if (path === null)
    throw new Error('There is no Temporal server here. `npm test` downloads or builds it; run that once.')
  return TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path },
      searchAttributes: Object.values(searchAttributes),
      extraArgs: Object.entries(options.dynamicConfig ?? {}).flatMap(([name, value]) => [
        '--dynamic-config-value',
        `${name}=${value}`,
      ]),
      ...(options.uiPort === undefined ? {} : { ui: true, uiPort: options.uiPort }),
    },
    client: { dataConverter: clientDataConverter },
  })
}

export interface RunningStore {
  readonly config: Config
  readonly store: Store
  readonly client: Client
  readonly taskQueue: string
  stop(): Promise<void>
}

/** Opens a store in its own folder and runs a worker for it on a task queue of its own. */
export async function runStore(
  temporal: TestWorkflowEnvironment,
  environment: Record<string, string>,
  folder: string,
): Promise<RunningStore> {
  const taskQueue = `test-${randomUUID()}`
  const config = readConfig(
    { ASOF_MEMORY_LIMIT: '1GB', ASOF_THREADS: '2', ...environment, ASOF_TASK_QUEUE: taskQueue },
    folder,
  )
  const store = await openStore(config)
  const worker = await Worker.create({
    connection: temporal.nativeConnection,
    taskQueue,
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    activities: createActivities({ ...store, isOpen: openWorkflows(temporal.nativeConnection, 'default') }),
    ...guardedWorker(),
  })
  const running = worker.run()
  return {
    config,
    store,
    client: temporal.client,
    taskQueue,
    async stop() {
      worker.shutdown()
      await running
      await store.close()
    },
  }
}
