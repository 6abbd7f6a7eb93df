/**
 * The embedded online store: one LMDB environment in one folder, shared by processes. One of them writes at a time,
 * any number read at once, and every read sees the newest commit.
 *
 * Three sub-databases, all keyed with the store's name first, so that two stores never meet in one folder:
 *
 * | sub-database | key | value |
 * |---|---|---|
 * | `cards` | `<store>:<group>` | the card (`card.ts`) |
 * | `schemas` | `<store>:<group>:<tag>` | the features of that tag, as JSON |
 * | `values` | `<store>:<group>:<key text>` (`key.ts`) | the value (`value.ts`) |
 * | `values` | `<store>:<service>_<tag>!:<key text>` | the slots of a pre-joined service (`slotId.ts`, `slots.ts`) |
 *
 * A batch is compared and written inside one write transaction, so two loads at once cannot pass each other.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { AsofError, InputError, IntegrityError } from '../model/index.ts'
import {
  decodeCard,
  encodeCard,
  mergeCard,
  mergeMark,
  mergeStart,
  unfinishedOf,
  withdrawn,
  type StoredCard,
} from './card.ts'
import { EncodedRows } from './encodedRows.ts'
import type { OnlineRows } from './columns.ts'
import { checkStorageName, parseKeyText, storageKey } from './key.ts'
import { emptyPage, slotsAmong, type EmptiedPage, type SharedValues } from './lmdbSlots.ts'
import {
  checkFolder,
  makeFolder,
  openTables,
  unavailable,
  type KeyRange,
  type LmdbOptions,
  type Table,
  type Tables,
} from './lmdbTables.ts'
import { checkStoredId, isSlotId, isStoredId, valuesName } from './slotId.ts'
import { slotOf, withSlot } from './slots.ts'
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
import { decodeBody, decodeHeader, decodeOrder, encodeOrder, orderBytes, tagText } from './value.ts'

interface ScanPage {
  readonly rows: readonly ScannedRow[]
  /** Null after the last page. */
  readonly last: Buffer | null
}

/** Rows of one transaction: long enough to be quick, short enough for the event loop and for other writers. */
const rowsPerTransaction = 10_000
const rowsPerScan = 1000
/**
 * Rows of which one look says that none is stored yet. A divisor of DuckDB's 2,048 rows a chunk: chunks come from several
 * places of the table by turns, and a stretch of two of them would reach over all that is stored between.
 */
const rowsPerLook = 1024

/**
 * Opens the store.
 *
 * @throws UnavailableError where the folder is missing (for a reader), cannot be made or must not be used
 */
export function openLmdb(options: LmdbOptions): OnlineStore {
  checkStorageName('store', options.store)
  return new LmdbStore(options)
}

class LmdbStore implements OnlineStore {
  readonly name = 'lmdb'
  private readonly options: LmdbOptions
  private opened: Tables | null = null
  private closed = false
  private readonly schemas = new Map<string, ValueSchema>()
  private readonly cards = new Map<string, { readonly text: Buffer; readonly stored: StoredCard }>()

  constructor(options: LmdbOptions) {
    this.options = options
    if (options.readOnly === true) checkFolder(options)
    else {
      makeFolder(options)
      this.tables()
    }
  }

  readCard(group: string): Promise<GroupCard | null> {
    return this.attempt('read', (tables) => this.storedCard(tables, group)?.card ?? null)
  }

  async listGroups(): Promise<string[]> {
    return (await this.listAll()).filter((id) => !isSlotId(id))
  }

  async listSlots(): Promise<string[]> {
    return (await this.listAll()).filter(isSlotId)
  }

  private async listAll(): Promise<string[]> {
    const prefix = `${this.options.store}:`
    const keys = await this.attempt('read', ({ cards }) =>
      Array.from(cards.getKeys(rangeOf(prefix)), (key) => key.toString().slice(prefix.length)),
    )
    return keys ?? []
  }

  async write(
    card: Omit<GroupCard, 'complete'>,
    order: LoadOrder,
    rows: OnlineRows,
    life?: string,
  ): Promise<number> {
    checkStoredId(card.group)
    const orderPrefix = encodeOrder(order)
    // All of it before the first write: a row that cannot be stored leaves nothing half done.
    const encoded = new EncodedRows(this.options.store, card, orderPrefix, rows)
    let written = 0
    let start = 0
    do {
      if (start > 0) await nextTurn()
      const from = start
      written += await this.transact((tables) => {
        // The card of the first values comes with them: nobody finds a value and cannot read it.
        this.writeCard(tables, card, order, life)
        return writeWinners(tables.values, orderPrefix, encoded, from, from + rowsPerTransaction, card.slot)
      })
      start += rowsPerTransaction
    } while (start < encoded.length)
    return written
  }

