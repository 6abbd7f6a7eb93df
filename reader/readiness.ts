/** Whether the reader can serve: every group of the store has been loaded completely, and it is not about to end. */
import type { FastifyInstance } from 'fastify'
import { groupAge, type OnlineStore } from '../online/index.ts'
import type { EpochMs } from '../model/index.ts'
import { isKnown } from './access.ts'
import type { Edge } from './edge.ts'

interface Readiness {
  readonly ready: boolean
  readonly body: object
  /** What those hear who have no token, where one is wanted: names of groups are nobody else's business. */
  readonly brief: object
}

const draining: Readiness = unready('draining', 'The reader is about to end. Ask another one.')

/** `GET /ready`. It needs no token. */
export function addReady(app: FastifyInstance, edge: Edge, store: OnlineStore, nowMs: () => EpochMs): void {
  app.get('/ready', async (request, reply) => {
    const { ready, body, brief } = edge.isDraining ? draining : await readiness(store, nowMs())
    if (!ready) reply.code(503).header('retry-after', 5)
    return isKnown(edge.access, request) ? body : brief
  })
}

function unready(code: string, message: string, brief = message, groups?: readonly object[]): Readiness {
  const bodyOf = (said: string) => ({ error: { code, message: said } })
  return { ready: false, body: { ...bodyOf(message), groups }, brief: bodyOf(brief) }
}

/** A store without any group is not ready: one that restarted empty must not look like one full of new users. */
async function readiness(store: OnlineStore, nowMs: EpochMs): Promise<Readiness> {
  const ids = await store.listGroups()
  const groups = await Promise.all(
    ids.map(async (id) => {
      const card = await store.readCard(id)
      if (card === null || card.complete === null) return { feature_group: id, loaded_at: null }
      const { ageMs, stale } = groupAge({ ...card, complete: card.complete }, nowMs)
      const loadedAt = new Date(card.complete.loadedAtMs).toISOString()
      return { feature_group: id, loaded_at: loadedAt, age_seconds: ageMs / 1000, stale }
    }),
  )
  const waiting = groups
    .filter(({ loaded_at }) => loaded_at === null)
    .map(({ feature_group }) => feature_group)
  if (ids.length === 0) {
    const nothing = 'No feature group has been loaded yet. Run asof materialize.'
    return unready('not_ready', nothing, nothing, groups)
  }
  if (waiting.length > 0) {
    const cure = 'Wait for the loads to finish, or run asof materialize.'
    const brief = `Not every feature group has been loaded completely yet. ${cure}`
    return unready('not_ready', `Not loaded completely yet: ${waiting.join(', ')}. ${cure}`, brief, groups)
  }
  return { ready: true, body: { status: 'ready', groups }, brief: { status: 'ready' } }
}
