/** The typed client against the real reader over a real LMDB. */
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClient, InputError, UnavailableError, type ClientOptions } from '../../client/online/index.ts'
import { featureService } from '../../model/index.ts'
import type { OnlineStore } from '../../online/index.ts'
import { createAccess, createEdge } from '../../reader/index.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import {
  arrival,
  delays,
  drivers,
  greatest,
  made,
  model,
  nowMicros,
  openServedStore,
  seen,
  startReader,
  taste,
  type ServedReader,
} from './servedModel.ts'

const folder = temporaryFolder('client')
const closers: (() => Promise<unknown>)[] = []
let store: OnlineStore
let reader: ServedReader
beforeAll(async () => {
  store = await openServedStore(folder)
  closers.push(() => store.close())
  reader = await served()
})
afterAll(async () => {
  for (const close of closers.toReversed()) await close()
})

async function served(options?: Parameters<typeof startReader>[1]): Promise<ServedReader> {
  const started = await startReader(store, options)
  closers.push(() => started.app.close())
  return started
}

const flight = {
  origin: 'ATL',
  destination: 'JFK',
  driver: 9_007_199_254_740_993n,
  kind: 'web',
  distance: 760,
  share: 0.1,
  when: new Date(1500),
}
/** Time enough for a machine that does other things, for all tests but those of limits. */
const patientClient = (url: string, options: ClientOptions = {}) =>
  createClient(url, { attemptTimeoutMs: 30_000, timeoutMs: 60_000, ...options })
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => error as Error & { context: Record<string, unknown> },
  )

