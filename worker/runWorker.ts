/** Makes a store's worker: workflows, activities and the connection that they share. */
import { fileURLToPath } from 'node:url'
import { Client } from '@temporalio/client'
import { loadClientConnectConfig } from '@temporalio/envconfig'
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker'
import { createActivities, type ActivityDeps } from '../activities/index.ts'
import type { Activities, MaterializedGroup, MaterializeInput } from '../workflows/contract.ts'
import type { Config } from './config.ts'
import { keepGarbageRoom } from './garbageRoom.ts'
import { openStore } from './openStore.ts'
import { openWorkflows } from './openWorkflows.ts'
import { materializeWorkflowId } from '../workflows/names.ts'
import { clientDataConverter, guardedWorker } from './payloadGuard.ts'
import { followClock } from './storeClock.ts'
import { keepLooking, watchOnline } from './watchOnline.ts'

export interface WorkerParts {
  /** What activities are made with; the store and the connection as they are, unless given. */
  readonly createActivities?: (deps: ActivityDeps) => Activities
  readonly options?: Partial<WorkerOptions>
}

/** Runs until the process is told to stop; says `ready` to its parent once it takes work. */
export async function runWorker(config: Config, parts: WorkerParts = {}): Promise<void> {
  keepGarbageRoom()
  Runtime.install({ shutdownSignals: ['SIGINT', 'SIGTERM'] })
  const store = await openStore(config)
  const stopFollowing = followClock(store.clock, (sentence) => void Runtime.instance().logger.info(sentence))
  const { connectionOptions } = loadClientConnectConfig()
  const connection = await NativeConnection.connect({
    ...connectionOptions,
    address: config.temporalAddress ?? connectionOptions.address,
  })
  const bundled = !import.meta.url.endsWith('.ts')
  const workflows = !bundled
    ? { workflowsPath: fileURLToPath(new URL('../workflows/index.ts', import.meta.url)) }
    : { workflowBundle: { codePath: fileURLToPath(new URL('../workflows.bundle.js', import.meta.url)) } }
  const isOpen = openWorkflows(connection, config.temporalNamespace)
  const worker = await Worker.create({
    connection,
    namespace: config.temporalNamespace,
    taskQueue: config.taskQueue,
    activities: (parts.createActivities ?? createActivities)({ ...store, isOpen }),
    // Each compute step uses all of DuckDB's threads; two at once keep the disk busy while the other computes.
    maxConcurrentActivityTaskExecutions: 2,
    shutdownGraceTime: '30 seconds',
    ...guardedWorker({ bundled }),
    ...(parts.options?.workflowBundle === undefined ? workflows : {}),
    ...parts.options,
  })
  const { workflow } = new Client({
    connection,
    namespace: config.temporalNamespace,
    dataConverter: clientDataConverter,
  })
  const load = async (group: string): Promise<void> => {
    await workflow.start<(input: MaterializeInput) => Promise<MaterializedGroup>>('materialize', {
      ...{ taskQueue: config.taskQueue, workflowId: materializeWorkflowId(group), args: [{ group }] },
      workflowIdConflictPolicy: 'USE_EXISTING',
    })
  }
  const stopLooking = keepLooking(
    watchOnline(store, load),
    (sentence) => void Runtime.instance().logger.warn(sentence),
  )
  try {
    process.send?.('ready')
    await worker.run()
  } finally {
    stopLooking()
    await stopFollowing()
    await store.close()
    await connection.close()
  }
}
