/**
 * The questions that the reader answers, each as one piece of text or bytes: a group's entities, vectors of a service or
 * a list of features, and Feast's question. Knows the store, the services and the clock, and nothing of HTTP.
 */
import type { EpochMs, FeatureService } from '../model/index.ts'
import { GroupCursor, isSlotId, type OnlineStore } from '../online/index.ts'
import { readVectorsBody, type AskedVectors } from './body.ts'
import { nothingThere, NotFoundError, NotLoadedError } from './errors.ts'
import { feastJson, readFeastBody } from './feast.ts'
import { parseBody, type Body } from './forms.ts'
import { groupJson, type GroupAnswer } from './groupJson.ts'
import { groupPacked } from './groupPacked.ts'
import type { ReaderMetrics } from './metrics.ts'
import { planFeatures, planService, type ReadPlan } from './plan.ts'
import { readQuestion, type Question } from './question.ts'
import type { Sampler } from './sampler.ts'
import { Tally } from './tally.ts'
import { readVectors, storedPlaces, type Reading, type Vectors } from './vectors.ts'
import { vectorsJson } from './vectorsJson.ts'
import { vectorsPacked } from './vectorsPacked.ts'

export type Form = 'json' | 'msgpack'

export interface Answers {
  /** @param address the path with its query */
  group(id: string, address: string, form: Form): Promise<string | Buffer>
  vectors(body: Body | undefined, form: Form): Promise<string | Buffer>
  feast(body: Body | undefined): Promise<string>
}

/** The feature services that may be served. */
export interface Services {
  /** @throws NotFoundError that says why there is none of this name, or why it may not be served yet */
  get(name: string): Promise<FeatureService>
}

export interface AnswersOptions {
  readonly store: OnlineStore
  readonly nowMs: () => EpochMs
  readonly services: Services
  readonly sampler: Sampler
  /** Counts what was answered. */
  readonly metrics?: Pick<ReaderMetrics, 'count'>
}

/** Plans of lists of features that are kept; there are as many as callers have models. */
const mostPlans = 1000

export function createAnswers({ store, nowMs, services, sampler, metrics }: AnswersOptions): Answers {
  // Apart by what is asked and how it is called: a service's name comes from a request, and may say what a list does.
  const [ofServices, ofLists] = [planCache(), planCache()]
  const reading: Reading = { store, nowMs, seen: new Set() }
  const planOf = (asked: PlanKey): ReadPlan | Promise<ReadPlan> => {
    const { full, short } = asked.service === null ? ofLists : ofServices
    const kept = asked.fullNames ? full : short
    const id = asked.service ?? JSON.stringify(asked.features)
    return kept.get(id) ?? keepPlan(kept, id, asked)
  }
  const keepPlan = async (kept: Map<string, ReadPlan>, id: string, asked: PlanKey): Promise<ReadPlan> => {
    const slot = asked.features.find(({ group }) => isSlotId(group))
    // A slot is read as a part of its service, never as a group.
    if (slot !== undefined) throw await nothingThere(store, slot.group, false)
    const plan = await makePlan(services, asked)
    if (kept.size >= mostPlans) kept.clear()
    kept.set(id, plan)
    return plan
  }
  const countVectors = ({ plan, rows }: Vectors, tally: Tally) => {
    const groups = plan.lookups.map(({ group }) => group)
    metrics?.count({ groups, entities: rows, service: plan.service, values: tally.counts() })
  }
  return {
    async group(id, address, form) {
      const answer = await readGroupAnswer(reading, id, address)
      sampler.group(answer)
      const { cursor, question } = answer
      const tally = new Tally(cursor.features.map((_, feature) => ({ cursor, feature, together: 1 })))
      const written = form === 'json' ? groupJson(answer, tally) : groupPacked(answer, tally)
      metrics?.count({
        groups: [id],
        entities: question.entityIds.length,
        service: null,
        values: tally.counts(),
      })
      return written
    },
    async vectors(body, form) {
      const asked = readVectorsBody(parseBody(body))
      const vectors = await readVectors(reading, await planOf(asked), asked.rows)
      sampler.vectors(vectors, asked.rows)
      const stored = storedPlaces(vectors)
      const tally = new Tally(stored)
      const write = form === 'json' ? vectorsJson : vectorsPacked
      const written = write(vectors, stored, tally)
      countVectors(vectors, tally)
      return written
    },
    async feast(body) {
      const asked = readFeastBody(parseBody(body))
      const plan = await planOf(asked)
      const vectors = await readVectors(reading, plan, asked.rows, { allowStray: true })
      sampler.vectors(vectors, asked.rows)
      const tally = new Tally(storedPlaces(vectors))
      const written = feastJson(asked, vectors, tally)
      countVectors(vectors, tally)
      return written
    },
  }
}

const planCache = () => ({ full: new Map<string, ReadPlan>(), short: new Map<string, ReadPlan>() })

type PlanKey = Pick<AskedVectors, 'service' | 'features' | 'fullNames'>

async function makePlan(services: Services, { service, features, fullNames }: PlanKey): Promise<ReadPlan> {
  if (service === null) return planFeatures(features, fullNames)
  return planService(await services.get(service), fullNames)
}

/** Services that are there for good. */
export function servicesOf(all: readonly FeatureService[]): Services {
  const byName = new Map(all.map((service) => [service.name, service]))
  return {
    get(name) {
      const service = byName.get(name)
      if (service !== undefined) return Promise.resolve(service)
      const known = [...byName.keys()].sort().join(', ') || 'none'
      throw new NotFoundError(`There is no feature service ${JSON.stringify(name)}. There is ${known}.`)
    },
  }
}

async function readGroupAnswer(
  { store, nowMs, seen }: Reading,
  group: string,
  address: string,
): Promise<GroupAnswer> {
  if (isSlotId(group)) throw await nothingThere(store, group, false)
  const questions: Question[] = []
  const [found = null] = await store.fetch([
    {
      group,
      keys: (columns) => {
        const question = readQuestion(columns, address)
        questions.push(question)
        return question.entityIds
      },
    },
  ])
  const question = questions.at(-1)
  if (found === null || question === undefined) throw await nothingThere(store, group, seen.has(group))
  seen.add(group)
  const { complete } = found.card
  if (complete === null) throw new NotLoadedError(group)
  const now = nowMs()
  const cursor = new GroupCursor(found, now, question.features)
  return { card: { ...found.card, complete }, cursor, question, nowMs: now }
}
