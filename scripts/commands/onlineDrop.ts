/** `asof online drop`: an online store forgets a group, so that a load can fill it anew or nobody is served from it. */
import { InputError } from '../../model/index.ts'
import { groupSubject, isStorageName, type OnlineStore } from '../../online/index.ts'
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
    const found: { store: string; entities: number }[] = []
    for (const online of chosen) {
      const entities = await online.drop(group).catch((error: unknown) => {
        for (const done of found) say(`${done.store}: ${done.entities} entities dropped.`)
        throw error
      })
      if (entities !== null) found.push({ store: online.name, entities })
      await dropSamples(config, online.name, group)
    }
    if (found.length === 0) throw await unknownGroup(chosen, group)
    return { dropped: found, isServed: store.definitions.groups.get(group)?.online === true }
  })
  print(
    format,
    { group, dropped },
    table(
      ['store', 'entities dropped'],
      dropped.map(({ store, entities }) => [store, String(entities)]),
    ),
  )
  if (isServed) {
    say(
      `Readers answer 503 for ${group} until it is loaded, which a running worker does by itself in a quarter of a minute. Or at once: ${bold(`asof materialize ${group}`)}`,
    )
  }
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
