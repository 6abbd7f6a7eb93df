/** Served samples: the conformance suite over both stores, what is each one's own, and the format. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode } from '@msgpack/msgpack'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { IntegrityError, UnavailableError } from '../../model/index.ts'
import { encodeFeature } from '../../online/body.ts'
import { openLmdbSamples } from '../../online/lmdbSamples.ts'
import { openRedisSamples } from '../../online/redisSamples.ts'
import {
  decodeSample,
  encodeGroupSample,
  encodeServiceSample,
  type GroupSample,
  type ServiceSample,
} from '../../online/sampleFormat.ts'
import { startCluster } from '../support/redisCluster.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { allSamples, sampleStoreConformance } from './samplesConformance.ts'

const folder = temporaryFolder('samples')
let redis: TestRedis
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis?.end())

sampleStoreConformance('lmdb', () => {
  const options = { path: join(folder, 'conformance'), store: 'test' }
  const store = openLmdbSamples(options)
  return Promise.resolve({
    store,
    another: () => Promise.resolve(openLmdbSamples(options)),
    cleanUp: () => store.close(),
  })
})

sampleStoreConformance('redis', () => {
  const options = { url: redis.url, store: 'test' }
  const store = openRedisSamples(options)
  return Promise.resolve({
    store,
    another: () => Promise.resolve(openRedisSamples(options)),
    cleanUp: () => store.close(),
  })
})

sampleStoreConformance('redis cluster', async () => {
  const cluster = await startCluster()
  const options = { url: cluster.url, store: 'test' }
  const store = openRedisSamples(options)
  return {
    store,
    another: () => Promise.resolve(openRedisSamples(options)),
    cleanUp: async () => {
      await store.close()
      await cluster.end()
    },
  }
})

describe('samples in lmdb', () => {
  test('a reader of what is not there yet finds nothing, and then what another handle writes', async () => {
    const path = join(folder, 'later')
    const reader = openLmdbSamples({ path, store: 'test', readOnly: true })
    expect(await reader.subjects()).toEqual([])
    expect(await reader.drop('group/a_v1')).toBe(false)
    const writer = openLmdbSamples({ path, store: 'test' })
    await writer.add('group/a_v1', [Buffer.from('a')])
    expect(await reader.subjects()).toEqual(['group/a_v1'])
    await writer.add('group/a_v1', [Buffer.from('b')])
    expect(await allSamples(reader, 'group/a_v1')).toHaveLength(2)
    await Promise.all([reader.close(), writer.close()])
  })

  test('two stores in one folder see nothing of each other; a torn file is said to be one', async () => {
    const path = join(folder, 'shared')
    const [one, other] = [openLmdbSamples({ path, store: 'one' }), openLmdbSamples({ path, store: 'onea' })]
    await one.add('group/a_v1', [Buffer.from('a')])
    await other.add('group/b_v1', [Buffer.from('b')])
    expect([await one.subjects(), await other.subjects()]).toEqual([['group/a_v1'], ['group/b_v1']])
    await Promise.all([one.close(), other.close()])
    const torn = join(folder, 'torn')
    mkdirSync(torn)
    writeFileSync(join(torn, 'data.mdb'), 'this is no database'.repeat(1000))
    const refused = openLmdbSamples({ path: torn, store: 'test' }).add('group/a_v1', [Buffer.from('a')])
    await expect(refused).rejects.toThrow(UnavailableError)
  })
})

describe('samples in redis', () => {
  test('stand under keys that no group can have, and expire', async () => {
    const samples = openRedisSamples({ url: redis.url, store: 'keys' })
    await samples.add('group/a_v1', [Buffer.from('a')])
    await samples.add('service/s', [Buffer.from('a')])
    const keys = await redis.look((client) => client.keys('keys*'))
    expect(keys.sort()).toEqual(['keys:!samples', 'keys:!samples:group/a_v1', 'keys:!samples:service/s'])
    const lives = await redis.look((client) => Promise.all(keys.map((key) => client.ttl(key))))
    for (const seconds of lives) expect(seconds).toBeGreaterThan(7 * 86_400)
    // One that has expired, and is still in the list of subjects.
    await redis.look((client) => client.del('keys:!samples:service/s'))
    expect(await samples.subjects()).toEqual(['group/a_v1'])
    await samples.close()
  })

  test('a server that hangs fails a write in bounded time, and is used again when it answers', async () => {
    const server = await startRedis()
    try {
      const samples = openRedisSamples({ url: server.url, store: 'test', timeoutMs: 300 })
      await samples.add('group/a_v1', [Buffer.from('a')])
      const connections = async () =>
        String(await server.look((client) => client.client('LIST'))).match(/(?<=^id=)\d+/gm) ?? []
      const [before] = await connections()
      server.pause()
      for (let n = 0; n < 3; n++) {
        await expect(samples.add('group/a_v1', [Buffer.from('lost')])).rejects.toThrow(UnavailableError)
      }
      server.resume()
      await samples.add('group/a_v1', [Buffer.from('b')])
      const [newest] = await allSamples(samples, 'group/a_v1')
      expect(newest?.toString()).toBe('b')
      // What hung has been given up, with all that waited in it.
      const [after] = await connections()
      expect([before, after]).toEqual([expect.any(String), expect.any(String)])
      expect(after).not.toBe(before)
      await samples.close()
    } finally {
      await server.end()
    }
  })
})

describe('the format', () => {
  const groupSample: GroupSample = {
    ...{ kind: 'group', atMicros: 993_949_200_000_001n, key: 'ATL|9', snapshotId: '9223372036854775807' },
    ...{ value: Buffer.from([0, 255, 7]), ttlMs: 365 * 864e5 },
  }
  const serviceSample: ServiceSample<Buffer> = {
    ...{ kind: 'service', atMicros: 1n, service: 'model_v1' },
    entities: { origin: 'ATL', driver: 7, trip: null, big: 2n ** 62n },
    request: {
      distance: encodeFeature({ name: 'distance', type: 'int64' }, 5n),
      share: encodeFeature({ name: 'share', type: 'float64' }, -0),
    },
    lookups: [
      { group: 'a_v1', role: null, key: 'ATL', eventTimestampMicros: -1n, snapshotId: '7', ttlMs: null },
      { group: 'a_v1', role: 'b', key: null, eventTimestampMicros: null, snapshotId: '8', ttlMs: 1 },
    ],
    features: [
      { name: 'mean', type: 'float32', lookup: 0 },
      ...Array.from({ length: 20 }, (_, at) => ({ name: `f${at}`, type: 'int64', lookup: 1 }) as const),
      { name: 'made', type: 'boolean', lookup: null },
    ],
    values: [
      encodeFeature({ name: 'mean', type: 'float32' }, Math.fround(0.1)),
      ...Array.from({ length: 20 }, (_, at) => encodeFeature({ name: 'f', type: 'int64' }, 2n ** BigInt(at))),
      encodeFeature({ name: 'made', type: 'boolean' }, null),
    ],
    statuses: ['PRESENT', ...Array.from({ length: 20 }, () => 'PRESENT' as const), 'NULL_VALUE'],
  }

  test('gives back what was written, whichever library reads it', () => {
    expect(decodeSample(encodeGroupSample(groupSample))).toEqual(groupSample)
    expect(decodeSample(encodeGroupSample({ ...groupSample, value: null, ttlMs: null }))).toMatchObject({
      ...{ value: null, ttlMs: null },
    })
    const sample = decodeSample(encodeServiceSample(serviceSample))
    expect(sample).toEqual({
      ...serviceSample,
      entities: { origin: 'ATL', driver: 7n, trip: null, big: 2n ** 62n },
      request: { distance: 5n, share: -0 },
      values: [Math.fround(0.1), ...Array.from({ length: 20 }, (_, at) => 2n ** BigInt(at)), null],
    })
    expect(decode(encodeGroupSample(groupSample), { useBigInt64: true })).toEqual({
      ...{ version: 1, kind: 'group', at: 993_949_200_000_001n, key: 'ATL|9' },
      ...{ value: Buffer.from([0, 255, 7]), snapshot_id: '9223372036854775807', ttl_ms: 31_536_000_000n },
    })
    expect(decode(encodeServiceSample(serviceSample), { useBigInt64: true })).toMatchObject({
      ...{ version: 1, kind: 'service', at: 1n, service: 'model_v1' },
      entities: { origin: 'ATL', driver: 7n, trip: null, big: 2n ** 62n },
      groups: [
        {
          feature_group: 'a_v1',
          role: null,
          key: 'ATL',
          event_timestamp: -1n,
          snapshot_id: '7',
          ttl_ms: null,
        },
        { feature_group: 'a_v1', role: 'b', key: null, event_timestamp: null, snapshot_id: '8', ttl_ms: 1n },
      ],
    })
  })

  test('holds a copy: a stored value is a piece of a larger buffer', () => {
    const large = Buffer.alloc(1 << 20, 7)
    const sample = encodeGroupSample({ ...groupSample, value: large.subarray(5, 9) })
    large.fill(0)
    expect(decodeSample(sample)).toMatchObject({ value: Buffer.alloc(4, 7) })
    expect(sample.buffer.byteLength).toBeLessThan(1 << 20)
  })

  test.each([
    ['nothing', Buffer.alloc(0)],
    ['a number', Buffer.of(7)],
    ['a later version', Buffer.from([0x81, 0xa7, ...Buffer.from('version'), 2])],
    ['a torn one', encodeGroupSample(groupSample).subarray(0, 20)],
  ])('%s is no sample', (_, bytes) => {
    expect(() => decodeSample(bytes)).toThrow(IntegrityError)
    expect(() => decodeSample(bytes)).toThrow(/served sample: .*expected format version 1/)
  })
})
