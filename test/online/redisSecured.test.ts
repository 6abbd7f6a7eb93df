/** Redis behind TLS, and users of its ACL: what works, and how what does not is said, never with the password. */
import { join } from 'node:path'
import { inspect } from 'node:util'
import { beforeAll, describe, expect, test } from 'vitest'
import { UnavailableError } from '../../model/index.ts'
import { openRedis } from '../../online/redis.ts'
import type { OnlineStore } from '../../online/store.ts'
import { makeCertificate, type Certificate } from '../support/certificate.ts'
import { freePort, type TestRedis } from '../support/redis.ts'
import { untilWhole } from '../support/redisCluster.ts'
import { redisServers } from '../support/redisServers.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { cardOf, markOf, order, readValues, rowOf } from './conformance.ts'
import { doAll } from './securedProcess.ts'

const folder = temporaryFolder('secured')
const newServer = redisServers()

const certificateOf = (names: string): Certificate => {
  const name = names.replaceAll(/\W/g, '')
  return makeCertificate({ cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) }, names)
}

const password = 'p@ss:w/rd%s3cret'
/** What README asks for. */
const rights = '~test ~test:* ~{test:*} +@read +@write +@scripting +info +role'
const rightsToTrack = '+ping +subscribe +client|id +client|tracking &__redis__:invalidate'
const rightsInCluster = '+cluster|slots +cluster|info +readonly'
const rightsToLook = '+client|list'

/** A user who may do what `rights` say and nothing else, and the server's address for it. */
async function addressFor(server: TestRedis, user: string, ...allowed: string[]): Promise<string> {
  await server.look((client) =>
    client.call('ACL', 'SETUSER', user, 'reset', 'on', `>${password}`, ...allowed.join(' ').split(' ')),
  )
  return server.url.replace('//', `//${user}:${encodeURIComponent(password)}@`)
}

const patience = { timeout: 20_000 }
const everything = { entities: [300, 300, 300, 300], samples: 2 }

describe('TLS', () => {
  let server: TestRedis
  let url: string
  let certificate: Certificate
  beforeAll(async () => {
    certificate = certificateOf('IP:127.0.0.1')
    server = await newServer({ tls: certificate })
    url = await addressFor(server, 'asof', rights, rightsToTrack, rightsToLook)
  })

  test('with a certificate of ones own, which NODE_EXTRA_CA_CERTS names, everything goes that goes without', () => {
    const done = doAll(url, { NODE_EXTRA_CA_CERTS: certificate.cert })
    // The second one that reads is the wire.
    expect(done).toEqual({ ...everything, reading: 2, said: '' })
  })

  test('a certificate that nobody vouches for, or of another name, is said, and how one does', async () => {
    const { error } = doAll(url)
    expect(error?.name).toBe('UnavailableError')
    expect(error?.message).toMatch(
      /^online store rediss:\/\/127\.0\.0\.1:\d+ cannot read: self-signed certificate/,
    )
    expect(error?.message).toMatch(/NODE_EXTRA_CA_CERTS/)
    expect(error?.inside).not.toMatch(/s3cret/)
    const other = certificateOf('DNS:elsewhere')
    const named = await newServer({ tls: other })
    const misnamed = doAll(named.url, { NODE_EXTRA_CA_CERTS: other.cert })
    expect(misnamed.error).toMatchObject({
      name: 'UnavailableError',
      message: expect.stringMatching(/cannot read: .*IP: 127\.0\.0\.1 is not in the cert's list/) as string,
    })
  })

  test('where it is not spoken, or not asked for, the address is doubted', async () => {
    const plain = await newServer()
    for (const address of [plain.url.replace('redis:', 'rediss:'), url.replace('rediss:', 'redis:')]) {
      const { error } = doAll(address, { NODE_EXTRA_CA_CERTS: certificate.cert })
      expect(error?.name).toBe('UnavailableError')
      expect(error?.message).toMatch(/cannot read: \S.*ASOF_ONLINE is the right address/)
      expect(error?.inside).not.toMatch(/s3cret/)
    }
  })

  test('replicas are read by it, too', async () => {
    const settings = ['--tls-replication', 'yes', '--replicaof', `127.0.0.1 ${server.port}`]
    const replica = await newServer({ tls: certificate, settings })
    await addressFor(replica, 'asof', rights, rightsToTrack, rightsToLook)
    await expect.poll(() => replica.look((client) => client.role()), patience).toContain('connected')
    const done = doAll(`${url}/0?replicas=127.0.0.1:${replica.port}`, {
      NODE_EXTRA_CA_CERTS: certificate.cert,
    })
    expect(done).toMatchObject({ entities: [300, expect.any(Number) as number, 300, 300], said: '' })
    const reads = await replica.look((client) => client.info('commandstats'))
    expect(Number(/cmdstat_mget:calls=(\d+)/.exec(reads)?.[1])).toBeGreaterThan(250)
  })

  test('a cluster is asked by the names that its certificates have', async () => {
    const named = certificateOf('DNS:localhost')
    const cluster = [
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(await freePort()),
      '--tls-cluster',
      'yes',
    ]
    const names = [
      '--cluster-announce-hostname',
      'localhost',
      '--cluster-preferred-endpoint-type',
      'hostname',
    ]
    const node = await newServer({ tls: named, settings: [...cluster, ...names] })
    await node.look((client) => client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383))
    const withUser = await addressFor(node, 'asof', rights, rightsInCluster)
    const address = withUser.replace('rediss:', 'rediss+cluster:').replace('127.0.0.1', 'localhost')
    await untilWhole(node)
    expect(doAll(address, { NODE_EXTRA_CA_CERTS: named.cert })).toEqual({ ...everything, said: '' })
    expect(doAll(address).error).toMatchObject({
      name: 'UnavailableError',
      message: expect.stringMatching(/cannot read: self-signed certificate.*NODE_EXTRA_CA_CERTS/) as string,
    })
  })
})