  startLoad(card: Omit<GroupCard, 'complete'>, load: StartedLoad): Promise<LoadStart | null> {
    checkStoredId(card.group)
    encodeOrder(load.order)
    return this.transact((tables) => {
      const stored = this.storedCard(tables, card.group)
      const merged = mergeStart(stored, card, load)
      if (merged === null) return null
      this.putCard(tables, card, merged, stored)
      const unfinished = unfinishedOf(merged, load)
      const { card: there, life } = merged
      const { complete } = there
      return { complete, unfinished, isFirst: stored === null, mustBeWhole: complete === null, life }
    })
  }

  async finishLoad(group: string, mark: LoadMark, life?: string): Promise<void> {
    encodeOrder(mark.order)
    await this.transact((tables) => {
      const stored = this.storedCard(tables, group)
      const merged = mergeMark(stored, group, mark, life)
      if (merged !== stored) tables.cards.putSync(this.cardKey(group), Buffer.from(encodeCard(merged)))
    })
  }

  async unfinishedLoads(group: string): Promise<readonly StartedLoad[]> {
    const stored = await this.attempt('read', (tables) => this.storedCard(tables, group))
    return stored === null ? [] : unfinishedOf(stored, null)
  }

  async fetch(asks: readonly GroupAsk[]): Promise<(GroupFound | null)[]> {
    const found = await this.attempt('read', (tables) => {
      const shared: SharedValues[] = []
      return asks.map((ask) => this.found(tables, ask, shared))
    })
    return found ?? asks.map(() => null)
  }

  /** @param shared the values of slots that were looked up already */
  private found(tables: Tables, { group, keys }: GroupAsk, shared: SharedValues[]): GroupFound | null {
    const stored = this.storedCard(tables, group)
    if (stored === null) return null
    const { card } = stored
    const texts = keys(card.keys)
    const lookUp = () => texts.map((text) => tables.values.getBinary(this.valueKey(group, text)) ?? null)
    const { slot } = card
    const values = slot === undefined ? lookUp() : slotsAmong(shared, group, texts, slot, lookUp)
    return { card, schemaOf: (tag) => this.schemaOf(tables, group, tagText(tag)), values }
  }

  async count(group: string): Promise<number | null> {
    if (isSlotId(group)) return null
    const { start, end } = this.rangeOfValues(group)
    return (await this.attempt('read', ({ values }) => values.getKeysCount({ start, end }))) ?? 0
  }

  async *scan(group: string): AsyncGenerator<ScannedRow> {
    let after: Buffer | null = null
    for (;;) {
      const page: ScanPage | null = await this.attempt('read', (tables) =>
        this.scanPage(tables, group, after),
      )
      if (page === null || page.last === null) return
      yield* page.rows
      after = page.last
    }
  }

  async drop(group: string): Promise<number | null> {
    // What holds a colon would be the beginning of another group's keys.
    if (!isStoredId(group)) return null
    let removed: number | null = null
    for (;;) {
      const card = await this.transact((tables) => this.withdraw(tables, group))
      const count = isSlotId(group)
        ? await this.emptySlots(group, card?.card.slot)
        : await this.removeValues(group)
      if (count > 0 || card !== null) removed = (removed ?? 0) + count
      // A load that has begun since may have written what was just removed: its life ends, too.
      if (card === null || (await this.transact((tables) => this.forget(tables, group, card.life)))) {
        return removed
      }
    }
  }

  private async removeValues(group: string): Promise<number> {
    for (let removed = 0; ;) {
      await nextTurn()
      const count = await this.transact(({ values }) => removeAll(values, this.rangeOfValues(group)))
      if (count === 0) return removed
      removed += count
    }
  }

