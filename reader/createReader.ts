/**
 * The HTTP reader: serves online values, and needs nothing but the online store, a clock, and definitions for services.
 *
 * `GET /feature-groups/{id}/online?entity_ids=ATL,JFK&features=departures_24h`
 *
 * `entity_ids` holds 1 to 1,000 key texts (`online/key.ts`): keys joined with `|` (`ATL|JFK`), a comma, bar or
 * backslash inside a key behind a backslash. `features` leaves out the others; without it all come, in the order of
 * the definition. Both take percent-encoding, like every query. The answer keeps the order of the question, with
 * duplicates, and misses in their places:
 *
 * ```json
 * { "feature_group": "airport_delays_v1", "as_of": "2001-07-01T01:02:03Z", "age_seconds": 123.5, "stale": false,
 *   "snapshot_id": "6132145893", "keys": ["origin"],
 *   "results": [{ "entity_id": "ATL", "keys": { "origin": "ATL" }, "event_timestamp": "2001-07-01T01:00:00Z",
 *                 "features": { "departures_24h": { "value": 712, "status": "PRESENT" } } }] }
 * ```
 *
 * `age_seconds` counts from the last complete load; the group is `stale` once that is older than 1.5 times its cadence.
 * A status is PRESENT, NULL_VALUE, NOT_FOUND or OUTSIDE_MAX_AGE, and `value` is null for all but the first. How values
 * are written is in `online/json.ts`: int64 has all its digits, floats keep their bits.
 *
 * `POST /online` answers for a feature service, or for a list of features, over several groups at once:
 *
 * ```json
 * { "service": "delay_model_v1",
 *   "entities": { "origin": ["ATL", "JFK"], "destination": ["JFK", "ATL"] },
 *   "request": { "distance": [760, 760] } }
 * ```
 *
 * In place of `service` there may be `"features": ["airport_delays_v1:mean_delay_24h", { "group", "features", "as", "keys" }]`,
 * and `"full_names": true` calls stored features `<group>__<feature>`, as in a training set. Columns of `entities` are
 * the keys by the names that the service gives them, `request` what its on-demand features ask for (a value that is also
 * a key is taken from `entities`); all have one length, at most 1,000. A null key finds nothing. The answer has a row
 * for each:
 *
 * ```json
 * { "service": "delay_model_v1", "as_of": "2001-07-01T01:02:03Z",
 *   "groups": [{ "feature_group": "airport_delays_v1", "role": null, "age_seconds": 123.5, "stale": false, "snapshot_id": "6132145893" }],
 *   "features": [{ "name": "mean_delay_24h", "type": "float64", "group": 0 }, { "name": "is_long", "type": "boolean", "group": null }],
 *   "results": [{ "values": [11.5, false], "statuses": ["PRESENT", "PRESENT"], "event_timestamps": ["2001-07-01T01:00:00Z"] }] }
 * ```
 *
 * `values` and `statuses` are in the order of `features`, which is that of the model's vector: stored features first,
 * those that are computed on demand last (their `group` is null). `event_timestamps` are in the order of `groups`. Both
 * forms are MessagePack where the request's `Accept` says `application/msgpack`: the same maps, but instants are
 * microseconds as int64 and floats have no strings. Bodies may be MessagePack, too (`Content-Type`).
 *
 * `POST /get-online-features` answers as Feast does (`feast.ts`). `GET /health` is 200 while the process lives, `GET /ready`
 * once every group has been loaded completely; `GET /metrics` and `GET /openapi.json` are what they are called.
 *
 * Errors are `{ "error": { "code", "message" } }`: 400 a question that cannot be answered, 404 no such group, service or route,
 * 503 (with Retry-After) a group that was never loaded completely, a store that holds none or does not answer. On a set clock
 * (rule 11) every answer has the header `asof-clock`, and the health answer says so too.
 *
 * Nothing of a request is logged but the route: ids may be personal data. The caller chooses where to listen.
 */
import fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify'
import { InputError, type EpochMs } from '../model/index.ts'
import { isCached, type OnlineStore } from '../online/index.ts'
import { createAnswers, servicesOf, type Services } from './answers.ts'
import { coalesced } from './coalesced.ts'
import { createEdge, type Edge } from './edge.ts'
import { errorBody, refuseTornRequest, responseOf, type ErrorResponse } from './errors.ts'
import { feastError } from './feast.ts'
import { contentTypes, formOf, readBodies, type Body } from './forms.ts'
import { addReady } from './readiness.ts'
import { noSampler, type Sampler } from './sampler.ts'
import { together } from './together.ts'

