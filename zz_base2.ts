import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDuckDb } from './offline/index.ts'
import { openWideStore, publishWideRows, wideGroup } from './bench/wideStore.ts'
import { startTemporal } from './test/support/temporal.ts'
import { startRedis } from './test/support/redis.ts'
import { startWorker } from './zz_wp.ts'
const scratch = mkdtempSync(join(tmpdir(), 'asof-zz-'))
const duckdb = await openDuckDb({ memoryLimit: '2GB', threads: 2, tempDirectory: join(scratch, 'spill') })
const temporal = await startTemporal()
const redis = await startRedis({ isPersistent: false })
const env = { ASOF_ONLINE: redis.url, ASOF_MEMORY_LIMIT: process.env.LIMIT ?? '200MB', ASOF_TASK_QUEUE: 'zz', TEMPORAL_ADDRESS: temporal.address, UV_THREADPOOL_SIZE: process.env.POOL ?? '16', ...(process.env.MALLOC ? { MALLOC_ARENA_MAX: process.env.MALLOC } : {}) }
const { store, environment } = await openWideStore({ duckdb }, scratch, env)
await publishWideRows(store, 1_000_000)
await store.close(); await duckdb.close()
const worker = await startWorker(environment)
console.log('ready', worker.peakMegabytes()); const pid = worker.pid; const timer = setInterval(() => { const t = readFileSync('/proc/' + pid + '/status', 'utf8'); console.log(['VmRSS','RssAnon','RssFile'].map((k) => k + ' ' + Math.round(Number(new RegExp(k + ':\\s+(\\d+)').exec(t)?.[1]) / 1000)).join(' ')) }, 1000)
const loaded = await temporal.client.workflow.execute('materialize', { taskQueue: 'zz', workflowId: 'zz', args: [{ group: wideGroup }] })
console.log(JSON.stringify(loaded), worker.peakMegabytes())
await worker.stop(); await redis.end(); await temporal.teardown(); process.exit(0)