  /** @param slot unknown where the card is gone, with which its values went */
  private async emptySlots(group: string, slot: SlotPlace | undefined): Promise<number> {
    let emptied = 0
    let after: Buffer | null = null
    while (slot !== undefined) {
      await nextTurn()
      const range = { ...this.rangeOfValues(group), ...behind(after), limit: rowsPerTransaction }
      const page: EmptiedPage = await this.transact(({ values }) => emptyPage(values, range, slot))
      if (page.last === null) break
      emptied += page.emptied
      after = page.last
    }
    return emptied
  }

  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    await this.opened?.root.close()
  }

  /** The next rows after a key; short pages, so that a slow consumer holds no read transaction. */
  private scanPage(tables: Tables, group: string, after: Buffer | null): ScanPage | null {
    const stored = this.storedCard(tables, group)
    if (stored === null) return null
    const prefix = this.valueKey(group, '')
    const range = { ...this.rangeOfValues(group), ...behind(after), limit: rowsPerScan }
    const { slot } = stored.card
    const rows: ScannedRow[] = []
    let last: Buffer | null = null
    for (const { key, value } of tables.values.getRange(range)) {
      last = key
      const bytes = slot === undefined ? value : slotOf(value, slot)
      if (bytes === null) continue
      const keys = parseKeyText(stored.card.keys, key.toString('utf8', prefix.length))
      rows.push({ keys, value: this.decode(tables, group, bytes), order: decodeOrder(bytes) })
    }
    return { rows, last }
  }

  /** @returns the card that stands there then; null where there is none */
  private withdraw(tables: Tables, group: string): StoredCard | null {
    const stored = this.storedCard(tables, group)
    if (stored === null) return null
    const card = withdrawn(stored)
    tables.cards.putSync(this.cardKey(group), Buffer.from(encodeCard(card)))
    return card
  }

  /**
   * Removes a withdrawn card, if no load has begun since and no value is there. (Of a slot that would mean to look into
   * all values that it shares: whoever writes to it belongs to a load.)
   */
  private forget(tables: Tables, group: string, life: string): boolean {
    const stored = this.storedCard(tables, group)
    if (stored?.life !== life || stored.started.length > 0) return false
    const [value] = isSlotId(group) ? [] : tables.values.getKeys({ ...this.rangeOfValues(group), limit: 1 })
    if (value !== undefined) return false
    tables.cards.removeSync(this.cardKey(group))
    removeAll(tables.schemas, rangeOf(this.schemaKey(group, '').toString()))
    return true
  }

  private rangeOfValues(group: string): KeyRange {
    return rangeOf(this.valueKey(group, '').toString())
  }

  private writeCard(
    tables: Tables,
    card: Omit<GroupCard, 'complete'>,
    order: LoadOrder,
    life?: string,
  ): void {
    const stored = this.storedCard(tables, card.group)
    this.putCard(tables, card, mergeCard(stored, card, order, life), stored)
  }

  private putCard(
    tables: Tables,
    card: Omit<GroupCard, 'complete'>,
    merged: StoredCard,
    stored: StoredCard | null,
  ): void {
    const { tag, features } = card.schema
    const key = this.schemaKey(card.group, tag)
    const text = Buffer.from(JSON.stringify(features))
    const there = tables.schemas.getBinary(key)
    if (there !== undefined && !there.equals(text)) {
      throw new IntegrityError(
        `group ${card.group}: two schemas have the tag ${tag}. Rename one of the new features.`,
        { group: card.group, tag },
      )
    }
    if (there === undefined) tables.schemas.putSync(key, text)
    const written = encodeCard(merged)
    if (stored !== null && written === encodeCard(stored)) return
    tables.cards.putSync(this.cardKey(card.group), Buffer.from(written))
  }

  private decode(tables: Tables, group: string, bytes: Buffer): StoredValue | null {
    const { tag, eventTimestampMicros } = decodeHeader(bytes)
    if (tag === null) return null
    const schema = this.schemaOf(tables, group, tag)
    return { eventTimestampMicros, schema, values: decodeBody(schema, bytes) }
  }

  private schemaOf(tables: Tables, group: string, tag: string): ValueSchema {
    const name = `${group}:${tag}`
    const known = this.schemas.get(name)
    if (known !== undefined) return known
    const text = tables.schemas.getBinary(this.schemaKey(group, tag))
    if (text === undefined) {
      throw new IntegrityError(`group ${group}: a value has schema ${tag}, which the store does not keep.`, {
        group,
        tag,
      })
    }
    const schema = { tag, features: JSON.parse(text.toString()) as ValueSchema['features'] }
    this.schemas.set(name, schema)
    return schema
  }

  /** Cards are parsed again only where their bytes have changed. */
  private storedCard({ cards }: Tables, group: string): StoredCard | null {
    const text = cards.getBinary(this.cardKey(group))
    if (text === undefined) return null
    const known = this.cards.get(group)
    if (known !== undefined && known.text.equals(text)) return known.stored
    const stored = decodeCard(text.toString())
    this.cards.set(group, { text, stored })
    return stored
  }

  private cardKey(group: string): Buffer {
    return Buffer.from(`${this.options.store}:${group}`)
  }

  private schemaKey(group: string, tag: string): Buffer {
    return Buffer.from(storageKey(this.options.store, group, tag))
  }

  private valueKey(group: string, text: string): Buffer {
    return Buffer.from(storageKey(this.options.store, valuesName(group), text))
  }

  private async transact<T>(work: (tables: Tables) => T): Promise<T> {
    if (this.options.readOnly === true) {
      throw new InputError(
        `online store ${this.options.path} was opened to read only. Open it without readOnly.`,
      )
    }
    const done = await this.attempt('write', (tables) =>
      tables.root.transactionSync(() => ({ result: work(tables) })),
    )
    if (done === null) throw new IntegrityError(`online store ${this.options.path}: a writer has no tables.`)
    return done.result
  }

  /** Null where nothing was ever written. Asof's own errors pass; whatever LMDB says is a store that does not answer. */
  private attempt<T>(what: 'read' | 'write', work: (tables: Tables) => T | null): Promise<T | null> {
    return new Promise((resolve) => {
      try {
        const tables = this.tables()
        if (what === 'read') tables?.root.resetReadTxn()
        resolve(tables === null ? null : work(tables))
      } catch (error) {
        if (error instanceof AsofError) throw error
        throw unavailable(this.options, `cannot ${what}`, error)
      }
    })
  }

  /** Opens on first use: before the first write a reader finds no database, or one without its tables. */
  private tables(): Tables | null {
    const { options } = this
    if (this.closed) throw unavailable(options, 'was closed', null)
    if (this.opened !== null) return this.opened
    if (options.readOnly === true && !existsSync(join(options.path, 'data.mdb'))) return null
    try {
      this.opened = openTables(options)
    } catch (error) {
      throw unavailable(options, 'cannot open', error)
    }
    return this.opened
  }
}

