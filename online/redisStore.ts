/** What a store in one Redis (`redis.ts`) and one in a cluster (`redisCluster.ts`) have in common. */
import { IntegrityError } from '../model/index.ts'
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
import { AskedTogether } from './askedTogether.ts'
import { checkStorageName, parseKeyText, storageKey, type KeyColumns } from './key.ts'
import type { RedisOptions, Servers } from './redisConnection.ts'
import { isMark } from './redisMarks.ts'
import { otherServer, swapped } from './redisScripts.ts'
import { checkStoredId, isSlotId, isStoredId, valuesName } from './slotId.ts'
import { slotOf } from './slots.ts'
import type {
  GroupCard,
  LoadMark,
  LoadOrder,
  LoadStart,
  GroupAsk,
  GroupFound,
  OnlineStore,
  ScannedRow,
  SlotPlace,
  StartedLoad,
  StoredValue,
  ValueSchema,
} from './store.ts'
import { decodeBody, decodeHeader, decodeOrder, encodeOrder, tagText } from './value.ts'

const keysPerScan = 1_000

export interface KnownRecord {
  readonly text: Buffer
  /** Null for a record that was put before there were versions. */
  readonly version: Buffer | null
  readonly record: GroupRecord
}

/** Rows to be put. */
export interface Put {
  readonly rows: EncodedRows
  readonly order: Buffer
  /** That the group must have; any where it is empty. */
  readonly life: string
  /** What the script is told of it. */
  readonly expiry: readonly string[]
  /** Of a slot. */
  readonly slot: SlotPlace | undefined
}

/** One record in the place of another one; nothing is null. */
export interface Swap {
  readonly before: string | Buffer | null
  readonly after: GroupRecord | null
  /** The server that must do it. */
  readonly runId?: string
}

/** What is asked of a group, and what was known of it then. */
export interface Question {
  readonly ask: GroupAsk
  /** Among what is asked at once. */
  readonly place: number
  readonly known: KnownRecord | null
  /** Another record stands there by now. */
  readonly isStale: boolean
}

export abstract class RedisStore implements OnlineStore {
  readonly name: string
  readonly expires = true
  protected readonly store: string
  private readonly now: () => number
  private readonly servers: Servers
  private readonly records = new Map<string, KnownRecord>()

  constructor(options: RedisOptions, servers: Servers) {
    checkStorageName('store', options.store)
    this.name = options.name ?? 'redis'
    this.store = options.store
    this.now = options.now ?? Date.now
    this.servers = servers
  }

  abstract fetch(asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]>
  /** @throws UnavailableError where the group's life is another */
  protected abstract putAll(group: string, put: Put): Promise<number>
  /** @returns in how many of them the slot was */
  protected abstract emptyAll(keys: readonly string[], slot: SlotPlace): Promise<number>
  /** @returns what `swapRecord` does */
  protected abstract swap(group: string, swap: Swap): Promise<number>

  async readCard(group: string): Promise<GroupCard | null> {
    return (await this.fetchRecord(group))?.record.stored.card ?? null
  }

  async unfinishedLoads(group: string): Promise<readonly StartedLoad[]> {
    const known = await this.fetchRecord(group)
    return known === null ? [] : unfinishedOf(known.record.stored, null)
  }

  listGroups(): Promise<string[]> {
    return this.list((id) => !isSlotId(id))
  }

  listSlots(): Promise<string[]> {
    return this.list(isSlotId)
  }

  private async list(isWanted: (id: string) => boolean): Promise<string[]> {
    const all = await this.servers.attempt('read', (client) => client.smembers(this.store))
    const wanted = all.filter(isWanted)
    const records = await this.servers.getEach(wanted.map((id) => this.recordKey(id)))
    return wanted.filter((_, index) => records[index] != null).sort()
  }