export interface ReaderOptions {
  readonly store: OnlineStore
  readonly nowMs: () => EpochMs
  readonly storeName: string
  /** The feature services that `POST /online` knows; none unless given. */
  readonly services?: Services
  /** Keeps a sample of what is served; without it nothing is kept. Whoever made it closes it, after the reader. */
  readonly sampler?: Sampler
  /** What a set clock has to say for itself; null on the machine's own clock. Asked for every answer: clocks move. */
  readonly clockNote: string | null
  /** Who may ask, how much is taken on; anybody, and the usual bounds, without it. */
  readonly edge?: Edge
  /** Without it nothing is logged. */
  readonly logger?: FastifyBaseLogger
}

export function createReader(options: ReaderOptions): FastifyInstance {
  const { store, nowMs, storeName, logger, edge = createEdge(), sampler = noSampler } = options
  const addClock = (reply: FastifyReply) => {
    const { clockNote } = options
    if (clockNote !== null) reply.header('asof-clock', clockNote.replace(/[^\x20-\x7e]/g, '?'))
  }
  const app: FastifyInstance = fastify({
    ...edge.fastifyOptions,
    routerOptions: { maxParamLength: 256 },
    logController: new LogController({ disableRequestLogging: true }),
    clientErrorHandler: refuseTornRequest,
    frameworkErrors: (error, _request, reply: FastifyReply) => {
      addClock(reply)
      sendError(reply, error)
    },
    ...(logger === undefined ? { logger: false } : { loggerInstance: logger }),
  })
  app.addHook('onRequest', (_request, reply, done) => {
    addClock(reply)
    done()
  })
  edge.addTo(app, { store, nowMs, sampler })
  app.setErrorHandler((error, request, reply) => {
    const { code } = sendError(reply, error)
    if (code === 'internal' || code === 'store_unavailable')
      request.log.error({ err: error, route: request.routeOptions.url }, 'request failed')
  })
  app.setNotFoundHandler((request, reply) => {
    const message = `There is no ${request.method} on this path. There is GET /feature-groups/{id}/online?entity_ids=…, POST /online, POST /get-online-features, GET /health, GET /ready and GET /metrics; GET /openapi.json describes them.`
    return reply
      .code(404)
      .type(contentTypes.json)
      .send(errorBody({ code: 'unknown_route', message }))
  })

  const { services = servicesOf([]) } = options
  const answers = createAnswers({ store, nowMs, services, sampler, metrics: edge.metrics })
  const shared = () => edge.metrics.coalesced.add(1)
  const once = () => ({ json: coalesced(shared), msgpack: coalesced(shared) })
  // Apart: a body may say what an address does.
  const [onceByAddress, onceByBody] = [once(), once()]
  const leaving = isCached(store) ? together() : null
  readBodies(app)
  app.get<{ Params: { id: string } }>('/feature-groups/:id/online', async (request, reply) => {
    const address = request.raw.url ?? ''
    const form = formOf(request)
    const answer = await onceByAddress[form](address, () => answers.group(request.params.id, address, form))
    if (leaving !== null) await leaving()
    return reply.type(contentTypes[form]).send(answer)
  })
  app.post<{ Body: Body | undefined }>('/online', async (request, reply) => {
    const { body } = request
    const form = formOf(request)
    const work = () => answers.vectors(body, form)
    const text = body?.text ?? null
    const answer = await (text === null ? work() : onceByBody[form](text, work))
    if (leaving !== null) await leaving()
    return reply.type(contentTypes[form]).send(answer)
  })
  app.post<{ Body: Body }>('/get-online-features', { errorHandler: sendFeastError }, async (request, reply) =>
    reply.type(contentTypes.json).send(await answers.feast(request.body)),
  )
  app.get('/health', () => ({
    status: 'ok',
    store: storeName,
    online_store: store.name,
    now: new Date(nowMs()).toISOString(),
    clock: options.clockNote ?? 'machine',
  }))
  addReady(app, edge, store, nowMs)
  return app
}

function sendError(reply: FastifyReply, error: unknown): ErrorResponse {
  const response = responseOf(error)
  if (response.retryAfterSeconds !== null) reply.header('retry-after', response.retryAfterSeconds)
  reply.code(response.status).type(contentTypes.json).send(errorBody(response))
  return response
}

function sendFeastError(error: Error, _request: FastifyRequest, reply: FastifyReply): void {
  // Whoever may not ask, or sends too slowly, has said nothing to Feast yet.
  if (!(error instanceof InputError) || ![400, 404].includes(responseOf(error).status)) throw error
  const { status, body } = feastError(error)
  void reply.code(status).type(contentTypes.json).send(body)
}
