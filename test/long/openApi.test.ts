/**
 * The reader against its own description: Schemathesis makes requests from `/openapi.json`, valid and broken, and holds
 * every answer to it. Once as it is published, where most questions are about groups that are not there; once narrowed
 * to the groups and services that are, so that the questions are answered.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { entity, feature, featureService, onDemand, parquet, queryGroup } from '../../model/index.ts'
import type { OnlineStore } from '../../online/index.ts'
import { createAccess, createEdge, servicesOf } from '../../reader/index.ts'
import { ensureSchemathesis } from '../../scripts/tools.mjs'
import { airports, bearer, openFilled, serve, trips } from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('openapi')
const token = 'a-token-that-is-long'

const events = parquet({
  ...{ name: 'events', path: 'events', timestamp: 'at', timeZone: 'UTC', completeFrom: '2001-01-01' },
})
const delays = queryGroup({
  ...{ name: 'airport_delays', version: 1, owner: 'a@example.com', description: 'Delays', every: '1h' },
  ...{ entity: entity({ name: 'airport', keys: { origin: 'string' } }), sources: [events], ttl: '7d' },
  sql: 'SELECT * FROM events',
  features: { departures: feature('int64'), mean_delay: feature('float64'), last_seen: feature('timestamp') },
})
const longer = onDemand({
  name: 'longer',
  request: { distance: 'int64' },
  reads: [delays.pick('mean_delay')],
  features: { is_long: feature('boolean'), sum: feature('float64', { default: -1 }) },
  compute: ({ request, features }) => ({
    is_long: typeof request.distance === 'bigint' ? request.distance > 700n : null,
    sum: typeof features.mean_delay === 'number' ? features.mean_delay + 1 : null,
  }),
})
const model = featureService({
  name: 'model_v1',
  features: [
    delays.pick('departures', 'mean_delay'),
    delays.as('arrival', { origin: 'to' }).pick('last_seen'),
  ],
  onDemand: [longer],
})

/** As much of the document as is narrowed. */
interface Document {
  paths: Record<string, { get: { parameters: { schema: unknown }[] } }>
  components: { schemas: Record<string, unknown> }
}

let python: string
let store: OnlineStore
let url: string
beforeAll(async () => {
  python = await ensureSchemathesis((sentence) => console.error(sentence))
  store = await openFilled(join(folder, 'lmdb'))
  const edge = createEdge({ access: createAccess([token]) })
  ;({ url } = await serve(store, { edge, services: servicesOf([model]) }))
})

/** Runs Schemathesis to its end. @returns what it said, empty where it has found nothing */
async function findings(document: string, ...options: string[]): Promise<string> {
  const program = join(dirname(python), 'schemathesis')
  const child = spawn(
    program,
    [
      ...['run', document, '--url', url, '--continue-on-failure', '--warnings', 'off', '--no-color'],
      ...['--header', `Authorization: Bearer ${token}`, '--max-examples', '300', '--seed', '7'],
      ...['--request-timeout', '10', ...options],
    ],
    { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, DO_NOT_TRACK: '1' } },
  )
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)))
  const [code] = (await once(child, 'exit')) as [number]
  expect(said).toMatch(/\d+ generated/)
  return code === 0 ? '' : said
}

async function published(): Promise<Document> {
  const response = await fetch(`${url}/openapi.json`, bearer(token))
  return (await response.json()) as Document
}

/** How many requests of a route were answered with a code so far. */
async function answered() {
  const text = await (await fetch(`${url}/metrics`, bearer(token))).text()
  return (route: string, code: number) => {
    const line = `asof_reader_requests_total{route="${route}",code="${code}"} `
    const at = text.indexOf(line)
    return at < 0 ? undefined : Number.parseInt(text.slice(at + line.length))
  }
}

function write(name: string, document: unknown): string {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify(document))
  return path
}

/** A route that is there answers another method as it answers what is not there: 404, with a sentence. */
const notChecked = ['--exclude-checks', 'unsupported_method']