  async write(
    card: Omit<GroupCard, 'complete'>,
    order: LoadOrder,
    rows: OnlineRows,
    life?: string,
  ): Promise<number> {
    checkStoredId(card.group)
    const orderBytes = encodeOrder(order)
    // All of it before the first write: a row that cannot be stored leaves nothing half done.
    const encoded = new EncodedRows(this.store, card, orderBytes, rows, nameOf)
    const { content, runId } = partsOf(life)
    if (runId !== undefined && (await this.servers.runId()) !== runId) throw contentLost(card.group)
    await this.change(card.group, (record) =>
      withCard(record, card, mergeCard(record?.stored ?? null, card, order, content)),
    )
    const expiry = expiryOf(card, this.now())
    const put = { rows: encoded, order: orderBytes, life: content ?? '', expiry, slot: card.slot }
    return this.putAll(card.group, put)
  }

  async startLoad(card: Omit<GroupCard, 'complete'>, load: StartedLoad): Promise<LoadStart | null> {
    checkStoredId(card.group)
    encodeOrder(load.order)
    const runId = await this.servers.runId()
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

  /** What is asked first. */
  protected questionsOf(asks: readonly GroupAsk[]): Question[] {
    const questions: Question[] = []
    for (const [place, ask] of asks.entries()) {
      const known = this.records.get(ask.group) ?? null
      // What holds a colon would be a value's key.
      if (known === null && !isStoredId(ask.group)) continue
      questions.push({ ask, place, known, isStale: false })
    }
    return questions
  }

  /**
   * What tells whether the known record still stands, or the record itself; then the values' keys.
   * @param together the keys that others have named already are left out
   */
  protected namesOf(question: Question, together: AskedTogether<Question>): string[] {
    const { ask, known, isStale } = question
    const { group, keys } = ask
    const names = known === null || isStale ? [this.versionKey(group), this.recordKey(group)] : []
    if (known === null) return names
    // Records of before there were versions are told by themselves.
    if (!isStale) names.push(known.version === null ? this.recordKey(group) : this.versionKey(group))
    const { card } = known.record.stored
    const texts = keys(card.keys)
    if (card.slot !== undefined && together.join(question, group, texts, names.length)) return names
    const prefix = this.prefixOf(group)
    for (const text of texts) names.push(prefix + nameOf(text))
    return names
  }

  /** What was asked and found of one group: its answer, or what has to be asked next. */
  protected judge(question: Question, pieces: readonly (Buffer | null)[]): Found | Question | null {
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
    const prefix = this.prefixOf(group)
    for await (const keys of this.servers.scanKeys(`${prefix}*`, keysPerScan)) {
      yield* await this.scannedRows(group, prefix, keys)
    }
  }

  async drop(group: string): Promise<number | null> {
    // What holds a colon, or what a scan takes for a pattern, would be keys of other groups.
    if (!isStoredId(group)) return null
    let removed: number | null = null
    for (;;) {
      const withdrawal = await this.change(group, (record) =>
        record === null ? null : { ...record, stored: withdrawn(record.stored) },
      )
      if (withdrawal !== null) await this.settled()
      const count = await this.removeValues(group, withdrawal?.stored.card.slot)
      if (count > 0 || withdrawal !== null) removed = (removed ?? 0) + count
      if (withdrawal === null) return removed
      // A load that has begun since may have written what was just removed: its life ends, too.
      const done = await this.swap(group, { before: encodeRecord(withdrawal), after: null })
      if (done === swapped) return removed
    }
  }

  /** @param slot of a slot; where nothing is known of it any more its values cannot be told from others */
  private async removeValues(group: string, slot: SlotPlace | undefined): Promise<number> {
    let removed = 0
    const [own, values] = [storageKey(this.store, group, ''), this.prefixOf(group)]
    for await (const keys of this.servers.scanKeys(`${own}*`, keysPerScan)) {
      const reserved = keys.filter((key) => isReserved(key.slice(own.length)))
      const rest = keys.filter((key) => !reserved.includes(key))
      if (reserved.length > 0) await this.servers.unlink(reserved)
      if (rest.length > 0) removed += await this.servers.unlink(rest)
    }
    if (slot === undefined) return removed
    for await (const keys of this.servers.scanKeys(`${values}*`, keysPerScan)) {
      removed += await this.emptyAll(keys, slot)
    }
    return removed
  }

  /** Comes back when no load of a life that has ended writes any more. */
  protected settled(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.servers.close()
    return Promise.resolve()
  }

  private async scannedRows(group: string, prefix: string, keys: readonly string[]): Promise<ScannedRow[]> {
    const own = keys.filter((key) => !isReserved(key.slice(prefix.length)))
    const values = await this.servers.getEach(own)
    // After its values, for a load announces a schema before it writes the first of them.
    const known = await this.fetchRecord(group)
    if (known === null) return []
    const { record } = known
    const found = ownValues(record.stored.card, values)
    return own.flatMap((key, index) => {
      const bytes = found[index] ?? null
      if (bytes === null) return []
      const keyValues = parseKeyText(record.stored.card.keys, textOf(key.slice(prefix.length)))
      return [{ keys: keyValues, value: decode(record, group, bytes), order: decodeOrder(bytes) }]
    })
  }

  /**
   * Replaces a group's record by what `merge` makes of it, however many others do the same; null where it makes nothing.
   * @param runId the server that must do it; any where it is left out
   */
  protected async change(
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
      if (before === null) await this.servers.attempt('write', (client) => client.sadd(this.store, group))
      const done = await this.swap(group, { before: before?.text ?? null, after, runId })
      if (done === otherServer) throw contentLost(group)
      if (done === swapped) return after
    }
  }

