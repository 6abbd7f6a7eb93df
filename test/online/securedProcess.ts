/**
 * A process with an environment of its own that does by an address all that Asof does: imported, it starts one; run, it
 * is one. Node reads `NODE_EXTRA_CA_CERTS` only when it starts.
 */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { isCluster } from '../../online/redisAddress.ts'
import { openRedis } from '../../online/redis.ts'
import { RedisConnection } from '../../online/redisConnection.ts'
import { openRedisSamples } from '../../online/redisSamples.ts'
import { trackRedis } from '../../online/redisTracking.ts'
import { readGroup } from '../../online/readGroup.ts'
import { valueSchema } from '../../online/value.ts'

/** What it has done. */
export interface Done {
  /** Entities that were loaded, read one by one, found by a scan, and dropped. */
  readonly entities?: readonly [loaded: number, read: number, scanned: number, dropped: number | null]
  /** Connections to one Redis whose last command was MGET. */
  readonly reading?: number
  readonly samples?: number
  readonly error?: {
    readonly name: string
    readonly message: string
    /** All that could come into a log. */
    readonly inside: string
  }
}

const path = fileURLToPath(import.meta.url)

export function doAll(
  url: string,
  environment: Record<string, string> = {},
): Done & { readonly said: string } {
  const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', path], {
    encoding: 'utf8',
    timeout: 30_000,
    killSignal: 'SIGKILL',
    env: { ...process.env, ...environment, SECURED_URL: url },
  })
  if (stdout === '') throw new Error(stderr)
  return { ...(JSON.parse(stdout) as Done), said: stderr }
}

const group = 'a_v1'
const subject = `group/${group}`
const order = { incarnation: 1n, sequenceNumber: 1n }
const card = {
  group,
  keys: [{ name: 'origin', type: 'string' as const }],
  schema: valueSchema([{ name: 'departures', type: 'int64' }]),
  defaults: {},
  ttlMs: null,
  cadenceMs: 36e5,
}
const rows = Array.from({ length: 300 }, (_, at) => ({
  keys: [`k${at}`],
  eventTimestampMicros: 10n,
  values: [BigInt(at)],
}))

async function work(url: string): Promise<Done> {
  const options = { url, store: 'test', timeoutMs: 2_000 }
  const store = openRedis(options)
  const samples = openRedisSamples(options)
  try {
    const started = await store.startLoad(card, { snapshotId: '1', order })
    const loaded = await store.write(card, order, rows, started?.life)
    await store.finishLoad(group, { snapshotId: '1', order, loadedAtMs: 1_000 }, started?.life)
    let read = 0
    for (const { keys, values } of rows) {
      const found = await readGroup(store, group, () => [keys])
      if (found?.values[0]?.values[0] === values[0]) read++
      if (read < 10) await sleep(20)
    }
    const reading = isCluster(url) ? {} : { reading: await readingConnections(url) }
    let scanned = 0
    for await (const row of store.scan(group)) if (row.value !== null) scanned++
    if (!isCluster(url)) await track(url)
    await samples.add(subject, [Buffer.from('a'), Buffer.from('b')])
    let kept = 0
    for await (const sample of samples.read(subject)) kept += sample.length
    await samples.drop(subject)
    return { entities: [loaded, read, scanned, await store.drop(group)], ...reading, samples: kept }
  } finally {
    await Promise.all([store.close(), samples.close()])
  }
}

async function readingConnections(url: string): Promise<number> {
  const connection = new RedisConnection({ url, store: 'test' })
  try {
    const list = await connection.attempt('read', (client) => client.client('LIST'))
    return String(list).match(/ cmd=mget /g)?.length ?? 0
  } finally {
    connection.close()
  }
}

async function track(url: string): Promise<void> {
  const tracking = trackRedis({ url, store: 'test' })
  try {
    await tracking.started()
    if (!tracking.isHeard(performance.now())) throw new Error('Nothing is heard of its changes.')
  } finally {
    tracking.close()
  }
}

if (process.argv[1] === path) {
  const done = await work(process.env['SECURED_URL'] ?? '').catch((error: unknown): Done => {
    const { name, message } = error as Error
    return { error: { name, message, inside: inspect(error, { depth: 9, showHidden: true }) } }
  })
  process.stdout.write(JSON.stringify(done))
}