describe('values', () => {
  test('of a service, exact to the last bit, under the types of its definition', async () => {
    const { values, vector, statuses, groups, asOf } = await patientClient(reader.url).get(model, flight)
    const typed: {
      arrival__delay: number
      departures: bigint | null
      delay: number
      seen: bigint | null
      taste: readonly number[] | null
      times: readonly (bigint | null)[] | null
      sum: bigint | null
      said: string
      echo: number | null
    } = values
    expect(typed).toEqual({
      arrival__delay: -0,
      departures: greatest - 760n,
      delay: 11,
      seen,
      taste,
      times: [seen, null],
      sum: greatest,
      said: 'ATL at 1500',
      echo: 0.1,
    })
    expect(vector).toEqual(Object.values(values))
    expect(Object.keys(statuses)).toEqual(Object.keys(values))
    expect(new Set(Object.values(statuses))).toEqual(new Set(['PRESENT']))
    expect(groups).toEqual({
      arrival: { eventTimestamp: nowMicros - 5n, ageSeconds: 1, stale: false, snapshotId: '77' },
      delays_v1: { eventTimestamp: nowMicros - 1n, ageSeconds: 1, stale: false, snapshotId: '77' },
      drivers_v1: { eventTimestamp: nowMicros, ageSeconds: 7200, stale: true, snapshotId: '77' },
    })
    expect(asOf).toBe(nowMicros)
  })

  test('of what is not there: the default, or null, and the status tells', async () => {
    const { values, statuses, groups } = await patientClient(reader.url).get(model, {
      ...flight,
      ...{ origin: 'OLD', destination: null, driver: 1, share: null, when: null },
    })
    expect(values).toEqual({
      ...{ arrival__delay: 0.5, departures: null, delay: 0.5, seen: null, taste: null, times: null },
      ...{ sum: null, said: '-', echo: null },
    })
    expect([statuses.arrival__delay, statuses.delay, statuses.seen, statuses.said]).toEqual([
      'NOT_FOUND',
      'OUTSIDE_MAX_AGE',
      'NOT_FOUND',
      'NULL_VALUE',
    ])
    expect(groups['arrival']?.eventTimestamp).toBe(null)
    expect(groups['delays_v1']?.eventTimestamp).toBe(0n)
  })

  test('of a group alone, of some of its features, and of it in a role', async () => {
    const client = patientClient(`${reader.url}/`)
    const whole = await client.get(delays, { origin: 'ATL' })
    expect(whole.values).toEqual({ departures: greatest - 760n, delay: 11 })
    const some = await client.get(drivers.pick('trips', 'good'), {
      driver: 9_007_199_254_740_993n,
      kind: 'web',
    })
    expect(some.values).toEqual({ trips: -5, good: true })
    expect(some.vector).toEqual([-5, true])
    const other = await client.get(arrival.pick('delay'), { destination: 'NAN' })
    expect(other.values).toEqual({ arrival__delay: Number.NaN })
    expect(other.groups['arrival']?.stale).toBe(false)
  })

  test('MessagePack goes out and comes back', async () => {
    const { url, seen: asked } = await served()
    await patientClient(url).get(delays, { origin: 'ATL' })
    const forms = { accept: 'application/msgpack', contentType: 'application/msgpack' }
    expect(asked).toMatchObject([{ authorization: undefined, ...forms }])
  })

  test('the token is the one of the moment; another one is refused at once, and not shown', async () => {
    const tokens = ['0123456789abcdef0123456789abcdef', 'fedcba9876543210fedcba9876543210'] as const
    const edge = createEdge({ access: createAccess([tokens[0]]) })
    const { url, seen: asked } = await served({ edge })
    let token: string = tokens[0]
    const client = patientClient(url, { token: () => Promise.resolve(token) })
    await client.get(delays, { origin: 'ATL' })
    edge.access.replaceTokens([tokens[1]])
    const refused = await failure(client.get(delays, { origin: 'ATL' }))
    expect(refused).toBeInstanceOf(InputError)
    expect(refused).toMatchObject({ context: { status: 401, code: 'unauthorized' } })
    expect(refused.message).not.toContain(tokens[0])
    token = tokens[1]
    await client.get(delays, { origin: 'ATL' })
    expect(asked.map(({ authorization }) => authorization)).toEqual(tokens.map((one) => `Bearer ${one}`))
  })

  test('types are kept however short MessagePack wrote a number', async () => {
    const features = [
      { name: 'departures', type: 'int64' },
      { name: 'delay', type: 'float64' },
    ]
    const results = [{ values: [7, 2n ** 60n], statuses: ['PRESENT', 'PRESENT'], event_timestamps: [] }]
    const body = { as_of: 1_000_000, groups: [], features, results }
    const { url } = await served({ instead: () => ({ status: 200, body }) })
    const { values, asOf } = await patientClient(url).get(delays, { origin: 'ATL' })
    expect(values).toEqual({ departures: 7n, delay: 2 ** 60 })
    expect(asOf).toBe(1_000_000n)
  })

  test('a body that is no answer is said to be none', async () => {
    const { url } = await served({ instead: () => ({ status: 200, body: { results: [] } }) })
    const error = await failure(patientClient(url).get(delays, { origin: 'ATL' }))
    expect(error.name).toBe('IntegrityError')
    expect(error.message).toMatch(/^feature group delays_v1: the reader sent no answer for 1 rows/)
  })

  test('a reader that serves more features gives the vector that the definition here says', async () => {
    const older = featureService({
      name: 'model_v1',
      features: [drivers.pick('seen'), delays.pick('delay'), arrival.pick('delay')],
      onDemand: [made],
    })
    const { vector, values } = await patientClient(reader.url).get(older, flight)
    expect(vector).toEqual([seen, 11, -0, greatest, 'ATL at 1500', 0.1])
    expect(Object.values(values)).toEqual(vector)
  })

  test('and one that serves fewer says so, for a vector has no holes', async () => {
    const newer = featureService({
      name: 'model_v1',
      features: [...model.features, drivers.pick('trips')],
      onDemand: [made],
    })
    const error = await failure(patientClient(reader.url).get(newer, flight))
    expect(error).toBeInstanceOf(InputError)
    expect(error.message).toMatch(
      /^feature service model_v1: the reader serves no trips in it, but arrival__delay, .*deploy it here/,
    )
  })
})

