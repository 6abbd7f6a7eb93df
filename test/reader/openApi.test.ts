/** `/openapi.json` describes the routes that there are, and their answers as they are. `test/long/` has it asked by a generator. */
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openLmdb, type OnlineStore } from '../../online/index.ts'
import { createAccess, createEdge } from '../../reader/index.ts'
import { airports, bearer, openFilled, serve, trips } from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('openapi')
const token = 'a-token-that-is-long'

interface Described {
  readonly content?: Record<string, { readonly schema?: unknown }>
  readonly headers?: Record<string, { readonly required?: boolean }>
}
type Operation = { readonly responses: Record<string, Described & { readonly $ref?: string }> }
interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: {
    readonly schemas: Record<string, unknown>
    readonly responses: Record<string, Described>
  }
  readonly security: readonly unknown[]
}

let document: Document
let store: OnlineStore
let get: Awaited<ReturnType<typeof serve>>['get']
const routes: string[] = []
beforeAll(async () => {
  store = await openFilled(join(folder, 'lmdb'))
  const edge = createEdge({ access: createAccess([token]), bounds: { bodyBytes: 500 } })
  const listening: typeof edge = {
    ...edge,
    addTo(app, ...rest) {
      app.addHook('onRoute', ({ method, url }) => void routes.push(`${String(method)} ${url}`))
      edge.addTo(app, ...rest)
    },
  }
  ;({ get } = await serve(store, { edge: listening }))
  document = JSON.parse((await get('/openapi.json', bearer(token))).text) as Document
})

test('has every route, and no other', () => {
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`),
  )
  expect(described.sort()).toEqual(routes.filter((route) => !route.startsWith('HEAD ')).sort())
})

test('refers to nothing that is not there, and describes nothing that nobody refers to', () => {
  const text = JSON.stringify(document)
  const used = new Set([...text.matchAll(/"#\/components\/(\w+\/\w+)"/g)].map(([, name]) => name))
  const there = (['schemas', 'responses'] as const).flatMap((kind) =>
    Object.keys(document.components[kind]).map((name) => `${kind}/${name}`),
  )
  expect([...used].sort()).toEqual(there.sort())
})

test('wants a token where the reader does', async () => {
  expect(document.security).toEqual([{ token: [] }])
  const open = await serve(store)
  expect((JSON.parse((await open.get('/openapi.json')).text) as Document).security).toEqual([])
})

/** What is wrong with an answer by the document; null where it is as described. */
function misfit(operation: string, status: number, headers: Headers, text: string): string | null {
  const [method = '', path = ''] = operation.split(' ')
  const given = document.paths[path]?.[method.toLowerCase()]?.responses[status]
  const { $ref: name } = given ?? {}
  const described = name === undefined ? given : document.components.responses[name.split('/').at(-1) ?? '']
  if (described === undefined) return `${operation} never answers ${status}`
  const missing = Object.entries(described.headers ?? {}).find(
    ([header, { required }]) => required === true && headers.get(header) === null,
  )
  if (missing !== undefined) return `${missing[0]} is missing`
  const type = headers.get('content-type')?.split(';')[0] ?? ''
  const content = described.content?.[type]
  if (content === undefined) return `${type} is not described`
  const schema = { $defs: document.components.schemas, ...(content.schema as object) }
  const rewritten = JSON.parse(
    JSON.stringify(schema).replaceAll('#/components/schemas/', '#/$defs/'),
  ) as Parameters<typeof z.fromJSONSchema>[0]
  const value: unknown = type === 'application/json' ? JSON.parse(text) : text
  return z.fromJSONSchema(rewritten).safeParse(value).error?.message ?? null
}

const group = 'GET /feature-groups/{id}/online'
const one = { features: [`${airports}:departures`], entities: { origin: ['ATL', null] } }
const post = (body: unknown, type = 'application/json') => ({
  ...{ method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body) },
  headers: { 'content-type': type },
})

describe('describes what is answered', () => {
  test.each<[string, number, string, RequestInit?]>([
    [group, 200, `/feature-groups/${airports}/online?entity_ids=ATL,JFK,OLD,nobody`],
    [group, 200, `/feature-groups/${trips}/online?entity_ids=7|web&features=trips`],
    [group, 400, `/feature-groups/${airports}/online`],
    [group, 404, '/feature-groups/nothing/online?entity_ids=ATL'],
    [group, 414, `/feature-groups/${'x'.repeat(300)}/online?entity_ids=ATL`],
    [group, 431, `/feature-groups/${airports}/online?entity_ids=${'x'.repeat(600_000)}`],
    ['POST /online', 200, '/online', post(one)],
    ['POST /online', 400, '/online', post('{')],
    ['POST /online', 400, '/online', { method: 'POST' }],
    ['POST /online', 404, '/online', post({ ...one, features: ['nothing:at'] })],
    ['POST /online', 413, '/online', post({ ...one, entities: { origin: ['x'.repeat(500)] } })],
    ['POST /online', 415, '/online', post('a', 'text/plain')],
    ['POST /get-online-features', 200, '/get-online-features', post(one)],
    ['POST /get-online-features', 422, '/get-online-features', post({ ...one, entities: {} })],
    ['POST /get-online-features', 404, '/get-online-features', post({ ...one, features: ['nothing:at'] })],
    ['POST /get-online-features', 415, '/get-online-features', post('a', 'text/plain')],
    ['GET /health', 200, '/health'],
    ['GET /ready', 200, '/ready'],
    ['GET /metrics', 200, '/metrics'],
    ['GET /openapi.json', 200, '/openapi.json'],
  ])('%s: %i', async (operation, status, path, init = {}) => {
    const headers = { ...(init.headers as object), authorization: `Bearer ${token}` }
    const answer = await get(path, { ...init, headers })
    expect(answer.status).toBe(status)
    expect(misfit(operation, status, answer.headers, answer.text)).toBe(null)
  })

  test.each([
    [group, `/feature-groups/${airports}/online?entity_ids=ATL`, {}],
    ['POST /online', '/online', post(one)],
    ['POST /get-online-features', '/get-online-features', post(one)],
    ['GET /metrics', '/metrics', {}],
    ['GET /openapi.json', '/openapi.json', {}],
  ])('%s without a token', async (operation, path, init) => {
    const { status, headers, text } = await get(path, init)
    expect(status).toBe(401)
    expect(misfit(operation, status, headers, text)).toBe(null)
  })

  test('what cannot be served now', async () => {
    const closed = openLmdb({ path: join(folder, 'closed'), store: 'test' })
    await closed.close()
    const away = await serve(closed)
    for (const [operation, path, init] of [
      [group, `/feature-groups/${airports}/online?entity_ids=ATL`, {}],
      ['POST /online', '/online', post(one)],
      ['POST /get-online-features', '/get-online-features', post(one)],
      ['GET /ready', '/ready', {}],
    ] as const) {
      const { status, headers, text } = await away.get(path, init)
      expect([operation, status]).toEqual([operation, 503])
      expect(misfit(operation, status, headers, text)).toBe(null)
    }
  })

  test('and nothing else', () => {
    const headers = new Headers({ 'content-type': 'application/json' })
    expect(misfit('GET /health', 200, headers, '{"status":"ok"}')).toMatch(/store/)
    expect(misfit('GET /health', 418, headers, '{}')).toMatch(/never answers 418/)
    expect(misfit('GET /ready', 503, headers, '{"error":{"code":"a","message":"b"}}')).toMatch(/retry-after/)
  })
})