const choice = (...values: unknown[]) => ({ enum: values })
const listOf = (items: unknown, least: number, most: number) => ({
  ...{ type: 'array', items, minItems: least, maxItems: most },
})
const pair = (...values: unknown[]) => listOf(choice(...values), 2, 2)
const objectOf = (properties: Record<string, unknown>, ...optional: string[]) => ({
  ...{ type: 'object', properties, additionalProperties: false },
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
})

/** Questions about what is there, all of which can be answered. */
function narrowed(document: Document): Document {
  const origins = pair('ATL', 'JFK', 'OLD', 'nobody', 'a,b|c\\', '', null)
  const references = choice(`${airports}:departures`, `${airports}:last_seen`)
  const [id, entityIds, features] = document.paths['/feature-groups/{id}/online']?.get.parameters ?? []
  if (id === undefined || entityIds === undefined || features === undefined) throw new Error('no parameters')
  id.schema = choice(airports)
  entityIds.schema = listOf(choice('ATL', 'JFK', 'OLD', 'nobody', 'a\\,b', '\\e', 'é'), 1, 20)
  features.schema = { ...listOf(choice('departures', 'mean_delay', 'last_seen'), 1, 3), uniqueItems: true }
  const { schemas } = document.components
  const ofService = { to: origins, origin: origins }
  schemas['VectorsQuestion'] = {
    anyOf: [
      objectOf(
        {
          service: choice('model_v1'),
          entities: objectOf(ofService),
          request: objectOf({ distance: pair(760, 0, -1, null, 9_007_199_254_740_991) }),
          full_names: { type: 'boolean' },
        },
        'full_names',
      ),
      objectOf({
        features: { ...listOf(references, 1, 2), uniqueItems: true },
        entities: objectOf({ origin: origins }),
      }),
      objectOf({
        features: listOf(
          objectOf({
            ...{ group: choice(trips), features: { const: ['trips'] }, as: choice('trip') },
            keys: objectOf({ driver: choice('who'), kind: choice('how') }),
          }),
          1,
          1,
        ),
        entities: objectOf({ who: pair(7, 8, -1, null), how: pair('web', 'a|b') }),
      }),
    ],
  }
  schemas['FeastQuestion'] = {
    anyOf: [
      objectOf(
        {
          features: { ...listOf(references, 1, 2), uniqueItems: true },
          entities: objectOf({ origin: origins }),
          full_feature_names: { type: 'boolean' },
        },
        'full_feature_names',
      ),
      objectOf({
        feature_service: choice('model_v1'),
        entities: objectOf({ ...ofService, distance: pair(760, null) }),
      }),
    ],
  }
  return document
}

describe('Schemathesis', () => {
  test('finds no answer that the document does not describe, and no failure, whatever it asks', async () => {
    const path = write('published.json', await published())
    // That columns have one length, and which names there are, the document cannot say.
    const found = await findings(path, '--exclude-checks', 'unsupported_method,positive_data_acceptance')
    expect(found).toBe('')
  })

  test('has all its valid questions answered where they are about what is there', async () => {
    const path = write('narrowed.json', narrowed(await published()))
    const before = await answered()
    expect(await findings(path, ...notChecked, '--mode', 'positive')).toBe('')
    const after = await answered()
    for (const route of ['/feature-groups/:id/online', '/online', '/get-online-features']) {
      const more = (code: number) => (after(route, code) ?? 0) - (before(route, code) ?? 0)
      expect([route, more(400), more(404), more(422)]).toEqual([route, 0, 0, 0])
      expect(more(200)).toBeGreaterThan(100)
    }
  })

  test('finds a lie', async () => {
    const document = await published()
    document.components.schemas['Health'] = objectOf({ status: choice('fine') })
    const path = write('lie.json', document)
    expect(await findings(path, ...notChecked, '--include-path', '/health')).toMatch(/schema/i)
  })
})