describe('batches', () => {
  test('questions of one turn travel together, up to a thousand rows a request, and keep apart', async () => {
    const { url, seen: asked } = await served()
    const client = patientClient(url)
    const answers = await Promise.all([
      ...Array.from({ length: 1200 }, (_, n) => client.get(delays, { origin: `A${n}` })),
      client.get(drivers.pick('trips'), { driver: 7, kind: 'none' }),
      client.get(delays.pick('delay'), { origin: 'ATL' }),
      client.get(delays.pick('delay'), { origin: 'JFK' }),
    ])
    expect(asked.map(({ rows }) => rows).sort((a, b) => a - b)).toEqual([1, 2, 200, 1000])
    expect(answers.slice(0, 1200).map(({ vector }) => vector[0])).toEqual(
      Array.from({ length: 1200 }, (_, n) => BigInt(n)),
    )
    expect(answers.slice(1200).map(({ vector }) => vector)).toEqual([[null], [11], [-0]])
  })

  test('one’s mistake is one’s own: what can be seen is not sent', async () => {
    const { url, seen: asked } = await served()
    const client = patientClient(url)
    const wrong = { ...flight, driver: 1.5 }
    const [good, bad, missing] = await Promise.allSettled([
      client.get(model, flight),
      client.get(model, wrong),
      client.get(model, { ...flight, kind: undefined as unknown as string }),
    ])
    expect(good.status).toBe('fulfilled')
    expect((bad as PromiseRejectedResult).reason).toMatchObject({
      name: 'InputError',
      message:
        'feature service model_v1: driver: 1.5 is no int64. Give a bigint within 64 bits, or a whole number that JavaScript holds exactly.',
    })
    expect((missing as PromiseRejectedResult).reason).toMatchObject({
      message: expect.stringMatching(
        /kind is missing\. Give destination \(string\), origin \(string\), driver \(int64\)/,
      ) as string,
    })
    expect(asked.length).toBe(1)
  })

  test('and what only the reader sees is refused to whoever asked it alone', async () => {
    const { url, seen: asked } = await served()
    const client = patientClient(url)
    // Escapes make the key longer than it may be.
    const long = '|'.repeat(600)
    const settled = await Promise.allSettled([
      ...['ATL', 'JFK', long, 'NAN', 'A1'].map((origin) => client.get(delays, { origin })),
      client.getMany(delays, [{ origin: 'A2' }, { origin: long }]),
    ])
    expect(settled.map(({ status }) => status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'rejected',
    ])
    expect((settled[2] as PromiseRejectedResult).reason).toBeInstanceOf(InputError)
    expect((settled[5] as PromiseRejectedResult).reason).toMatchObject({
      message: expect.stringMatching(/^entities, origin, row 2: .* 1200 bytes long/) as string,
      context: { status: 400, code: 'bad_request' },
    })
    expect(asked.length).toBeLessThan(12)
  })

  test('any number of rows come in their order, duplicates and misses in their places', async () => {
    const { url, seen: asked } = await served()
    const client = patientClient(url)
    const origins = Array.from({ length: 4500 }, (_, n) => `A${n % 2600}`)
    const answers = await client.getMany(
      delays,
      origins.map((origin) => ({ origin })),
    )
    expect(answers.map(({ values }) => values.departures)).toEqual(
      Array.from({ length: 4500 }, (_, n) => (n % 2600 < 2500 ? BigInt(n % 2600) : null)),
    )
    // Four are under way at a time, and nobody says which comes first.
    expect(asked.map(({ rows }) => rows).sort((a, b) => a - b)).toEqual([500, 1000, 1000, 1000, 1000])
    expect(await client.getMany(delays, [])).toEqual([])
    const error = await failure(client.getMany(delays, [{ origin: 'A1' }, { origin: '\ud800' }]))
    expect(error.message).toMatch(/^row 2: feature group delays_v1: origin: "\\ud800" is no string/)
  })

  test('a body that is too large is sent in pieces', async () => {
    const { url, seen: asked } = await served({
      instead: (before) => (before === 0 ? { status: 413 } : undefined),
    })
    const answers = await patientClient(url).getMany(delays, [
      { origin: 'ATL' },
      { origin: 'JFK' },
      { origin: 'A3' },
    ])
    expect(answers.map(({ values }) => values.delay)).toEqual([11, -0, 3])
    expect(asked.map(({ rows }) => rows)).toEqual([3, 2, 1])
  })
})

