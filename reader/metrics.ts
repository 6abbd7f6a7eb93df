/**
 * What the reader counts, and `GET /metrics`.
 *
 * Labels take few values: routes as they are registered, status codes, reasons, and names of groups and services as the
 * store has them. What a request holds beyond that, ids above all, is no label.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { EpochMs } from '../model/index.ts'
import { groupAge, isCached, type GroupCard, type OnlineStore } from '../online/index.ts'
import {
  counter,
  gauge,
  histogram,
  textFormat,
  writeFamilies,
  type Counter,
  type Family,
  type Sample,
} from './prometheus.ts'
import type { Sampler } from './sampler.ts'
import type { Gate } from './shedding.ts'
import type { ValueCounts } from './tally.ts'

/** Counters for whoever answers; `add(count, …labels)`. */
export interface ReaderMetrics {
  /** Entities asked, by group as its card names it. */
  readonly entities: Counter
  /** Values answered, by group and status. */
  readonly values: Counter
  /** Answered requests, by service as its card names it. */
  readonly serviceRequests: Counter
  /** Requests that waited for the answer of an equal one, in place of asking the store again. */
  readonly coalesced: Counter
  /** Counts one answer: of which groups, for so many entities each, and its stored values by status. */
  count(answer: CountedAnswer): void
  /** Adds what counts requests, before any route, and `GET /metrics`. */
  addTo(app: FastifyInstance, of: Counted): void
}

/** What answers come from, and where their samples go. */
export interface Counted {
  readonly store: OnlineStore
  readonly nowMs: () => EpochMs
  readonly sampler: Pick<Sampler, 'counts'>
}

export interface CountedAnswer {
  /** A group that is taken in two roles stands there twice. */
  readonly groups: readonly string[]
  readonly entities: number
  readonly service: string | null
  readonly values: ValueCounts
}

/** From a hot key on this machine to a batch that hits its deadline. */
const durationBounds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

export function createMetrics(gate: Gate): ReaderMetrics {
  const name = (rest: string) => `asof_reader_${rest}`
  const requests = counter(name('requests_total'), 'Requests answered, shed or refused.', ['route', 'code'])
  const durations = histogram(
    name('request_duration_seconds'),
    "From a request's headers to its answer, for requests that were not shed at once.",
    'route',
    durationBounds,
  )
  const entities = counter(name('entities_total'), 'Entities asked for.', ['group'])
  const values = counter(name('values_total'), 'Values answered.', ['group', 'status'])
  const serviceRequests = counter(name('service_requests_total'), 'Requests for a feature service.', [
    'service',
  ])
  const coalesced = counter(
    name('coalesced_requests_total'),
    'Requests that shared the answer of an equal one.',
  )
  const families: readonly Family[] = [
    ...[requests, durations, entities, values, serviceRequests, coalesced],
    ...gateFamilies(gate),
    ...processFamilies(),
  ]
  const count = (route: string, { pass }: FastifyRequest, code: number) => {
    requests.add(1, route, String(code))
    if (pass !== null) durations.observe((performance.now() - pass.arrivedAt) / 1000, route)
  }
  return {
    ...{ entities, values, serviceRequests, coalesced },
    count(answer) {
      for (const group of answer.groups) entities.add(answer.entities, group)
      if (answer.service !== null) serviceRequests.add(1, answer.service)
      for (const [group, byStatus] of answer.values) {
        for (const [status, count] of byStatus) if (count > 0) values.add(count, group, status)
      }
    },
    addTo(app, { store, nowMs, sampler }) {
      app.addHook('onRoute', (route) => {
        const { url } = route
        const countRoute: typeof route.onSend = (request, reply, _payload, done) => {
          count(url, request, reply.statusCode)
          done()
        }
        route.onSend = [route.onSend ?? [], countRoute].flat()
      })
      app.addHook('onSend', (request, reply, _payload, done) => {
        if (request.is404) count('none', request, reply.statusCode)
        done()
      })
      app.get('/metrics', async (_request, reply) => {
        const ofGroups = await groupFamilies(store, nowMs())
        const ofReader = [...families, ...sampleFamilies(sampler), ...cacheFamilies(store)]
        return reply.type(textFormat).send(writeFamilies([...ofReader, ...ofGroups]))
      })
    },
  }
}

