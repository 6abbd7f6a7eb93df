/** Who may ask the reader: tokens, their rotation, what stays open, TLS, and what never shows in a log. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { beforeAll, describe, expect, test } from 'vitest'
import { InputError } from '../../model/index.ts'
import { openLmdb, type OnlineStore } from '../../online/index.ts'
import { checkListening, createAccess, createEdge } from '../../reader/index.ts'
import { askReader } from '../../scripts/askReader.ts'
import { readConfig } from '../../worker/config.ts'
import { makeCertificate } from '../support/certificate.ts'
import {
  atEnd,
  airports,
  ask,
  bearer,
  fillGroups,
  openFilled,
  serve,
  startReader,
} from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('access')
const first = 'first-token-0123456789'
const second = 'second-token-9876543210'
const online = `/feature-groups/${airports}/online?entity_ids=ATL`

describe('tokens', () => {
  let store: OnlineStore
  beforeAll(async () => {
    store = await openFilled(join(folder, 'lmdb'))
  })
  const serveWith = async (...tokens: string[]) => {
    const edge = createEdge({ access: createAccess(tokens) })
    return { edge, ...(await serve(store, { edge })) }
  }

  test('each of several admits; anything else is refused with 401, in our own words', async () => {
    const { get } = await serveWith(first, second)
    for (const token of [first, second]) expect((await get(online, bearer(token))).status).toBe(200)
    expect((await get(online, { headers: { authorization: `bearer   ${second}` } })).status).toBe(200)
    const refused = [
      undefined,
      '',
      'Bearer',
      'Bearer ',
      first,
      `Basic ${first}`,
      `Bearer ${first.slice(0, -1)}`,
      `Bearer ${first}x`,
      `Bearer ${first} ${second}`,
      `Bearer ${first},${second}`,
    ]
    for (const authorization of refused) {
      const answer = await get(online, authorization === undefined ? {} : { headers: { authorization } })
      expect([answer.status, answer.error?.code], authorization).toEqual([401, 'unauthorized'])
      expect(answer.headers.get('www-authenticate')).toBe('Bearer')
      expect(answer.text).not.toContain('token-')
    }
  })

  test('health and readiness answer everybody; whatever else, there or not, is closed', async () => {
    const { get } = await serveWith(first)
    for (const path of ['/health', '/ready']) expect((await get(path)).status).toBe(200)
    for (const path of [
      '/',
      '/metrics',
      '/openapi.json',
      '/nowhere',
      '/health/',
      '//health',
      '/ready?x=/../',
    ]) {
      const { status } = await get(path)
      expect(status, path).toBe(path.startsWith('/ready') ? 200 : 401)
    }
    for (const path of ['/online', '/get-online-features', '/nowhere']) {
      const answer = await get(path, { method: 'POST', body: '{}' })
      expect([answer.status, answer.error?.code, answer.headers.get('www-authenticate')], path).toEqual([
        ...[401, 'unauthorized', 'Bearer'],
      ])
    }
  })

  test('readiness names groups to those alone who show a token', async () => {
    const { get } = await serveWith(first)
    expect(JSON.parse((await get('/ready')).text)).toEqual({ status: 'ready' })
    expect((await get('/ready', bearer(first))).text).toContain(airports)
    const half = openLmdb({ path: join(folder, 'half'), store: 'test' })
    atEnd(() => half.close())
    await fillGroups(half, { finish: false })
    const { get: ofHalf } = await serve(half, { edge: createEdge({ access: createAccess([first]) }) })
    const everybody = await ofHalf('/ready')
    expect([everybody.status, everybody.error?.code]).toEqual([503, 'not_ready'])
    expect(everybody.text).not.toContain(airports)
    expect((await ofHalf('/ready', bearer(first))).error?.message).toContain(airports)
    expect((await ofHalf('/health')).text).not.toContain(airports)
  })

  test('they are replaced while it runs, and a bad list leaves the old one', async () => {
    const { edge, get } = await serveWith(first)
    edge.access.replaceTokens([second])
    expect((await get(online, bearer(first))).status).toBe(401)
    expect((await get(online, bearer(second))).status).toBe(200)
    expect(() => edge.access.replaceTokens([first, 'short'])).toThrow(/token 2 of 2 is 5 characters long/)
    expect((await get(online, bearer(second))).status).toBe(200)
  })

  test('without any, nothing is asked for', async () => {
    const { get } = await serveWith()
    expect((await get(online)).status).toBe(200)
  })
})

test('a port for others wants a token, or a word that none is meant', () => {
  const open = { wantsToken: false, allowAnonymous: false }
  for (const host of ['127.0.0.1', '127.8.8.8', 'localhost', '::1']) checkListening(host, open)
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.example.com', '128.0.0.1', 'fe80::1']) {
    expect(() => checkListening(host, open), host).toThrow(InputError)
    expect(() => checkListening(host, open), host).toThrow(`listen on ${host}`)
    checkListening(host, { ...open, wantsToken: true })
    checkListening(host, { ...open, allowAnonymous: true })
  }
})

describe('the process', () => {
  const home = join(folder, 'home')
  beforeAll(async () => {
    mkdirSync(home, { recursive: true })
    const store = openLmdb({ path: join(home, 'online'), store: 'test' })
    await fillGroups(store)
    await store.close()
  })

  test('reads its file of tokens again on SIGHUP, and keeps the old ones where that fails', async () => {
    const file = join(folder, 'tokens')
    writeFileSync(file, `${first}\n\n`)
    const reader = await startReader(home, { ASOF_READER_TOKENS_FILE: file })
    const url = `http://127.0.0.1:${reader.port}${online}`
    expect((await ask(url, bearer(first))).status).toBe(200)
    expect((await ask(url)).status).toBe(401)

    writeFileSync(file, `${first}\n  ${second}\n`)
    reader.child.kill('SIGHUP')
    await expect.poll(async () => (await ask(url, bearer(second))).status).toBe(200)
    expect((await ask(url, bearer(first))).status).toBe(200)

    writeFileSync(file, '\n')
    reader.child.kill('SIGHUP')
    await expect
      .poll(() => reader.log())
      .toMatch(/What was there before still counts.*there is no token in it/)
    expect((await ask(url, bearer(second))).status).toBe(200)
    expect((await ask(url)).status).toBe(401)

    writeFileSync(file, second)
    reader.child.kill('SIGHUP')
    await expect.poll(async () => (await ask(url, bearer(first))).status).toBe(401)
    expect(reader.log()).not.toMatch(/first-token|second-token|ATL/)
    reader.child.kill('SIGTERM')
    expect(await reader.ended).toBe(0)
  })

  test('refuses what is wrong in one sentence, before it opens anything', async () => {
    const { ended, log } = await startReader(home, { ASOF_READER_HOST: '0.0.0.0' })
    expect(await ended).toBe(2)
    expect(log()).toMatch(
      /^The reader would listen on 0\.0\.0\.0 and answer whoever can reach it\. Set [^\n]*\n$/,
    )
  })

  test('speaks TLS, and is asked with the first token by whoever holds its certificate', async () => {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const other = join(folder, 'other.pem')
    makeCertificate({ cert, key })
    makeCertificate({ cert: other, key: join(folder, 'otherKey.pem') })
    const environment = {
      ASOF_READER_TOKENS: `${first},${second}`,
      ASOF_READER_TLS_CERT: cert,
      ASOF_READER_TLS_KEY: key,
    }
    const { port } = await startReader(home, environment)
    const url = `https://127.0.0.1:${port}`
    const answer = await new Promise<string>((resolve, reject) => {
      const headers = { authorization: `Bearer ${second}` }
      request(
        `https://localhost:${port}${online}`,
        { ca: readFileSync(cert), headers, host: '127.0.0.1', servername: 'localhost' },
        (response) => resolve(text(response)),
      )
        .once('error', reject)
        .end()
    })
    expect(answer).toContain('"entity_id":"ATL"')
    await expect(ask(`http://127.0.0.1:${port}/health`)).rejects.toThrow()

    const config = readConfig(environment, '/')
    expect(await askReader(config, url, online)).toMatchObject({ status: 200 })
    const stranger = readConfig({ ...environment, ASOF_READER_TOKENS: `${second}-of-another` }, '/')
    await expect(askReader(stranger, url, online)).rejects.toThrow(/wants a token that is not set here/)
    const mistaken = readConfig(
      { ...environment, ASOF_READER_TLS_CERT: other, ASOF_READER_TLS_KEY: join(folder, 'otherKey.pem') },
      '/',
    )
    await expect(askReader(mistaken, url, online)).rejects.toThrow(/another certificate/)
  })
})
