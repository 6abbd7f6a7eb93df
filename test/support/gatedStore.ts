/** An online store behind a door that the test opens. */
import type { OnlineStore } from '../../online/index.ts'
import { signalled, through } from './onlineWorld.ts'

/** A store that answers once its door is opened, and counts who is inside. */
export function gated(store: OnlineStore) {
  let door = signalled()
  const asked = { now: 0, most: 0, ever: 0 }
  const held: OnlineStore = {
    ...through(store, (...write) => store.write(...write)),
    async fetch(asks) {
      asked.ever++
      asked.most = Math.max(asked.most, ++asked.now)
      await door.given
      asked.now--
      return store.fetch(asks)
    },
  }
  const open = () => {
    door.give()
    door = signalled()
  }
  return { held, asked, open, stayOpen: () => door.give() }
}
