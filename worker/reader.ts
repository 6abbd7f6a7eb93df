/** The reader process: serves online values over HTTP on the loopback interface. */
import { InputError } from '../model/index.ts'
import { createReader } from '../reader/index.ts'
import { openSqlite } from '../iceberg/index.ts'
import { openRegistry, type RegistryTables } from '../registry/index.ts'
import { readConfig } from './config.ts'
import { databasePath, openOnlineStore } from './openStore.ts'

const config = readConfig(process.env, process.cwd())
const database = await openSqlite<RegistryTables>(databasePath(config))
const registry = await openRegistry(database)
const clockOffsetMs = await registry.clockOffsetMs()
await registry.close()

const [serving] = config.onlineStores
if (serving === undefined) throw new InputError('ASOF_ONLINE names no online store to serve from.')
const store = openOnlineStore(config, serving, true)
const nowMs = () => Date.now() + clockOffsetMs
const clockNote =
  clockOffsetMs === 0 ? null : `set clock, ${Math.round(clockOffsetMs / 1000)} s from this machine's`
const reader = createReader({ store, nowMs, storeName: config.store, clockNote })
await reader.listen({ host: '127.0.0.1', port: config.readerPort ?? 0 })
process.send?.('ready')

const stop = async () => {
  await reader.close()
  await store.close()
  process.exit(0)
}
process.once('SIGINT', () => void stop())
process.once('SIGTERM', () => void stop())