/** Puts the rows from one place to another whose order is greater than what is stored; how many those were. */
function writeWinners(
  values: Table,
  order: Buffer,
  rows: EncodedRows,
  from: number,
  to: number,
  slot: SlotPlace | undefined,
): number {
  const last = Math.min(to, rows.length)
  let written = 0
  let end = from
  let isNew = false
  for (let index = from; index < last; index++) {
    if (index === end) {
      end = endOfOrder(rows, index, Math.min(last, index + rowsPerLook))
      isNew = nothingBetween(values, rows.key(index), rows.key(end - 1))
    }
    const key = rows.key(index)
    const there = isNew ? undefined : slot === undefined ? values.getBinaryFast(key) : values.getBinary(key)
    const own = there === undefined || slot === undefined ? there : slotOf(there, slot)
    if (own != null && order.compare(own, 0, orderBytes) <= 0) continue
    const value = rows.value(index)
    values.putSync(key, slot === undefined ? value : withSlot(there ?? null, slot, value))
    written++
  }
  return written
}

/** The place behind the rows that stand in strict order of their keys. */
function endOfOrder(rows: EncodedRows, from: number, to: number): number {
  for (let index = from + 1; index < to; index++) if (!rows.isInOrder(index)) return index
  return to
}

/** One look instead of one for every row: loads mostly come in the order of the keys, and the first finds nothing there. */
function nothingBetween(values: Table, start: Buffer, end: Buffer): boolean {
  const [there] = values.getKeys({ start, end, inclusiveEnd: true, limit: 1 })
  return there === undefined
}

/** Removes the first entries of a range, as many as one transaction may; how many those were. */
function removeAll(table: Table, range: KeyRange): number {
  const keys = Array.from(table.getKeys({ ...range, limit: rowsPerTransaction }))
  for (const key of keys) table.removeSync(key)
  return keys.length
}

/** What of a range is left behind a key; all of it without one. */
const behind = (key: Buffer | null) => (key === null ? {} : { start: key, exclusiveStart: true })

/** All keys that start with a prefix that ends in a colon: the next character is a semicolon. */
function rangeOf(prefix: string): KeyRange {
  return { start: Buffer.from(prefix), end: Buffer.from(`${prefix.slice(0, -1)};`) }
}
