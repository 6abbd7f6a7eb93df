/**
 * The online store in Redis, shared by any number of processes and machines.
 *
 * | key | type | value |
 * |---|---|---|
 * | `<store>` | set | the groups |
 * | `<store>:<group>` | string | the record: the card and the schemas of all tags (`groupRecord.ts`) |
 * | `<store>::<group>` | string | the record's version: equal versions are equal records |
 * | `<store>:<group>:<key text>` (`key.ts`) | string | the value (`value.ts`); it expires (`expiry.ts`) |
 * | `<store>:<group>:last_updated` | string | the instant of the last complete load, for people; nothing reads it |
 *
 * Names hold no colon and are not empty, and an entity whose key text is `last_updated` has `\\last_updated` in its key,
 * which no key text is; so none of these ever meet. Which of two writes wins is decided inside Redis
 * (`redisScripts.ts`), many keys a call; the record is read, merged, and put only where it still is what was read.
 *
 * A read is one MGET over all groups that are asked, so what it finds is of one moment. A record is kilobytes, so its
 * version travels in its place; only where that is another one than the reader knows, the record is read too. (A script
 * that packs the values into one reply saves a quarter of the client's time and costs Redis six times as much.)
 *
 * Redis may lose its newest writes when it restarts, or everything. The card goes with the values then, so an emptied
 * store is one that was never loaded; and a load notes at its start which server it writes to, and is not marked where
 * another one is there at its end. Redis must not be one that evicts keys.
 */
import { IntegrityError, UnavailableError } from '../model/index.ts'
import {
  contentLost,
  mergeCard,
  mergeMark,
  mergeStart,
  mustBeWhole,
  unfinishedOf,
  withdrawn,
  type StoredCard,
} from './card.ts'
import type { OnlineRows } from './columns.ts'
import { EncodedRows } from './encodedRows.ts'
import { decodeRecord, encodeRecord, recordVersion, withCard, type GroupRecord } from './groupRecord.ts'
import { keptMs, leastKeptMs, tombstoneKeptMs } from './expiry.ts'
import { checkStorageName, isStorageName, parseKeyText, storageKey, type KeyColumns } from './key.ts'
import { RedisConnection, type RedisOptions } from './redisConnection.ts'
import { nextStretch, scriptRequest } from './redisRequest.ts'
import { otherLife, otherServer, putWinners, swapped, swapRecord } from './redisScripts.ts'
import type {
  GroupCard,
  LoadMark,
  LoadOrder,
  LoadStart,
  GroupAsk,
  GroupFound,
  OnlineStore,
  ScannedRow,
  StartedLoad,
  StoredValue,
  ValueSchema,
} from './store.ts'
import { decodeBody, decodeHeader, decodeOrder, encodeOrder, tagText } from './value.ts'

export type { RedisOptions } from './redisConnection.ts'

/** Keys of one script call: Redis does nothing else while it runs. */
const keysPerCall = 200
/** What a call's keys and values may come to where values are large. */
const bytesPerCall = 2 ** 20
/** Calls under way at once. */
const callsAtOnce = 8
const keysPerScan = 1_000

/** Opens the store; Redis is asked for nothing before the first call. @throws InputError for what is no address */
export function openRedis(options: RedisOptions): OnlineStore {
  checkStorageName('store', options.store)
  return new RedisStore(options)
}

interface KnownRecord {
  readonly text: Buffer
  /** Null for a record that was put before there were versions. */
  readonly version: Buffer | null
  readonly record: GroupRecord
}

/** What is asked of a group, and what was known of it then. */
interface Question {
  readonly ask: GroupAsk
  /** Among what is asked at once. */
  readonly place: number
  readonly known: KnownRecord | null
  /** Another record stands there by now. */
  readonly isStale: boolean
}

class RedisStore implements OnlineStore {
  readonly name: string
  readonly expires = true
  private readonly now: () => number
  private readonly store: string
  private readonly connection: RedisConnection
  private readonly records = new Map<string, KnownRecord>()

  constructor(options: RedisOptions) {
    this.name = options.name ?? 'redis'
    this.store = options.store
    this.now = options.now ?? Date.now
    this.connection = new RedisConnection(options)
  }

  async readCard(group: string): Promise<GroupCard | null> {
    return (await this.fetchRecord(group))?.record.stored.card ?? null
  }

