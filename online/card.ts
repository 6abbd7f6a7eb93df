/**
 * A group's card as a store keeps it: JSON with the order of the load that wrote it and the loads that have no end yet,
 * and the rules that keep late loads from taking it back.
 */
import { randomUUID } from 'node:crypto'
import { InputError, IntegrityError, shapeOf, UnavailableError } from '../model/index.ts'
import { shorterTtl } from './expiry.ts'
import { isSlotId } from './slotId.ts'
import type { FeatureValue, GroupCard, LoadMark, LoadOrder, ScalarValue, StartedLoad } from './store.ts'
import { compareOrder, schemaTag } from './value.ts'

const format = 1

export interface StoredCard {
  readonly card: GroupCard
  /** The load that last wrote everything but `complete`. */
  readonly writtenBy: LoadOrder
  /** Made up with the card: another one means that the store was emptied in between. */
  readonly life: string
  /** Loads that started and did not finish. */
  readonly started: readonly RememberedLoad[]
  /** The shortest ttl under which values may have expired since all were last loaded; null where none has. */
  readonly leastTtlMs: number | null
}

interface RememberedLoad extends StartedLoad {
  /** Of one that loads every entity: the ttl that it writes them under. */
  readonly whole?: { readonly ttlMs: number | null }
  /** A load of a later table has ended since. */
  readonly outlived?: boolean
}

/**
 * What a store keeps after a load of `order` has brought `card`; a smaller order changes nothing.
 * @param life the one that the load began in: in another one nobody knows of the load
 */
export function mergeCard(
  stored: StoredCard | null,
  card: Omit<GroupCard, 'complete'>,
  order: LoadOrder,
  life?: string,
): StoredCard {
  checkCard(card)
  if (life !== undefined && stored?.life !== life) throw contentLost(card.group)
  if (stored === null) {
    const leastTtlMs = card.ttlMs
    return {
      card: { ...card, complete: null },
      writtenBy: order,
      life: randomUUID(),
      started: [],
      leastTtlMs,
    }
  }
  const columns = ({ keys }: Pick<GroupCard, 'keys'>) =>
    keys.map(({ name, type }) => `${name}: ${type}`).join(', ')
  if (columns(stored.card) !== columns(card)) {
    throw new InputError(
      `group ${card.group}: the online store has it with keys (${columns(stored.card)}), this load with (${columns(card)}). Give the group a new version.`,
      { group: card.group },
    )
  }
  const leastTtlMs = shorterTtl(stored.leastTtlMs, card.ttlMs)
  if (compareOrder(order, stored.writtenBy) >= 0) {
    return { ...stored, card: { ...card, complete: stored.card.complete }, writtenBy: order, leastTtlMs }
  }
  return leastTtlMs === stored.leastTtlMs ? stored : { ...stored, leastTtlMs }
}

/** What a store keeps when a load starts; null where one of a greater order has started or finished. */
export function mergeStart(
  stored: StoredCard | null,
  card: Omit<GroupCard, 'complete'>,
  load: StartedLoad,
): StoredCard | null {
  const merged = mergeCard(stored, card, load.order)
  const others = merged.started.filter(({ order }) => compareOrder(order, load.order) !== 0)
  const newest = [...others, ...(merged.card.complete === null ? [] : [merged.card.complete])]
  if (newest.some(({ order }) => compareOrder(order, load.order) > 0)) return null
  const whole = mustBeWhole(merged) ? { whole: { ttlMs: card.ttlMs } } : {}
  return { ...merged, started: [...others, { ...load, ...whole }] }
}

/** Whether only a load of every entity is right: none was ever complete, or a value may have expired too early. */
export function mustBeWhole({ card: { complete, ttlMs }, leastTtlMs }: StoredCard): boolean {
  // The least is never longer than the card's own.
  return complete === null || leastTtlMs !== ttlMs
}

/** What a load is told of the others; without one, all of them. */
export const unfinishedOf = ({ started }: StoredCard, own: StartedLoad | null): StartedLoad[] =>
  started.flatMap(({ snapshotId, order }) =>
    own !== null && compareOrder(order, own.order) === 0 ? [] : [{ snapshotId, order }],
  )

/** What a store keeps after a complete load. Of two marks of one order the later one stays. */
export function mergeMark(
  stored: StoredCard | null,
  group: string,
  mark: LoadMark,
  life?: string,
): StoredCard {
  if (life !== undefined && stored?.life !== life) throw contentLost(group)
  if (stored === null) {
    throw new InputError(`group ${group}: nothing was ever written. Call write before finishLoad.`, { group })
  }
  const started = stored.started.flatMap((load) => stillUnfinished(load, mark.order))
  const whole = stored.started.find(({ order }) => compareOrder(order, mark.order) === 0)?.whole
  const leastTtlMs = whole === undefined ? stored.leastTtlMs : shorterTtl(whole.ttlMs, stored.card.ttlMs)
  const isSame = started.length === 0 && stored.started.length === 0
  const ended = isSame ? stored : { ...stored, started, leastTtlMs }
  const before = stored.card.complete
  if (before !== null) {
    const order = compareOrder(mark.order, before.order)
    if (order < 0 || (order === 0 && mark.loadedAtMs <= before.loadedAtMs)) return ended
  }
  return { ...ended, card: { ...stored.card, complete: mark } }
}

