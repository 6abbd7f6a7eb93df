/**
 * A reader's memory of an online store: `cached(store, …)` is the same store, whose `fetch` answers from memory what it has
 * there and asks the store for the rest. Everything else passes through, so `/ready` and commands see the store itself.
 *
 * Remembered are the cards of groups and, under them, what was found of entities: values, tombstones, and that there is
 * nothing. A group that the store does not know is asked for every time. Bytes are bounded (`cacheMemory.ts`).
 *
 * What holds in every mode:
 * 1. An answer never claims a newer load than its values have. A value is kept under the card with which it was read, in
 *    one moment of the store; when another card is met, all that was kept under the older one is forgotten. So whatever
 *    is answered together was each read under that very card, and a value may be newer than the card's mark, never older.
 *    What lies under one mark may have been read at several moments: while a load is under way, one entity may have its
 *    new value and another one not yet, as in a store whose loads come in batches.
 * 2. Tags of schemas are looked up in the record that came with the card.
 * 3. ttl is judged by the cursor, at every reading: a value that is remembered still expires.
 * 4. A failed read fails. Nothing is answered in its place.
 *
 * How old an answer may be is the mode's:
 * - `ttlMs`: what is answered was in the store at a moment at most so long before the question was asked, on the machine's
 *   monotonic clock. That bounds what a load, a dropped group, a store that was emptied and one that is gone look like.
 * - `changes`: exact. What the store has told of is forgotten before anything else is answered; a write is told of before
 *   its writer is answered, so an answer lags behind by the way of one message. While the changes cannot be heard, every
 *   question goes to the store; how long a silence goes unnoticed is said by who listens (`redisTracking.ts`: 1 s). When
 *   listening has to start anew, everything is forgotten.
 *
 * A slot of a pre-joined service is remembered as any group. What changes is told by the key that all slots of the service
 * share, so each of them forgets the entity then, also where only one of them was written.
 *
 * Reading races with changes: a place is kept free for what is being read, a change takes the place away, and what comes
 * back is put only where its own place still stands.
 */
import { cacheMemory, type CacheMemory, type Entry } from './cacheMemory.ts'
import { isSlotId, valuesName } from './slotId.ts'
import type { GroupAsk, GroupCard, GroupFound, OnlineStore } from './store.ts'

/** Who hears of a store's changes. */
export interface Changes {
  /** Called once. Every change is told in the order of the store; what one write changes, in one go. */
  follow(follower: Follower): void
  /** Whether everything is known that changed until shortly before a moment of the monotonic clock. */
  isHeard(nowMs: number): boolean
  close(): void
}

export interface Follower {
  /** @param group a group's id, or the name under which the values of slots lie */
  valueChanged(group: string, text: string): void
  /** Its card, or anything that is kept beside it. */
  groupChanged(group: string): void
  /** Anything may have changed. */
  allChanged(): void
}

export interface CacheOptions {
  readonly maxBytes: number
  /** How long what was read may be answered, or who tells of changes. */
  readonly keeps: { readonly ttlMs: number } | { readonly changes: Changes }
  /** The machine's monotonic clock, unless given. */
  readonly monotonicMs?: () => number
}

export interface CacheCounters {
  /** Entities that were answered from memory, and those that the store was asked for. */
  readonly hits: number
  readonly misses: number
  readonly bytes: number
  /** False while changes cannot be heard: all questions go to the store then, and are not counted. */
  readonly isOn: boolean
}

export interface CachedStore extends OnlineStore {
  counters(): CacheCounters
}

export const isCached = (store: OnlineStore): store is CachedStore => 'counters' in store

export function cached(store: OnlineStore, options: CacheOptions): CachedStore {
  const cache = new Cache(store, options)
  return {
    name: store.name,
    readCard: (group) => store.readCard(group),
    listGroups: () => store.listGroups(),
    listSlots: () => store.listSlots(),
    write: (card, order, rows, life) => store.write(card, order, rows, life),
    startLoad: (card, load) => store.startLoad(card, load),
    finishLoad: (group, mark, life) => store.finishLoad(group, mark, life),
    unfinishedLoads: (group) => store.unfinishedLoads(group),
    fetch: (asks) => cache.fetch(asks),
    ...(store.count === undefined ? {} : { count: store.count.bind(store) }),
    scan: (group) => store.scan(group),
    drop: (group) => store.drop(group),
    async close() {
      cache.close()
      await store.close()
    },
    counters: () => cache.counters(),
  }
}

type Answers = (GroupFound | null)[]

class Cache implements Follower {
  private readonly store: OnlineStore
  private readonly changes: Changes | null
  private readonly ttlMs: number
  private readonly monotonicMs: () => number
  private readonly memory: CacheMemory
  private readonly groups = new Map<string, CachedGroup>()
  private readonly sharers = new Map<string, Set<CachedGroup>>()
  private hits = 0
  private misses = 0
  private closed = false