  async listGroups(): Promise<string[]> {
    const groups = await this.connection.attempt('read', (client) => client.smembers(this.store))
    if (groups.length === 0) return []
    const keys = groups.map((group) => this.recordKey(group))
    const records = await this.connection.attempt('read', (client) => client.mgetBuffer(...keys))
    return groups.filter((_, index) => records[index] != null).sort()
  }

  async write(
    card: Omit<GroupCard, 'complete'>,
    order: LoadOrder,
    rows: OnlineRows,
    life?: string,
  ): Promise<number> {
    checkStorageName('group', card.group)
    const orderBytes = encodeOrder(order)
    // All of it before the first write: a row that cannot be stored leaves nothing half done.
    const encoded = new EncodedRows(this.store, card, orderBytes, rows, nameOf)
    const { content, runId } = partsOf(life)
    if (runId !== undefined && (await this.connection.runId()) !== runId) throw contentLost(card.group)
    await this.change(card.group, (record) =>
      withCard(record, card, mergeCard(record?.stored ?? null, card, order, content)),
    )
    const args = [orderBytes, content ?? '', ...expiryOf(card, this.now())]
    return this.putAll(card.group, encoded, args)
  }

  async startLoad(card: Omit<GroupCard, 'complete'>, load: StartedLoad): Promise<LoadStart | null> {
    checkStorageName('group', card.group)
    encodeOrder(load.order)
    const runId = await this.connection.runId()
    let isFirst = false
    const changed = await this.change(card.group, (record) => {
      isFirst = record === null
      const merged = mergeStart(record?.stored ?? null, card, load)
      return merged === null ? null : withCard(record, card, merged)
    })
    if (changed === null) return null
    const { card: there, life } = changed.stored
    const unfinished = unfinishedOf(changed.stored, load)
    const isWorn = mustBeWhole(changed.stored)
    return {
      complete: there.complete,
      unfinished,
      isFirst,
      mustBeWhole: isWorn,
      life: `${life}${lifeSeparator}${runId}`,
    }
  }

  async finishLoad(group: string, mark: LoadMark, life?: string): Promise<void> {
    encodeOrder(mark.order)
    const { content, runId } = partsOf(life)
    const merge = (record: GroupRecord | null): GroupRecord => {
      const stored: StoredCard = mergeMark(record?.stored ?? null, group, mark, content)
      return { stored, schemas: record?.schemas ?? new Map() }
    }
    await this.change(group, merge, runId)
  }

  async fetch(asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]> {
    const answers: (GroupFound | null)[] = asks.map(() => null)
    let open = asks.flatMap((ask, place): Question[] => {
      // What holds a colon would be a value's key.
      if (!isStorageName(ask.group)) return []
      return [{ ask, place, known: this.records.get(ask.group) ?? null, isStale: false }]
    })
    while (open.length > 0) {
      const names = open.map((question) => this.namesOf(question))
      const found = await this.connection.mget(names.flat())
      let end = 0
      open = open.flatMap((question, index) => {
        const pieces = found.slice(end, (end += names[index]?.length ?? 0))
        const answer = this.judge(question, pieces)
        if (answer !== null && 'ask' in answer) return [answer]
        answers[question.place] = answer
        return []
      })
    }
    return answers
  }

  /** What tells whether the known record still stands, or the record itself; then the values' keys. */
  private namesOf({ ask: { group, keys }, known, isStale }: Question): string[] {
    const names = known === null || isStale ? [this.versionKey(group), this.recordKey(group)] : []
    if (known === null) return names
    // Records of before there were versions are told by themselves.
    if (!isStale) names.push(known.version === null ? this.recordKey(group) : this.versionKey(group))
    const prefix = storageKey(this.store, group, '')
    for (const text of keys(known.record.stored.card.keys)) names.push(prefix + nameOf(text))
    return names
  }

  /** What was asked and found of one group: its answer, or what has to be asked next. */
  private judge(question: Question, pieces: readonly (Buffer | null)[]): GroupFound | Question | null {
    const { ask, known, isStale } = question
    if (known !== null && !isStale) {
      const isKnown = pieces[0]?.equals(known.version ?? known.text) === true
      return isKnown ? foundOf(ask.group, known, pieces.slice(1)) : { ...question, isStale: true }
    }
    const there = this.remember(ask.group, pieces[0] ?? null, pieces[1] ?? null)
    if (there === null) return null
    const isAsked =
      known !== null && sameColumns(known.record.stored.card.keys, there.record.stored.card.keys)
    return isAsked
      ? foundOf(ask.group, there, pieces.slice(2))
      : { ...question, known: there, isStale: false }
  }

