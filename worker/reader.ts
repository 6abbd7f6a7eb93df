/** The reader process: serves online values over HTTP on the loopback interface. */
import { InputError } from '../model/index.ts'
import { createReader, createSampler } from '../reader/index.ts'
import { openSqlite } from '../iceberg/index.ts'
import { openRegistry, type RegistryTables } from '../registry/index.ts'
import { readConfig } from './config.ts'
import { loadDefinitions } from './definitions.ts'
import { databasePath, openOnlineStore, openSampleStore } from './openStore.ts'
import { servedServices } from './servedServices.ts'
import { followClock, openStoreClock } from './storeClock.ts'

const config = readConfig(process.env, process.cwd())
const database = await openSqlite<RegistryTables>(databasePath(config))
const registry = await openRegistry(database)
const clock = await openStoreClock(registry, config.setClockMs)
const isClockSet = clock.note !== null
// Only a clock that can be moved is worth a connection; requests never touch it.
if (!isClockSet) await registry.close()
const stopFollowing = followClock(clock, (sentence) => console.error(sentence))

const [serving] = config.onlineStores
if (serving === undefined) throw new InputError('ASOF_ONLINE names no online store to serve from.')
const store = openOnlineStore(config, serving, true)
const services = servedServices(
  () => loadDefinitions(config.features),
  async () => {
    const opened = await openRegistry(await openSqlite<RegistryTables>(databasePath(config)))
    try {
      return await opened.services()
    } finally {
      await opened.close()
    }
  },
)
const samples = config.readerSamples ? openSampleStore(config, serving) : null
const sampler =
  samples === null ? undefined : createSampler({ store: samples, say: (sentence) => console.error(sentence) })
const reader = createReader({
  store,
  ...(sampler === undefined ? {} : { sampler }),
  services,
  nowMs: () => clock.lastKnownNow(),
  storeName: config.store,
  get clockNote() {
    return clock.note
  },
})
await reader.listen({ host: '127.0.0.1', port: config.readerPort ?? 0 })
process.send?.('ready')

const stop = async () => {
  await reader.close()
  await sampler?.close()
  await samples?.close()
  await store.close()
  await stopFollowing()
  if (isClockSet) await registry.close()
  process.exit(0)
}
process.once('SIGINT', () => void stop())
process.once('SIGTERM', () => void stop())