  constructor(store: OnlineStore, { maxBytes, keeps, monotonicMs }: CacheOptions) {
    this.store = store
    this.memory = cacheMemory(maxBytes)
    this.changes = 'changes' in keeps ? keeps.changes : null
    this.ttlMs = 'ttlMs' in keeps ? keeps.ttlMs : Infinity
    this.monotonicMs = monotonicMs ?? (() => performance.now())
    this.changes?.follow(this)
  }

  fetch(asks: readonly GroupAsk[]): Promise<Answers> {
    const nowMs = this.monotonicMs()
    if (!this.isOn(nowMs)) return this.store.fetch(asks)
    // Within a promise, for a question that cannot be asked throws.
    return new Promise((resolve) => {
      resolve(this.answer(asks, nowMs))
    })
  }

  counters(): CacheCounters {
    const { hits, misses, memory } = this
    return { hits, misses, bytes: memory.bytes, isOn: this.isOn(this.monotonicMs()) }
  }

  close(): void {
    this.closed = true
    this.changes?.close()
    this.allChanged()
  }

  valueChanged(name: string, text: string): void {
    this.groups.get(name)?.entries.delete(text)
    const sharers = this.sharers.get(name)
    if (sharers !== undefined) for (const slot of sharers) slot.entries.delete(text)
  }

  groupChanged(name: string): void {
    const group = this.groups.get(name)
    if (group !== undefined) this.forget(group)
  }

  allChanged(): void {
    for (const group of this.groups.values()) this.forget(group)
    this.memory.clear()
  }

  private isOn(nowMs: number): boolean {
    return !this.closed && (this.changes === null || this.changes.isHeard(nowMs))
  }

  private forget(group: CachedGroup): void {
    group.entries.clear()
    if (this.groups.get(group.name) !== group) return
    this.groups.delete(group.name)
    this.sharers.get(valuesName(group.name))?.delete(group)
  }

  private answer(asks: readonly GroupAsk[], nowMs: number): Answers | Promise<Answers> {
    const answers = new Array<GroupFound | null>(asks.length)
    const lacks: Lack[] = []
    for (let at = 0; at < asks.length; at++) {
      const taken = this.take(asks[at] as GroupAsk, at, nowMs - this.ttlMs)
      const isFound = 'card' in taken
      answers[at] = isFound ? taken : null
      if (!isFound) lacks.push(taken)
    }
    return lacks.length === 0 ? answers : this.askStore(answers, lacks, nowMs)
  }

  /** All of an ask from memory, or what is lacking. */
  private take(ask: GroupAsk, at: number, oldestMs: number): GroupFound | Lack {
    const group = this.groups.get(ask.group)
    if (group === undefined || group.found === null) return { ask, at, group: null, own: [], taken: null }
    const { found, entries } = group
    const texts = ask.keys(found.card.keys)
    const values = new Array<Buffer | null>(texts.length)
    let places: number[] | null = group.readAtMs > oldestMs ? null : []
    for (let place = 0; place < texts.length; place++) {
      const entry = entries.get(texts[place] as string)
      if (entry === undefined || entry.bytes === undefined || entry.readAtMs <= oldestMs) {
        values[place] = null
        places ??= []
        places.push(place)
      } else {
        entry.wasAsked = true
        values[place] = entry.bytes
      }
    }
    this.hits += texts.length - (places?.length ?? 0)
    if (places === null) return { card: found.card, schemaOf: found.schemaOf, values }
    return { ask, at, group, own: [], taken: { card: found.card, texts, values, places } }
  }

  private async askStore(answers: Answers, lacks: readonly Lack[], askedAtMs: number): Promise<Answers> {
    const torn: Lack[] = []
    try {
      for (const lack of lacks) lack.group = this.groupOf(lack.ask.group)
      const lists = lackingTexts(lacks)
      const found = await this.store.fetch(
        lacks.map((lack, index) => this.askOf(lack, lists[index] ?? null, askedAtMs - this.ttlMs)),
      )
      for (const [index, lack] of lacks.entries()) {
        const answer = found[index] ?? null
        const { taken } = lack
        this.misses += answer?.values.length ?? 0
        this.keep(lack, answer, askedAtMs)
        if (taken === null || answer === null) answers[lack.at] = answer
        else if (answer.card === taken.card) answers[lack.at] = joined(answer, taken)
        else torn.push(lack)
      }
    } finally {
      for (const lack of lacks) this.release(lack)
    }
    if (torn.length === 0) return answers
    const whole = await this.store.fetch(torn.map(({ ask }) => ask))
    for (const [index, { at }] of torn.entries()) answers[at] = whole[index] ?? null
    return answers
  }

  private groupOf(name: string): CachedGroup {
    const there = this.groups.get(name)
    if (there !== undefined) return there
    const group = { name, found: null, readAtMs: -Infinity, entries: new Map<string, Entry>() }
    this.groups.set(name, group)
    if (isSlotId(name)) this.sharersOf(valuesName(name)).add(group)
    return group
  }