/** What stands in a card's place while its values are removed: no load that has begun may write or be marked any more. */
export const withdrawn = (stored: StoredCard): StoredCard => ({
  ...stored,
  card: { ...stored.card, complete: null },
  life: randomUUID(),
  started: [],
})

/**
 * A load looks at whatever the loads before it may have written, so its end is theirs too. It cannot look into a table
 * that is gone: what a load of that one still writes, the load after the next one finds.
 */
function stillUnfinished(load: RememberedLoad, ended: LoadOrder): RememberedLoad[] {
  if (compareOrder(load.order, ended) > 0) return [load]
  const { outlived = false } = load
  if (load.order.incarnation === ended.incarnation) return outlived ? [load] : []
  return outlived ? [] : [{ ...load, outlived: true }]
}

/** A mark would claim values that are gone. */
export function contentLost(group: string): UnavailableError {
  return new UnavailableError(
    `group ${group}: the online store was restarted or emptied while the load ran, so what was written may be lost. Load the group again.`,
    { group },
  )
}

function checkCard({ group, schema, slot }: Omit<GroupCard, 'complete'>): void {
  if (isSlotId(group) !== (slot !== undefined)) {
    throw new InputError(
      `group ${group}: ${slot === undefined ? 'a slot whose place is not said' : 'a place among slots, and the id of a group'}. Make slots with slotsOf().`,
      { group },
    )
  }
  const tag = schemaTag(schema.features)
  if (schema.tag !== tag) {
    throw new InputError(
      `group ${group}: schema tag ${schema.tag} is not that of its features (${tag}). Make schemas with valueSchema().`,
      { group, tag: schema.tag },
    )
  }
}

/** 64-bit integers become strings of digits. */
export function encodeCard(stored: StoredCard): string {
  return JSON.stringify({ format, ...stored }, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  )
}

/** @throws IntegrityError where the text is no card of this format. */
export function decodeCard(text: string): StoredCard {
  return readCard(JSON.parse(text) as WrittenCard)
}

/** The same from parsed JSON. */
export function readCard({
  format: found,
  card,
  writtenBy,
  life = '',
  started = [],
  leastTtlMs = null,
}: WrittenCard): StoredCard {
  if (found !== format) {
    throw new IntegrityError(
      `online store: a card has format ${String(found)}, expected ${format}. Load the group again with this version of Asof.`,
    )
  }
  const { complete } = card
  return {
    card: {
      ...card,
      defaults: readDefaults(card),
      complete: complete === null ? null : { ...complete, order: readOrder(complete.order) },
    },
    writtenBy: readOrder(writtenBy),
    life,
    started: started.map((load) => ({ ...load, order: readOrder(load.order) })),
    leastTtlMs,
  }
}

type WrittenOrder = { readonly [field in keyof LoadOrder]: string }

export interface WrittenCard {
  readonly format: unknown
  readonly card: Omit<GroupCard, 'complete' | 'defaults'> & {
    /** Absent in cards of before there were defaults. */
    readonly defaults?: Readonly<Record<string, FeatureValue>>
    readonly complete: (Omit<LoadMark, 'order'> & { readonly order: WrittenOrder }) | null
  }
  readonly writtenBy: WrittenOrder
  /** Absent, like `started`, in cards of before loads said when they start. */
  readonly life?: string
  readonly started?: readonly (Omit<RememberedLoad, 'order'> & { readonly order: WrittenOrder })[]
  /** Absent in cards of before values expired. */
  readonly leastTtlMs?: number | null
}

const readOrder = ({ incarnation, sequenceNumber }: WrittenOrder): LoadOrder => ({
  incarnation: BigInt(incarnation),
  sequenceNumber: BigInt(sequenceNumber),
})

/** What is a bigint in a value was written as its digits. */
function readDefaults({ defaults = {}, schema }: WrittenCard['card']): GroupCard['defaults'] {
  return Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => {
      const type = schema.features.find((feature) => feature.name === name)?.type ?? 'string'
      const shape = shapeOf(type)
      const element = shape.kind === 'scalar' ? shape.scalar : shape.element
      const isBig = element === 'int64' || element === 'timestamp'
      const read = (one: ScalarValue) => (isBig && one !== null ? BigInt(one) : one)
      return [name, isList(value) ? value.map(read) : read(value)]
    }),
  )
}

const isList = (value: FeatureValue): value is readonly ScalarValue[] => Array.isArray(value)
