import { openDuckDb } from './offline/index.ts'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openWideStore, publishWideRows, wideGroup } from './bench/wideStore.ts'
import { startRedis } from './test/support/redis.ts'
import { openRedis } from './online/index.ts'
import { createActivities } from './activities/index.ts'
const scratch = mkdtempSync(join(tmpdir(), 'asof-zz-'))
const duckdb = await openDuckDb({ memoryLimit: '2GB', threads: 2, tempDirectory: join(scratch, 'spill') })
const { store } = await openWideStore({ duckdb }, scratch)
const n = Number(process.argv[2] ?? 1_000_000)
await publishWideRows(store, n)
const redis = await startRedis({ isPersistent: false })
for (let i = 0; i < Number(process.argv[3] ?? 2); i++) {
  await redis.look((c) => c.flushall())
  const online = openRedis({ url: redis.url, store: store.store })
  const cpu0 = process.cpuUsage(); const t0 = performance.now()
  const cpuR = async () => redis.look(async (client) => { const i = await client.info('cpu'); return (Number(/used_cpu_sys:([\d.]+)/.exec(i)![1]) + Number(/used_cpu_user:([\d.]+)/.exec(i)![1])) })
  const r0 = await cpuR()
  await createActivities({ ...store, onlineStores: [online] }).materializeGroup({ group: wideGroup, full: true })
  const u = process.cpuUsage(cpu0)
  console.log('total', ((performance.now() - t0) / 1000).toFixed(2), 'cpu', ((u.user + u.system) / 1e6).toFixed(2), 'redis cpu', (await cpuR() - r0).toFixed(2))
  await online.close()
}
await store.close(); await duckdb.close(); await redis.end(); process.exit(0)
