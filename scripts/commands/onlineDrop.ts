/** `asof online drop`: an online store forgets a group, so that a load can fill it anew or nobody is served from it. */
import { unwantedSlots } from '../../activities/index.ts'
import { InputError } from '../../model/index.ts'
import { groupSubject, isSlotId, isStorageName, type OnlineStore } from '../../online/index.ts'
import type { Config } from '../../worker/config.ts'
import { openSampleStore } from '../../worker/openOnline.ts'
import { bold, print, say, table, type Format } from '../output.ts'
import { withStore } from './withStore.ts'

export interface OnlineDrop {
  readonly group: string
  /** One of the configured stores; all of them where it is left out. */
  readonly store?: string
}

export async function onlineDrop(
  config: Config,
  { group, store: name }: OnlineDrop,
  format: Format,
): Promise<void> {
  const { dropped, isServed } = await withStore(config, async (store) => {
    const chosen = chosenStores(store.onlineStores, name)
    const found: Dropped[] = []
    for (const online of chosen) {
      const dropped = await dropGroup(online, group).catch((error: unknown) => {
        for (const done of found) say(`${done.store}: ${done.entities} entities dropped.`)
        throw error
      })
      if (dropped !== null) found.push(dropped)
      await dropSamples(config, online.name, group)
    }
    if (found.length === 0) throw await unknownGroup(chosen, group)
    return { dropped: found, isServed: store.definitions.groups.get(group)?.online === true }
  })
  print(
    format,
    { group, dropped },
    table(
      ['store', 'entities dropped', 'slots dropped'],
      dropped.map(({ store, entities, slots }) => [store, String(entities), String(slots)]),
    ),
  )
  if (isServed) {
    say(
      `Readers answer 503 for ${group} until it is loaded, which a running worker does by itself in a quarter of a minute. Or at once: ${bold(`asof materialize ${group}`)}`,
    )
  }
}

interface Dropped {
  readonly store: string
  readonly entities: number
  /** In how many pre-joined services the group had one. */
  readonly slots: number
}

/**
 * First the slots, for a reader that finds them goes on serving from them; and nobody drops one alone, which is a part of
 * a service. Null where the store knew nothing of the group.
 */
async function dropGroup(online: OnlineStore, group: string): Promise<Dropped | null> {
  if (isSlotId(group)) return null
  const slots = unwantedSlots(await online.listSlots(), group, [])
  for (const slot of slots) await online.drop(slot)
  const entities = await online.drop(group)
  return entities === null && slots.length === 0
    ? null
    : { store: online.name, entities: entities ?? 0, slots: slots.length }
}

/** What readers have served of the group holds its values, too. */
async function dropSamples(config: Config, name: string, group: string): Promise<void> {
  const store = config.onlineStores.find((one) => one.name === name)
  if (store === undefined || !isStorageName(group)) return
  const samples = openSampleStore(config, store)
  try {
    await samples.drop(groupSubject(group))
  } finally {
    await samples.close()
  }
}

function chosenStores(stores: readonly OnlineStore[], name: string | undefined): readonly OnlineStore[] {
  if (name === undefined) return stores
  const chosen = stores.filter((store) => store.name === name)
  if (chosen.length > 0) return chosen
  throw new InputError(
    `no online store ${JSON.stringify(name)}. ASOF_ONLINE names ${stores.map((store) => store.name).join(', ')}.`,
    { store: name },
  )
}

async function unknownGroup(stores: readonly OnlineStore[], group: string): Promise<InputError> {
  const known = [...new Set((await Promise.all(stores.map((store) => store.listGroups()))).flat())].sort()
  return new InputError(
    `${stores.map(({ name }) => name).join(', ')}: nothing is stored of a group ${JSON.stringify(group)}. ${known.length === 0 ? 'Nothing was loaded yet.' : `Stored are ${known.join(', ')}.`}`,
    { group },
  )
}
