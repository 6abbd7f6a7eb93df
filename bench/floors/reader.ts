/**
 * The floor of the reader: fastify, ioredis that pipelines by itself, and msgpackr. It gives the same values, statuses and
 * event timestamps in the JSON of `POST /online`, from values of its own (`readerValues.ts`). It checks nothing, limits
 * nothing, counts nothing, knows one group and one service, and not how old its values are. Written here, by hand.
 */
import fastify from 'fastify'
import { Redis } from 'ioredis'
import { unpack } from 'msgpackr'

const [url = '', port = '', ttlMs = ''] = process.argv.slice(2)
const redis = new Redis(url, { enableAutoPipelining: true })
const app = fastify()

const names = Array.from({ length: 10 }, (_, at) => `f${at}`)
const service = 'served_model_v1'
const groups = [{ feature_group: 'served_v1', role: null }]
const features = names.map((name) => ({ name, type: 'float64', group: 0 }))
const nulls = names.map(() => null)
const notFound = { values: nulls, statuses: names.map(() => 'NOT_FOUND'), event_timestamps: [null] }
const outside = names.map(() => 'OUTSIDE_MAX_AGE')

app.post<{ Body: { entities: { id: string[] } } }>('/online', async ({ body }) => {
  const now = Date.now()
  const oldestMicros = (now - Number(ttlMs)) * 1000
  const found = await redis.mgetBuffer(body.entities.id.map((id) => `floor:${id}`))
  const results = found.map((bytes) => {
    if (bytes === null) return notFound
    const [micros, values] = unpack(bytes) as [number, (number | null)[]]
    const event_timestamps = [new Date(micros / 1000).toISOString()]
    if (micros < oldestMicros) return { values: nulls, statuses: outside, event_timestamps }
    const statuses = values.map((value) => (value === null ? 'NULL_VALUE' : 'PRESENT'))
    return { values, statuses, event_timestamps }
  })
  return { service, as_of: new Date(now).toISOString(), groups, features, results }
})

await app.listen({ host: '127.0.0.1', port: Number(port) })
process.send?.('ready')
