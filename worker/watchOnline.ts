/**
 * Online stores that lost a group (a Redis that came back empty, a group that was dropped while it is still defined) are
 * loaded again without anybody asking: readers answer 503 until then. A worker looks every few seconds; a group that is
 * missing at two looks in a row is materialized, by the workflow that a person would start, so that it is seen in the
 * Temporal UI and joined by whoever starts it too. The same goes for its slots in pre-joined services: whoever applies such
 * a service need do nothing else.
 */
import { slotsOfGroup } from '../activities/index.ts'
import { UnavailableError, type Definitions } from '../model/index.ts'
import type { OnlineStore } from '../online/index.ts'
import type { Registry } from '../registry/index.ts'

export interface WatchedStore {
  readonly definitions: Pick<Definitions, 'groups'>
  readonly registry: Pick<Registry, 'groups' | 'services' | 'ledgerSummary'>
  readonly onlineStores: readonly OnlineStore[]
}

/** Between two looks: the second one lets a load that is just beginning leave its first trace. */
const lookEveryMs = 5_000

/**
 * Makes a look, to be repeated: it answers which groups it has had materialized.
 *
 * @param start starts a group's materialization, or joins the one that runs
 */
export function watchOnline(
  { definitions, registry, onlineStores }: WatchedStore,
  start: (group: string) => Promise<unknown>,
): () => Promise<string[]> {
  let missingBefore = new Set<string>()
  return async () => {
    const there = (await registry.groups()).filter(({ retiredAt }) => retiredAt === null)
    const served = there.filter(({ id }) => definitions.groups.get(id)?.online === true)
    const services = await registry.services()
    const missing = new Set<string>()
    const started: string[] = []
    for (const { id } of served) {
      const kept = [id, ...slotsOfGroup(services, id).map((slot) => slot.id)]
      if (!(await isLost(onlineStores, kept))) continue
      if ((await registry.ledgerSummary(id)).intervals === 0) continue
      if (!missingBefore.has(id)) missing.add(id)
      else {
        await start(id)
        started.push(id)
      }
    }
    missingBefore = missing
    return started
  }
}

/**
 * A store that is away may have everything: it is asked again.
 * @param ids the group's, and those of its slots
 */
async function isLost(stores: readonly OnlineStore[], ids: readonly string[]): Promise<boolean> {
  for (const store of stores) {
    try {
      const cards = await Promise.all(ids.map((id) => store.readCard(id)))
      if (cards.some((card) => card === null || card.complete === null)) return true
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
    }
  }
  return false
}

/** Looks until it is stopped, one look at a time. */
export function keepLooking(look: () => Promise<string[]>, say: (sentence: string) => void): () => void {
  let timer: NodeJS.Timeout
  const next = () => {
    timer = setTimeout(() => {
      look()
        .then((groups) => {
          for (const group of groups)
            say(
              `Feature group ${group}, or its part of a pre-joined service, is missing in an online store: loading it.`,
            )
        })
        .catch((error: unknown) => say(`The online stores could not be looked at: ${String(error)}`))
        .finally(next)
    }, lookEveryMs)
    timer.unref()
  }
  next()
  return () => clearTimeout(timer)
}
