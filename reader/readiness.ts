/** Whether the reader can serve: every group of the store has been loaded completely. */
import { groupAge, type OnlineStore } from '../online/index.ts'
import type { EpochMs } from '../model/index.ts'

export interface Readiness {
  readonly ready: boolean
  readonly body: object
}

/** A store without any group is not ready: one that restarted empty must not look like one full of new users. */
export async function readiness(store: OnlineStore, nowMs: EpochMs): Promise<Readiness> {
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
  if (ids.length > 0 && waiting.length === 0) return { ready: true, body: { status: 'ready', groups } }
  const message =
    ids.length === 0
      ? 'No feature group has been loaded yet. Run asof materialize.'
      : `Not loaded completely yet: ${waiting.join(', ')}. Wait for the loads to finish, or run asof materialize.`
  return { ready: false, body: { error: { code: 'not_ready', message }, groups } }
}