const total = (name: string, help: string, value: number): Family => ({
  ...{ name, help, type: 'counter', samples: () => [{ labels: {}, value }] },
})

function sampleFamilies(sampler: Counted['sampler']): Family[] {
  const { written, lost, bytesWaiting } = sampler.counts()
  return [
    total('asof_reader_samples_written_total', 'Samples of what was served that a store has taken.', written),
    total('asof_reader_samples_lost_total', 'Samples that were too large, too many, or not taken.', lost),
    gauge('asof_reader_samples_waiting_bytes', 'Samples that wait to be written.', () => bytesWaiting),
  ]
}

/** Of a store that is read through a cache. */
function cacheFamilies(store: OnlineStore): Family[] {
  if (!isCached(store)) return []
  const { hits, misses, bytes } = store.counters()
  return [
    total('asof_reader_cache_hits_total', 'Entities answered from the cache of this process.', hits),
    total('asof_reader_cache_misses_total', 'Entities that the cache did not have.', misses),
    gauge('asof_reader_cache_bytes', 'What the cache holds.', () => bytes),
  ]
}

function gateFamilies(gate: Gate): Family[] {
  return [
    {
      name: 'asof_reader_shed_total',
      help: 'Requests that were shed, by reason.',
      type: 'counter',
      samples: () => Object.entries(gate.shed).map(([reason, value]) => ({ labels: { reason }, value })),
    },
    gauge('asof_reader_requests_under_way', 'Requests that have a place.', () => gate.underWay),
    gauge('asof_reader_requests_waiting', 'Requests that wait for a place.', () => gate.waiting),
    gauge(
      'asof_reader_event_loop_lag_seconds',
      'How late the event loop was on average, over a quarter of a second.',
      () => gate.lagMs / 1000,
    ),
  ]
}

/** Under the names that other clients of Prometheus give them. */
function processFamilies(): Family[] {
  const startedAtSeconds = Date.now() / 1000 - process.uptime()
  return [
    gauge('process_resident_memory_bytes', 'Memory of the process.', () => process.memoryUsage.rss()),
    gauge('nodejs_heap_size_used_bytes', 'Used heap of JavaScript.', () => process.memoryUsage().heapUsed),
    gauge(
      'nodejs_external_memory_bytes',
      'Memory outside of the heap.',
      () => process.memoryUsage().external,
    ),
    gauge('process_start_time_seconds', 'When the process started, since the epoch.', () => startedAtSeconds),
    {
      name: 'process_cpu_seconds_total',
      help: 'User and system time of the process.',
      type: 'counter',
      samples: () => {
        const { user, system } = process.cpuUsage()
        return [{ value: (user + system) / 1e6 }]
      },
    },
  ]
}

/** What the cards say now. A store that does not answer leaves the groups out, and everything else is there all the same. */
async function groupFamilies(store: OnlineStore, nowMs: EpochMs): Promise<Family[]> {
  const cards = await readCards(store)
  const ofGroups = (name: string, help: string, read: (card: GroupCard) => number | null): Family => ({
    ...{ name: `asof_reader_${name}`, help, type: 'gauge' },
    samples: () =>
      (cards ?? []).flatMap((card): Sample[] => {
        const value = read(card)
        return value === null ? [] : [{ labels: { group: card.group }, value }]
      }),
  })
  const ageOf = ({ cadenceMs, complete }: GroupCard) =>
    complete === null ? null : groupAge({ cadenceMs, complete }, nowMs)
  return [
    gauge('asof_reader_store_up', 'Whether the online store answers.', () => (cards === null ? 0 : 1)),
    ofGroups('group_loaded', 'Whether a load of the group was ever complete.', ({ complete }) =>
      complete === null ? 0 : 1,
    ),
    ofGroups('group_age_seconds', 'Since the last complete load.', (card) => {
      const age = ageOf(card)
      return age === null ? null : age.ageMs / 1000
    }),
    ofGroups('group_stale', 'Whether that is longer ago than 1.5 times the cadence.', (card) => {
      const age = ageOf(card)
      return age === null ? null : Number(age.stale)
    }),
  ]
}

async function readCards(store: OnlineStore): Promise<GroupCard[] | null> {
  try {
    const groups = await store.listGroups()
    const cards = await Promise.all(groups.map((group) => store.readCard(group)))
    return cards.filter((card) => card !== null)
  } catch {
    return null
  }
}