  /** Slots by the name under which their values lie. */
  private sharersOf(name: string): Set<CachedGroup> {
    const there = this.sharers.get(name)
    if (there !== undefined) return there
    const sharers = new Set<CachedGroup>()
    this.sharers.set(name, sharers)
    return sharers
  }

  /**
   * What the store is asked. Its keys are made before it reads, so their places are free before that.
   * @param lacking of a group that is in memory, the texts that are not
   */
  private askOf(lack: Lack, lacking: readonly string[] | null, oldestMs: number): GroupAsk {
    return {
      group: lack.ask.group,
      // A group that has other key columns by now has another card, too, and is asked for anew.
      keys: (columns) => {
        const texts = lacking ?? lack.ask.keys(columns)
        reserve(lack, texts, oldestMs)
        return texts
      },
    }
  }

  /** Puts what the store has answered where its places still stand. */
  private keep({ group, own }: Lack, found: GroupFound | null, askedAtMs: number): void {
    if (group === null || this.groups.get(group.name) !== group) return
    if (found === null || (group.found !== null && group.found.card !== found.card)) {
      this.forget(group)
      return
    }
    group.found = { card: found.card, schemaOf: found.schemaOf }
    group.readAtMs = Math.max(group.readAtMs, askedAtMs)
    for (const { place, entry } of own) {
      if (!isFree(entry)) continue
      entry.readAtMs = askedAtMs
      this.memory.put(entry, found.values[place] ?? null)
    }
  }

  /** Leaves nothing behind that was not filled. */
  private release(lack: Lack): void {
    giveBack(lack)
    const { group } = lack
    if (group !== null && group.found === null && group.entries.size === 0) this.forget(group)
  }
}

interface CachedGroup {
  readonly name: string
  /** Null until it was read for the first time. */
  found: Pick<GroupFound, 'card' | 'schemaOf'> | null
  readAtMs: number
  readonly entries: Map<string, Entry>
}

/** What of an ask is not in memory. */
interface Lack {
  readonly ask: GroupAsk
  /** Its place among the asks. */
  readonly at: number
  group: CachedGroup | null
  /** Places that are kept free for it, by the place of their key among those that the store is asked. */
  readonly own: { readonly place: number; readonly entry: Entry }[]
  /** What is in memory, and under which card; null where the store has to be asked for all. */
  readonly taken: {
    readonly card: GroupCard
    readonly texts: readonly string[]
    /** Null where it lacks. */
    readonly values: (Buffer | null)[]
    /** Of those that lack. */
    readonly places: readonly number[]
  } | null
}

/**
 * By lack, the texts that are not in memory; null where nothing is. Of slots that were asked for by one list and lack the
 * same, they are one list again, so that the store looks their keys up once.
 */
function lackingTexts(lacks: readonly Lack[]): (readonly string[] | null)[] {
  const lists: (readonly string[] | null)[] = []
  for (const { taken } of lacks) {
    const twin = lacks.findIndex(
      (other, index) => index < lists.length && taken !== null && lackTheSame(other.taken, taken),
    )
    const texts = taken?.places.map((place) => taken.texts[place] as string)
    lists.push((twin < 0 ? texts : lists[twin]) ?? null)
  }
  return lists
}

const lackTheSame = (one: Lack['taken'], { texts, places }: NonNullable<Lack['taken']>) =>
  one !== null &&
  one.texts === texts &&
  one.places.length === places.length &&
  one.places.every((place, index) => place === places[index])

/** Keeps places free in memory for what the store is about to be asked. */
function reserve(lack: Lack, texts: readonly string[], oldestMs: number): void {
  giveBack(lack)
  const { group, own } = lack
  if (group === null) return
  for (const [place, text] of texts.entries()) {
    const there = group.entries.get(text)
    const isTaken = there !== undefined && (there.bytes === undefined || there.readAtMs > oldestMs)
    if (isTaken) continue
    const entry = newEntry(text, group.entries)
    group.entries.set(entry.text, entry)
    own.push({ place, entry })
  }
}

/** The text is copied: a piece of a longer one, such as an address, would keep that in memory. */
const newEntry = (text: string, home: Map<string, Entry>): Entry => ({
  text: Buffer.from(text).toString(),
  home,
  bytes: undefined,
  readAtMs: -Infinity,
  wasAsked: false,
})

/** Whether a place is still kept for whoever has reserved it. */
const isFree = (entry: Entry) => entry.bytes === undefined && entry.home.get(entry.text) === entry

function giveBack({ own }: Lack): void {
  for (const { entry } of own) if (isFree(entry)) entry.home.delete(entry.text)
  own.length = 0
}

function joined(
  { card, schemaOf, values: found }: GroupFound,
  { values, places }: NonNullable<Lack['taken']>,
): GroupFound {
  for (const [index, place] of places.entries()) values[place] = found[index] ?? null
  return { card, schemaOf, values }
}
