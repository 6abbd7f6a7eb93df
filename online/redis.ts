/**
 * The online store in Redis, shared by any number of processes and machines.
 *
 * | key | type | value |
 * |---|---|---|
 * | `<store>` | set | the groups |
 * | `<store>:<group>` | string | the record: the card and the schemas of all tags (`groupRecord.ts`) |
 * | `{<store>:<group>}` | string | the record's version: equal versions are equal records |
 * | `<store>:<group>:<key text>` (`key.ts`) | string | the value (`value.ts`); it expires (`expiry.ts`) |
 * | `<store>:<service>_<tag>!:<key text>` | string | the slots of a pre-joined service (`slotId.ts`, `slots.ts`); it expires with the last of them |
 * | `<store>:<group>:last_updated` | string | the instant of the last complete load, for people; nothing reads it |
 *
 * A slot has a record, a version and a last update as a group has, under its id. Names hold no colon and no brace, and an
 * entity whose key text is `last_updated` has `\\last_updated` in its key, which no key text is; so none of these ever
 * meet. Which of two writes wins is decided inside Redis (`redisScripts.ts`), many keys a call; the record is read, merged,
 * and put only where it still is what was read.
 *
 * A read is one MGET over all groups that are asked, so what it finds is of one moment. A record is kilobytes, so its
 * version travels in its place; only where that is another one than the reader knows, the record is read too. (A script
 * that packs the values into one reply saves a quarter of the client's time and costs Redis six times as much.) It goes
 * over a connection of its own that is written and read by hand (`redisWire.ts`).
 *
 * Reads may go to replicas, each answer from one of them: it is of one moment there, which lies a little behind the
 * primary's, so one who has just loaded may still read what was before. The primary is read instead where a replica does
 * not answer, does not follow it, or does not know a group; and where the primary is away, what a replica last had is.
 *
 * Redis may lose its newest writes when it restarts, or everything. The card goes with the values then, so an emptied
 * store is one that was never loaded; and a load notes at its start which server it writes to, and is not marked where
 * another one is there at its end. Redis must not be one that evicts keys.
 */
import { AskedTogether } from './askedTogether.ts'
import type { OnlineStore, GroupAsk, GroupFound, SlotPlace } from './store.ts'
import { UnavailableError } from '../model/index.ts'
import { contentLost } from './card.ts'
import { storageKey } from './key.ts'
import { isCluster, replicatedAddress } from './redisAddress.ts'
import { openRedisCluster } from './redisCluster.ts'
import { RedisConnection, type RedisOptions } from './redisConnection.ts'
import { emptySlots, otherLife, placeArgs, putting, swapRecord } from './redisScripts.ts'
import { lastUpdated, RedisStore, textsOf, type Put, type Question, type Swap } from './redisStore.ts'

export type { RedisOptions } from './redisConnection.ts'

/** Opens the store; Redis is asked for nothing before the first call. @throws InputError for what is no address */
export function openRedis(options: RedisOptions): OnlineStore {
  return isCluster(options.url) ? openRedisCluster(options) : new OneRedis(options)
}

class OneRedis extends RedisStore {
  private readonly connection: RedisConnection
  private readonly replicas: readonly RedisConnection[]
  private turn = 0

  constructor(options: RedisOptions) {
    const { primary, replicas } = replicatedAddress(options.url)
    const connection = new RedisConnection({ ...options, url: primary })
    super(options, connection)
    this.connection = connection
    this.replicas = replicas.map((url) => new RedisConnection({ ...options, url }))
  }

  fetch(asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]> {
    const replica = this.replicas[this.turn++ % Math.max(1, this.replicas.length)]
    return replica === undefined ? this.fetchFromPrimary(asks) : this.fetchFromEither(replica, asks)
  }

  private fetchFromPrimary(asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]> {
    return this.fetchFrom(asks, (names) => this.connection.mgetOften(names))
  }

  private async fetchFromEither(
    replica: RedisConnection,
    asks: readonly GroupAsk[],
  ): Promise<(GroupFound | null)[]> {
    const { answers, isLinked } = await this.fetchFromReplica(replica, asks)
    if (answers !== null && isLinked) return answers
    try {
      return await this.fetchFromPrimary(asks)
    } catch (error) {
      // What a replica knows that lost its primary is old, and says so by its mark.
      if (error instanceof UnavailableError && answers !== null) return answers
      throw error
    }
  }

  /** Null where it does not answer, or does not know one of the groups: an empty replica proves nothing. */
  private async fetchFromReplica(
    replica: RedisConnection,
    asks: readonly GroupAsk[],
  ): Promise<{ answers: (GroupFound | null)[] | null; isLinked: boolean }> {
    let isLinked = true
    try {
      const answers = await this.fetchFrom(asks, async (names) => {
        const linked = await replica.mgetLinked(names)
        isLinked &&= linked.isLinked
        return linked.found
      })
      return { answers: answers.includes(null) ? null : answers, isLinked }
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error
      return { answers: null, isLinked: false }
    }
  }

  override close(): Promise<void> {
    for (const replica of this.replicas) replica.close()
    return super.close()
  }

  private async fetchFrom(
    asks: readonly GroupAsk[],
    mget: (names: readonly string[]) => Promise<readonly (Buffer | null)[]>,
  ): Promise<(GroupFound | null)[]> {
    const answers: (GroupFound | null)[] = asks.map(() => null)
    let open = this.questionsOf(asks)
    while (open.length > 0) {
      const together = new AskedTogether<Question>()
      const names = open.map((question) => this.namesOf(question, together))
      const [first = []] = names
      const isOne = names.length === 1
      const found = await mget(isOne ? first : names.flat())
      let end = 0
      const own = isOne ? [found] : names.map(({ length }) => found.slice(end, (end += length)))
      const pieces = together.complete(open, own)
      open = open.flatMap((question, index) => {
        const answer = this.judge(question, pieces[index] ?? [])
        if (answer !== null && 'ask' in answer) return [answer]
        answers[question.place] = answer
        return []
      })
    }
    return answers
  }

  protected async putAll(group: string, { rows, order, life, expiry, slot }: Put): Promise<number> {
    const { script, args } = putting(slot)
    const call = { key: this.recordKey(group), args: [order, life, ...expiry, ...args], refused: otherLife }
    const written = await this.connection.putAll(script, call, rows)
    if (written === otherLife) throw contentLost(group)
    return written
  }

  protected emptyAll(keys: readonly string[], slot: SlotPlace): Promise<number> {
    return this.connection.run(emptySlots, keys, placeArgs(slot))
  }

  protected swap(group: string, { before, after, runId = '' }: Swap): Promise<number> {
    const keys = [this.recordKey(group), this.versionKey(group), storageKey(this.store, group, lastUpdated)]
    const { text, version, updated } = textsOf(after)
    return this.connection.run(swapRecord, keys, [before ?? '', text, version, updated, runId])
  }
}