  protected async fetchRecord(group: string): Promise<KnownRecord | null> {
    // What holds a colon would be a value's key.
    if (!isStoredId(group)) return null
    const key = this.recordKey(group)
    const [version = null, text = null] = await this.servers.mget([this.versionKey(group), key])
    // Of what is no string MGET says that nothing is there.
    if (text === null) await this.servers.attempt('read', (client) => client.strlen(key))
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

  /** What the keys of all values of a group begin with. */
  private prefixOf(group: string): string {
    return storageKey(this.store, valuesName(group), '')
  }

  protected recordKey(group: string): string {
    return `${this.store}:${group}`
  }

  protected versionKey(group: string): string {
    return `{${this.store}:${group}}`
  }
}

/** What no entity has in its key. */
export const lastUpdated = 'last_updated'
const isReserved = (name: string) => name === lastUpdated || isMark(name)
/** What stands for a key text in a key. */
const nameOf = (text: string) => (text === lastUpdated ? `\\${text}` : text)
export const textOf = (name: string) => (name === `\\${lastUpdated}` ? lastUpdated : name)

/** What the script is told of it. */
function expiryOf({ ttlMs }: Pick<GroupCard, 'ttlMs'>, nowMs: number): string[] {
  const kept = keptMs(ttlMs)
  return [kept === null ? '' : String(kept - nowMs), String(leastKeptMs), String(tombstoneKeptMs(ttlMs))]
}

export const lifeSeparator = '@'

/** The card's life, and the server that it was written to. */
export function partsOf(life: string | undefined): { content?: string; runId?: string } {
  const [content, runId] = life?.split(lifeSeparator) ?? []
  return { ...(content === undefined ? {} : { content }), ...(runId === undefined ? {} : { runId }) }
}

/** What `swapRecord` puts; empty for nothing. */
export function textsOf(record: GroupRecord | null): { text: string; version: string; updated: string } {
  if (record === null) return { text: '', version: '', updated: '' }
  const text = encodeRecord(record)
  const { complete } = record.stored.card
  const updated = complete === null ? '' : new Date(complete.loadedAtMs).toISOString()
  return { text, version: recordVersion(text), updated }
}

export interface Found extends GroupFound {
  readonly life: string
}

function foundOf(
  group: string,
  { record: { stored, schemas } }: KnownRecord,
  values: readonly (Buffer | null)[],
): Found {
  return {
    card: stored.card,
    life: stored.life,
    schemaOf: (tag) => schemaOf(schemas, group, tagText(tag)),
    values: ownValues(stored.card, values),
  }
}

/** Of values that slots share, those of one. */
const ownValues = ({ slot }: GroupCard, values: readonly (Buffer | null)[]): readonly (Buffer | null)[] =>
  slot === undefined ? values : values.map((bytes) => (bytes === null ? null : slotOf(bytes, slot)))

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
