/** Runs the reader of a store: opens what it needs, listens, and follows signals until it is told to stop. */
import { Server as TlsServer } from 'node:tls'
import type { FastifyInstance } from 'fastify'
import { openSqlite } from '../iceberg/catalog/sqlite.ts'
import { InputError } from '../model/index.ts'
import { createAccess, createEdge, createReader, createSampler } from '../reader/index.ts'
import { openRegistry, type RegisteredService, type RegistryTables } from '../registry/index.ts'
import type { Config } from './config.ts'
import { loadDefinitions } from './definitions.ts'
import { keepGarbageRoom } from './garbageRoom.ts'
import { openReaderStore } from './openReaderStore.ts'
import { openSampleStore } from './openOnline.ts'
import { databasePath } from './paths.ts'
import { readAccess } from './readerConfig.ts'
import { servedServices } from './servedServices.ts'
import { followClock, openStoreClock } from './storeClock.ts'

/**
 * Serves until SIGTERM or SIGINT; SIGHUP reads tokens and certificate again. Says `ready` to its parent once it listens.
 *
 * @throws InputError for what is wrong with its configuration
 */
export async function runReader(config: Config): Promise<void> {
  keepGarbageRoom()
  const { host, port, bounds, maxConnections, graceMs } = config.reader
  const { tokens, tls } = readAccess(config.reader)
  const [serving] = config.onlineStores
  if (serving === undefined) throw new InputError('ASOF_ONLINE names no online store to serve from.')

  const database = await openSqlite<RegistryTables>(databasePath(config))
  const registry = await openRegistry(database)
  const clock = await openStoreClock(registry, config.setClockMs)
  const isClockSet = clock.note !== null
  // Only a clock that can be moved is worth a connection; requests never touch it.
  if (!isClockSet) await registry.close()
  const stopFollowing = followClock(clock, say)
  const store = await openReaderStore(config, serving, say)
  const samples = config.reader.samples ? openSampleStore(config, serving) : null
  const sampler = samples === null ? null : createSampler({ store: samples, say })
  const edge = createEdge({ access: createAccess(tokens), bounds, server: { tls, maxConnections } })
  const reader = createReader({
    store,
    services: servedServices(
      () => loadDefinitions(config.features),
      () => registeredServices(config),
    ),
    nowMs: () => clock.lastKnownNow(),
    storeName: config.store,
    get clockNote() {
      return clock.note
    },
    edge,
    ...(sampler === null ? {} : { sampler }),
  })
  let stopping: Promise<void> | null = null
  const stop = async () => {
    await edge.drain(reader, graceMs)
    await sampler?.close()
    await samples?.close()
    await store.close()
    await stopFollowing()
    if (isClockSet) await registry.close()
    process.exit(0)
  }
  process.on('SIGHUP', () => {
    try {
      const read = readAccess(config.reader)
      edge.access.replaceTokens(read.tokens)
      if (read.tls !== null && reader.server instanceof TlsServer) reader.server.setSecureContext(read.tls)
      say('Tokens and certificate were read again.')
    } catch (error) {
      say(`What was there before still counts. ${(error as Error).message}`)
    }
  })
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      stopping ??= stop()
    })
  }
  await listen(reader, host, port ?? 0)
  process.send?.('ready')
}

/** The registry is opened for as long as it takes to ask. */
async function registeredServices(config: Config): Promise<readonly RegisteredService[]> {
  const registry = await openRegistry(await openSqlite<RegistryTables>(databasePath(config)))
  try {
    return await registry.services()
  } finally {
    await registry.close()
  }
}

async function listen(reader: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    await reader.listen({ host, port })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new InputError(
      `The reader cannot listen on port ${port} of ${host} (${code}). Set ASOF_READER_HOST to an address of this machine and ASOF_READER_PORT to a port that is free.`,
    )
  }
}

const say = (sentence: string) => console.error(sentence)