  /** Redis walks its keys in no order, and under a walk that takes long it may come by a key twice. */
  async *scan(group: string): AsyncGenerator<ScannedRow> {
    const prefix = storageKey(this.store, group, '')
    for await (const keys of this.scanKeys(prefix)) yield* await this.scannedRows(group, prefix, keys)
  }

  private async *scanKeys(prefix: string): AsyncGenerator<string[]> {
    const runId = await this.connection.runId()
    let cursor = '0'
    do {
      const at = cursor
      const [next, keys] = await this.connection.attempt('read', (client) =>
        client.scan(at, 'MATCH', `${prefix}*`, 'COUNT', keysPerScan),
      )
      if (keys.length > 0) yield keys
      cursor = next
    } while (cursor !== '0')
    // A cursor of another server means nothing: keys may have been passed over.
    if ((await this.connection.runId()) !== runId) {
      throw new UnavailableError(
        `online store ${this.connection.label} was restarted while its values were read. Start again.`,
      )
    }
  }

  async drop(group: string): Promise<number | null> {
    // What holds a colon, or what a scan takes for a pattern, would be keys of other groups.
    if (!isStorageName(group)) return null
    let removed: number | null = null
    for (;;) {
      const withdrawal = await this.change(group, (record) =>
        record === null ? null : { ...record, stored: withdrawn(record.stored) },
      )
      const count = await this.removeValues(group)
      if (count > 0 || withdrawal !== null) removed = (removed ?? 0) + count
      if (withdrawal === null) return removed
      // A load that has begun since may have written what was just removed: its life ends, too.
      const done = await this.swap(group, encodeRecord(withdrawal), null)
      if (done === swapped) return removed
    }
  }

  private async removeValues(group: string): Promise<number> {
    let removed = 0
    for await (const keys of this.scanKeys(storageKey(this.store, group, ''))) {
      removed += await this.connection.attempt('write', (client) => client.unlink(...keys))
    }
    return removed
  }

  close(): Promise<void> {
    this.connection.close()
    return Promise.resolve()
  }

  private async scannedRows(group: string, prefix: string, keys: readonly string[]): Promise<ScannedRow[]> {
    const own = keys.filter((key) => !isReserved(key.slice(prefix.length)))
    const names = [this.versionKey(group), this.recordKey(group), ...own]
    const [version = null, text = null, ...values] = await this.connection.mget(names)
    const known = this.remember(group, version, text)
    if (known === null) return []
    const { record } = known
    return own.flatMap((key, index) => {
      const bytes = values[index] ?? null
      if (bytes === null) return []
      const keyValues = parseKeyText(record.stored.card.keys, textOf(key.slice(prefix.length)))
      return [{ keys: keyValues, value: decode(record, group, bytes), order: decodeOrder(bytes) }]
    })
  }

  private async putAll(
    group: string,
    rows: EncodedRows,
    args: readonly (string | Buffer)[],
  ): Promise<number> {
    let next = 0
    let written = 0
    const work = async () => {
      while (next < rows.length) {
        const stretch = nextStretch(rows, next, { keys: keysPerCall, bytes: bytesPerCall })
        next = stretch.to
        const request = scriptRequest(putWinners.sha, this.recordKey(group), args, rows, stretch)
        const count = await this.connection.runWritten(putWinners, request)
        if (count === otherLife) throw contentLost(group)
        // After the await: the others count too.
        written += count
      }
    }
    await Promise.all(Array.from({ length: callsAtOnce }, work))
    return written
  }

