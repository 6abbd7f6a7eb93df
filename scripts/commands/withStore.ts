/** Opens the store for one command and closes it again. */
import type { Config } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'

export async function withStore<T>(config: Config, use: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(config)
  try {
    return await use(store)
  } finally {
    await store.close()
  }
}