describe('patience', () => {
  test('a reader that sheds load is asked again, not before it said', async () => {
    const busy = [
      { status: 503, retryAfter: 1 },
      { status: 503 },
      { status: 429, retryAfter: 'Thu, 01 Jan 1970 00:00:00 GMT' },
    ]
    const { url, seen: asked } = await served({ instead: (before) => busy[before] })
    const { values } = await patientClient(url).get(delays, { origin: 'ATL' })
    expect(values.delay).toBe(11)
    expect(asked.length).toBe(4)
    const [first, second] = asked
    expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(990)
  })

  test('but only so often, and not where it asks to wait for longer than there is time', async () => {
    const busy = await served({ instead: () => ({ status: 503 }) })
    const error = await failure(patientClient(busy.url, { retries: 2 }).get(delays, { origin: 'ATL' }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error.message).toBe(`The reader at ${busy.url} answers 503: Too much to do. (3 tries)`)
    const away = await served({ instead: () => ({ status: 503, retryAfter: 600 }) })
    expect((await failure(patientClient(away.url).get(delays, { origin: 'ATL' }))).message).toMatch(
      /503: Too much to do\.$/,
    )
    expect(away.seen.length).toBe(1)
  })

  test('nobody is there: the address is named, and a reader that comes in time answers', async () => {
    const gone = await served()
    await gone.app.close()
    const client = patientClient(gone.url, { retries: 1 })
    const error = await failure(client.get(delays, { origin: 'ATL' }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error.message).toBe(`The reader at ${gone.url} is not there: ECONNREFUSED. (2 tries)`)
    const patient = patientClient(gone.url, { retries: 50 }).get(delays, { origin: 'ATL' })
    await served({ port: Number(new URL(gone.url).port) })
    expect((await patient).values.delay).toBe(11)
  })

  test('a try has a time limit, a question another, and both name what happened', async () => {
    const slow = await served({ waitMs: (before) => (before === 0 ? 5_000 : 0) })
    const { values } = await patientClient(slow.url, { attemptTimeoutMs: 200, retries: 50 }).get(delays, {
      origin: 'ATL',
    })
    expect(values.delay).toBe(11)
    const slower = await served({ waitMs: () => 5_000 })
    const client = patientClient(slower.url, { attemptTimeoutMs: 100, timeoutMs: 350 })
    const error = await failure(client.get(delays, { origin: 'ATL' }))
    expect(error).toBeInstanceOf(UnavailableError)
    expect(error.message).toMatch(
      /did not answer within 100 ms\. (\(\d tries\)|Nobody waits longer than 350 ms\.)$/,
    )
    const short = client.get(delays, { origin: 'ATL' }, { timeoutMs: 50 })
    expect((await failure(short)).message).toMatch(/has not answered\. Nobody waits longer than 50 ms\.$/)
  })

  test('who aborts gets the reason, and nobody else does', async () => {
    const { url, seen: asked } = await served({ waitMs: () => 300 })
    const client = patientClient(url)
    const [mine, others] = [new AbortController(), client.get(delays, { origin: 'JFK' })]
    const aborted = failure(client.get(delays, { origin: 'ATL' }, { signal: mine.signal }))
    setTimeout(() => mine.abort(new Error('enough')), 50)
    expect((await aborted).message).toBe('enough')
    expect((await others).values.delay).toBe(-0)
    expect((await failure(client.get(delays, { origin: 'ATL' }, { signal: mine.signal }))).message).toBe(
      'enough',
    )
    expect(
      (await failure(client.getMany(delays, [{ origin: 'ATL' }], { signal: mine.signal }))).message,
    ).toBe('enough')
    expect(asked.length).toBe(1)
  })

  test('a request for which nobody waits any more is torn', async () => {
    const torn = new Promise<boolean>((resolve) => {
      const server = createServer((_request, response) => response.on('close', () => resolve(true)))
      closers.push(() => new Promise((closed) => server.close(closed)))
      server.listen(0, '127.0.0.1', () => {
        const client = patientClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
        void failure(client.get(delays, { origin: 'ATL' }, { timeoutMs: 100 }))
      })
    })
    expect(await torn).toBe(true)
  })
})

describe('refusals', () => {
  test('the reader’s sentence comes as it is', async () => {
    const stranger = featureService({ name: 'nobody_v1', features: [delays.pick('delay')] })
    const error = await failure(patientClient(reader.url).get(stranger, { origin: 'ATL' }))
    expect(error).toBeInstanceOf(InputError)
    expect(error.message).toBe('There is no feature service "nobody_v1". There is model_v1.')
  })

  test('a reader that fails, and what is no reader, are told apart', async () => {
    const failing = await served({
      instead: () => ({ status: 500, body: { error: { code: 'internal', message: 'It failed.' } } }),
    })
    const error = await failure(patientClient(failing.url).get(delays, { origin: 'ATL' }))
    expect([error.name, error.message]).toEqual([
      'IntegrityError',
      `The reader at ${failing.url} answers 500: It failed.`,
    ])
    expect(failing.seen.length).toBe(1)
    const other = createServer((request, response) => {
      response.statusCode = request.url?.startsWith('/moved') === true ? 308 : 200
      response.setHeader('location', 'http://127.0.0.1:1/')
      response.end('<html></html>')
    })
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    closers.push(() => new Promise((resolve) => other.close(resolve)))
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
    for (const [path, status] of [
      ['', 200],
      ['/moved', 308],
    ] as const) {
      const stranger = await failure(patientClient(url + path).get(delays, { origin: 'ATL' }))
      expect(stranger).toBeInstanceOf(InputError)
      expect(stranger.message).toMatch(
        new RegExp(`^What is at ${url}${path} answers POST /online with ${status} `),
      )
    }
  })

  test.each([
    ['', /no http or https URL/],
    ['127.0.0.1:8080', /no http or https URL/],
    ['redis://:s3cret@there', /no http or https URL/],
    ['http://me:s3cret@there/asof', /^The reader's address http:\/\/there\/asof has credentials in it/],
    ['http://there/?token=s3cret', /goes on behind its path/],
  ])('%s is no address', (url, message) => {
    const make = () => createClient(url)
    expect(make).toThrow(InputError)
    expect(make).toThrow(message)
    expect(make).not.toThrow(/s3cret/)
  })

  test('a token that no header can have is not shown', async () => {
    const error = await failure(
      patientClient(reader.url, { token: 's3cret\n' }).get(delays, { origin: 'ATL' }),
    )
    expect(error).toBeInstanceOf(InputError)
    expect(error.message).not.toContain('s3cret')
  })

  test.each([
    [{ timeoutMs: 0 }, /timeoutMs 0 is no whole number from 1/],
    [{ retries: -1 }, /retries -1/],
    [{ attemptTimeoutMs: Number.NaN }, /attemptTimeoutMs NaN/],
  ])('%j', (options, message) => {
    expect(() => patientClient(reader.url, options)).toThrow(message)
  })

  test('what is no definition, and what is no entity', async () => {
    const client = patientClient(reader.url)
    expect((await failure(client.get({} as typeof delays, { origin: 'ATL' }))).message).toMatch(
      /no feature group, selection/,
    )
    expect((await failure(client.get(delays, null as never))).message).toMatch(
      /null is no entity\. Give origin \(string\)/,
    )
  })
})

test('whoever serves loads no Temporal', async () => {
  const loaded = async (entry: string) => {
    const script = `await import(${JSON.stringify(new URL(`../../client/${entry}`, import.meta.url).href)})
      const { createRequire } = await import('node:module')
      const files = Object.keys(createRequire(import.meta.url).cache)
      console.log(files.some((file) => file.includes('@temporalio')), files.some((file) => file.includes('msgpackr')))`
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', script],
      { cwd: fileURLToPath(new URL('../..', import.meta.url)) },
    )
    return stdout.trim()
  }
  expect(await loaded('online/index.ts')).toBe('false true')
  expect(await loaded('index.ts')).toBe('true false')
})