  /**
   * Replaces a group's record by what `merge` makes of it, however many others do the same; null where it makes nothing.
   * @param runId the server that must do it; any where it is left out
   */
  private async change(
    group: string,
    merge: (record: GroupRecord | null) => GroupRecord | null,
    runId = '',
  ): Promise<GroupRecord | null> {
    for (;;) {
      const before = await this.fetchRecord(group)
      const after = merge(before?.record ?? null)
      if (after === null) return null
      const text = encodeRecord(after)
      if (runId === '' && before?.text.equals(Buffer.from(text)) === true) return after
      if (before === null) await this.connection.attempt('write', (client) => client.sadd(this.store, group))
      const done = await this.swap(group, before?.text ?? null, after, runId)
      if (done === otherServer) throw contentLost(group)
      if (done === swapped) return after
    }
  }

  /** Puts a record, or nothing, where another one stands, or nothing. @returns what `swapRecord` does */
  private swap(
    group: string,
    before: string | Buffer | null,
    after: GroupRecord | null,
    runId = '',
  ): Promise<number> {
    const keys = [this.recordKey(group), this.versionKey(group), storageKey(this.store, group, lastUpdated)]
    const text = after === null ? '' : encodeRecord(after)
    const version = after === null ? '' : recordVersion(text)
    const complete = after?.stored.card.complete ?? null
    const updated = complete === null ? '' : new Date(complete.loadedAtMs).toISOString()
    return this.connection.run(swapRecord, keys, [before ?? '', text, version, updated, runId])
  }

  private async fetchRecord(group: string): Promise<KnownRecord | null> {
    // What holds a colon would be a value's key.
    if (!isStorageName(group)) return null
    const key = this.recordKey(group)
    const [version = null, text = null] = await this.connection.mget([this.versionKey(group), key])
    // Of what is no string MGET says that nothing is there.
    if (text === null) await this.connection.attempt('read', (client) => client.strlen(key))
    return this.remember(group, version, text)
  }

  /** Parsed again only where its bytes have changed. */
  private remember(group: string, version: Buffer | null, text: Buffer | null): KnownRecord | null {
    const there = this.records.get(group)
    if (text === null) {
      this.records.delete(group)
      return null
    }
    const isThere = there?.text.equals(text) === true
    if (isThere && there.version?.toString() === version?.toString()) return there
    const known = { version, text, record: isThere ? there.record : decodeRecord(text.toString()) }
    this.records.set(group, known)
    return known
  }

  private recordKey(group: string): string {
    return `${this.store}:${group}`
  }

  private versionKey(group: string): string {
    return `${this.store}::${group}`
  }
}

/** What no entity has in its key. */
const lastUpdated = 'last_updated'
const isReserved = (name: string) => name === lastUpdated
/** What stands for a key text in a key. */
const nameOf = (text: string) => (text === lastUpdated ? `\\${text}` : text)
const textOf = (name: string) => (name === `\\${lastUpdated}` ? lastUpdated : name)

/** What `putWinners` is told of it. */
function expiryOf({ ttlMs }: Pick<GroupCard, 'ttlMs'>, nowMs: number): string[] {
  const kept = keptMs(ttlMs)
  return [kept === null ? '' : String(kept - nowMs), String(leastKeptMs), String(tombstoneKeptMs(ttlMs))]
}

const lifeSeparator = '@'

/** The card's life, and the server that it was written to. */
function partsOf(life: string | undefined): { content?: string; runId?: string } {
  const [content, runId] = life?.split(lifeSeparator) ?? []
  return { ...(content === undefined ? {} : { content }), ...(runId === undefined ? {} : { runId }) }
}

function foundOf(
  group: string,
  { record: { stored, schemas } }: KnownRecord,
  values: readonly (Buffer | null)[],
): GroupFound {
  return { card: stored.card, schemaOf: (tag) => schemaOf(schemas, group, tagText(tag)), values }
}

const sameColumns = (a: KeyColumns, b: KeyColumns) => JSON.stringify(a) === JSON.stringify(b)

function decode({ schemas }: GroupRecord, group: string, bytes: Buffer): StoredValue | null {
  const { tag, eventTimestampMicros } = decodeHeader(bytes)
  if (tag === null) return null
  const schema = schemaOf(schemas, group, tag)
  return { eventTimestampMicros, schema, values: decodeBody(schema, bytes) }
}

function schemaOf(schemas: GroupRecord['schemas'], group: string, tag: string): ValueSchema {
  const schema = schemas.get(tag)
  if (schema !== undefined) return schema
  throw new IntegrityError(`group ${group}: a value has schema ${tag}, which the store does not keep.`, {
    group,
    tag,
  })
}
