/** The worker process: opens the store, runs workflows and activities until it is told to stop. */
import { fileURLToPath } from 'node:url'
import { loadClientConnectConfig } from '@temporalio/envconfig'
import { NativeConnection, Runtime, Worker } from '@temporalio/worker'
import { createActivities } from '../activities/index.ts'
import { readConfig } from './config.ts'
import { openStore } from './openStore.ts'
import { guardedWorker } from './payloadGuard.ts'
import { followClock } from './storeClock.ts'

const config = readConfig(process.env, process.cwd())
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
const worker = await Worker.create({
  connection,
  namespace: config.temporalNamespace,
  taskQueue: config.taskQueue,
  activities: createActivities(store),
  // Each compute step uses all of DuckDB's threads; two at once keep the disk busy while the other computes.
  maxConcurrentActivityTaskExecutions: 2,
  shutdownGraceTime: '30 seconds',
  ...guardedWorker({ bundled }),
  ...workflows,
})
try {
  process.send?.('ready')
  await worker.run()
} finally {
  await stopFollowing()
  await store.close()
  await connection.close()
}
