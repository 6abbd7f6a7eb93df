/** The worker process: opens the store, runs workflows and activities until it is told to stop. */
import { readConfig } from './config.ts'
import { runWorker } from './runWorker.ts'

await runWorker(readConfig(process.env, process.cwd()))