describe.each(['redis', 'redis+cluster'])('users of %s', (protocol) => {
  const isCluster = protocol !== 'redis'
  let server: TestRedis
  beforeAll(async () => {
    const ownBus = ['--cluster-port', String(await freePort()), '--cluster-announce-ip', '127.0.0.1']
    const cluster = ['--cluster-enabled', 'yes', ...ownBus]
    server = await newServer({ settings: isCluster ? cluster : [] })
    if (!isCluster) return
    await server.look((client) => client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383))
    await untilWhole(server)
  })
  const urlFor = async (user: string, ...allowed: string[]) =>
    (await addressFor(server, user, ...allowed, ...(isCluster ? [rightsInCluster] : []))).replace(
      'redis',
      protocol,
    )
  const group = 'a_v1'
  const open = (url: string) => openRedis({ url, store: 'test', timeoutMs: 1_000 })
  const load = async (store: OnlineStore, n: number) => {
    const started = await store.startLoad(cardOf(group), { snapshotId: `1.${n}`, order: order(n) })
    await store.write(cardOf(group), order(n), [rowOf('a', n)], started?.life)
    await store.finishLoad(group, markOf(order(n)), started?.life)
  }
  const read = async (store: OnlineStore) => (await readValues(store, group, [['a']]))[0]?.values[0]
  /** What is said, in all places where it could come into a log. */
  const refusal = async (work: Promise<unknown>): Promise<string> => {
    const error: unknown = await work.then(
      () => 'nothing was refused',
      (reason: unknown) => reason,
    )
    expect(error).toBeInstanceOf(UnavailableError)
    expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(/s3cret|w%2Frd/)
    return (error as Error).message
  }

  test('who may do what README says may do everything', async () => {
    const url = await urlFor('all', rights, ...(isCluster ? [] : [rightsToTrack, rightsToLook]))
    expect(doAll(url)).toEqual({ ...everything, ...(isCluster ? {} : { reading: 2 }), said: '' })
  })

  test('who gives a wrong password, or loses it, is told so, without the password', async () => {
    const url = await urlFor('forgetful', rights)
    const wrong = open(url.replace('s3cret', 's3cret-but-wrong'))
    for (const work of [() => read(wrong), () => wrong.listGroups(), () => load(wrong, 1)]) {
      expect(await refusal(work())).toMatch(/127\.0\.0\.1:\d+ cannot (read|write): WRONGPASS .*credentials/)
    }
    await wrong.close()
    const store = open(url)
    await load(store, 2)
    expect(await read(store)).toBe(2n)
    await server.look((client) => client.call('ACL', 'SETUSER', 'forgetful', `<${password}`, '>another'))
    await server.look((client) => client.call('CLIENT', 'KILL', 'USER', 'forgetful'))
    await expect.poll(() => refusal(read(store)).catch(String), patience).toMatch(/WRONGPASS/)
    expect(await refusal(load(store, 3))).toMatch(/WRONGPASS/)
    await server.look((client) => client.call('ACL', 'SETUSER', 'forgetful', `>${password}`))
    await expect.poll(() => read(store).catch(String), patience).toBe(2n)
    await store.close()
  })

  test('who may only read reads, and is told what it may not', async () => {
    const worker = open(await urlFor('worker', rights))
    await load(worker, 4)
    await worker.close()
    const reader = open(await urlFor('reader', '~test ~test:* ~{test:*} +get +mget +info +exists'))
    for (let turn = 0; turn < 9; turn++) {
      expect(await read(reader)).toBe(4n)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(await refusal(load(reader, 5))).toMatch(/cannot write: NOPERM .*'(evalsha|script\|load)' command/)
    expect(await refusal(reader.listGroups())).toMatch(/cannot read: NOPERM .*'smembers' command/)
    expect(await read(reader)).toBe(4n)
    await reader.close()
  })

  test('who lacks one right is told which, whatever asks for it', async () => {
    const without = async (...denied: string[]) => {
      const store = open(await urlFor(`no${denied.join('').replaceAll(/\W/g, '')}`, rights, ...denied))
      try {
        return await refusal(load(store, 6).then(() => read(store)))
      } finally {
        await store.close()
      }
    }
    await server.look((client) => client.script('FLUSH'))
    expect(await without('-script')).toMatch(/cannot write: NOPERM .*'script\|load' command/)
    expect(await without('-evalsha', '-eval')).toMatch(/cannot write: NOPERM .*'evalsha' command/)
    expect(await without('-set')).toMatch(/cannot write: ERR .*can't run this command/)
    expect(await without('-info')).toMatch(/cannot read: NOPERM .*'info' command/)
    expect(await without('resetkeys', '~else:*')).toMatch(/cannot read: NOPERM .*keys/)
  })
})
