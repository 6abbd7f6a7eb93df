/** The worker of `worker/main.ts` with workflows that are bundled already, as an installed package has them. */
import { readConfig } from '../worker/config.ts'
import { runWorker } from '../worker/runWorker.ts'

const codePath = process.env['BENCH_WORKFLOW_BUNDLE'] ?? ''
await runWorker(readConfig(process.env, process.cwd()), { options: { workflowBundle: { codePath } } })
