/**
 * The values of one group as they are served (rule 10): judged by ttl, with defaults filled in, and decoded no further
 * than whoever asks needs them. A cursor stands at one asked entity after the other; a feature is taken from it as JSON
 * text, as the bytes of its MessagePack, or as a value.
 *
 * ttl is closed at its end (rule 4): a value whose event timestamp is exactly `now - ttl` still counts. A feature that
 * the value's schema does not have yet is null there, as it is in the table.
 */
import { InputError, IntegrityError, type EpochMs, type FeatureType } from '../model/index.ts'
import { encodeFeature, locateFeatures, readFeature } from './body.ts'
import { formatMicros, valueJson } from './json.ts'
import type { FeatureValue, GroupCard, GroupFound, ValueSchema } from './store.ts'
import {
  bodyAt,
  formatVersion,
  flagsAt,
  refuseFormat,
  tagAt,
  timestampAt,
  tombstoneFlag,
  versionAt,
} from './value.ts'

export type ValueStatus = 'PRESENT' | 'NULL_VALUE' | 'NOT_FOUND' | 'OUTSIDE_MAX_AGE'

export interface WantedFeature {
  readonly name: string
  readonly type: FeatureType
  /** What stands for a value that is not present: the default, or null. Of the type that the card says. */
  readonly absent: FeatureValue
  readonly absentJson: string
  readonly absentBytes: Buffer
}

export class GroupCursor {
  readonly card: GroupCard
  readonly features: readonly WantedFeature[]
  readonly found: GroupFound
  /** The least event timestamp that counts: its upper and lower 32 bits, for numbers are compared faster than bigints. */
  private readonly oldest: { readonly upper: number; readonly lower: number } | null
  private bytes: Buffer = nothing
  /** Of the entity as a whole: PRESENT where its features are to be looked at. */
  private whole: ValueStatus = 'NOT_FOUND'
  /** Whether there is a row, expired or not. */
  private isThere = false
  private lastTag = -1
  private layout: Layout = noLayout
  /** By the schema's features, where each stands in the value that was moved to; with its end behind them. */
  private places = noPlaces

  /**
   * @param names the features that are wanted, in order; all of the card's where it is left out
   * @throws InputError where the group has no such feature
   */
  constructor(found: GroupFound, nowMs: EpochMs, names?: readonly string[]) {
    const { card } = found
    this.card = card
    this.found = found
    this.features = wantedOf(card, names)
    this.oldest = card.ttlMs === null ? null : oldestOf(card.ttlMs, nowMs)
  }

  /** Goes to an asked key by its place among them; -1 stands for an entity that cannot be there. */
  moveTo(place: number): void {
    const bytes = place < 0 ? null : (this.found.values[place] ?? null)
    if (bytes === null) {
      this.leave()
      return
    }
    if (bytes.length < bodyAt || bytes[versionAt] !== formatVersion) throw refuseFormat(bytes)
    if (((bytes[flagsAt] as number) & tombstoneFlag) !== 0) {
      this.leave()
      return
    }
    this.bytes = bytes
    this.isThere = true
    this.whole = this.isTooOld() ? 'OUTSIDE_MAX_AGE' : 'PRESENT'
    if (this.whole !== 'PRESENT') return
    const tag = bytes.readUInt32BE(tagAt)
    if (tag !== this.lastTag) {
      this.layout = layoutOf(this.found.schemaOf(tag), this.features)
      this.places = new Uint32Array(this.layout.schema.features.length + 1)
      this.lastTag = tag
    }
    locateFeatures(this.layout.schema, bytes, bodyAt, this.places)
  }

  private isTooOld(): boolean {
    const { oldest, bytes } = this
    if (oldest === null) return false
    const upper = bytes.readInt32BE(timestampAt)
    if (upper !== oldest.upper) return upper < oldest.upper
    return bytes.readUInt32BE(timestampAt + 4) < oldest.lower
  }

  private leave(): void {
    this.whole = 'NOT_FOUND'
    this.isThere = false
  }

  /** Of the stored row, expired or not; null where there is none. */
  get eventTimestampMicros(): bigint | null {
    return this.isThere ? this.bytes.readBigInt64BE(timestampAt) : null
  }

  /** The same as JSON. */
  get eventTimestampJson(): string {
    return this.isThere ? instantJson(this.bytes) : 'null'
  }

  /** Writes the same as MessagePack, an int64 or nil, at `at`, where there is room for nine bytes, and returns where it ends. */
  copyEventTimestampTo(target: Buffer, at: number): number {
    const { bytes } = this
    if (!this.isThere) {
      target[at] = nil
      return at + 1
    }
    target[at] = int64Mark
    for (let byte = 0; byte < 8; byte++) target[at + 1 + byte] = bytes[timestampAt + byte] as number
    return at + 9
  }

  /** Whether a feature is PRESENT. */
  isAt(feature: number): boolean {
    return this.whole === 'PRESENT' && this.placeOf(feature) >= 0
  }

  status(feature: number): ValueStatus {
    if (this.whole !== 'PRESENT') return this.whole
    return this.placeOf(feature) < 0 ? 'NULL_VALUE' : 'PRESENT'
  }

  json(feature: number): string {
    const place = this.whole === 'PRESENT' ? this.placeOf(feature) : -1
    const wanted = this.features[feature] as WantedFeature
    return place < 0 ? wanted.absentJson : valueJson(wanted.type, this.valueAt(feature, place))
  }

  /**
   * What `JSON.stringify` writes as `json` does: null, booleans, strings and the numbers that JSON has; undefined for all
   * others. A whole list of them is written several times faster than one after the other.
   */
  plain(feature: number): number | string | boolean | null | undefined {
    const place = this.whole === 'PRESENT' ? this.placeOf(feature) : -1
    const { type, absent } = this.features[feature] as WantedFeature
    if (place >= 0 && type === 'float64') return plainNumber(this.bytes.readDoubleBE(place + 1))
    const value = place < 0 ? absent : this.valueAt(feature, place)
    switch (typeof value) {
      case 'number':
        return plainNumber(value)
      case 'bigint':
        return type === 'int64' ? safeNumber(value) : undefined
      case 'object':
        return value === null ? null : undefined
      default:
        return value
    }
  }

  /** Decoded: int64 and instants as bigints, lists and vectors as arrays. */
  value(feature: number): FeatureValue {
    const place = this.whole === 'PRESENT' ? this.placeOf(feature) : -1
    return place < 0 ? (this.features[feature] as WantedFeature).absent : this.valueAt(feature, place)
  }

  /** Writes a feature's MessagePack at `at`, where there is room for it (`sizeOf`), and returns where it ends. */
  copyTo(target: Buffer, at: number, feature: number): number {
    const place = this.whole === 'PRESENT' ? this.placeOf(feature) : -1
    if (place < 0) {
      const { absentBytes } = this.features[feature] as WantedFeature
      target.set(absentBytes, at)
      return at + absentBytes.length
    }
    const end = this.endOf(feature)
    const { bytes } = this
    // So few bytes are quicker one by one than by a call.
    if (end - place > 16) return at + bytes.copy(target, at, place, end)
    for (let from = place; from < end; from++) target[at++] = bytes[from] as number
    return at
  }

  /**
   * How many features from this one on stand in the value as they are wanted: one behind the other, with null where there
   * is none. They can be copied at once (`copyRunTo`).
   */
  runFrom(feature: number): number {
    return this.whole === 'PRESENT' ? (this.layout.runs[feature] as number) : 0
  }

  runSize(feature: number, count: number): number {
    return this.endOf(feature + count - 1) - this.startOf(feature)
  }

  copyRunTo(target: Buffer, at: number, feature: number, count: number): number {
    return at + this.bytes.copy(target, at, this.startOf(feature), this.endOf(feature + count - 1))
  }

  private startOf(feature: number): number {
    return this.places[this.layout.indexes[feature] as number] as number
  }

  /** How many bytes a feature's MessagePack takes. */
  sizeOf(feature: number): number {
    const place = this.whole === 'PRESENT' ? this.placeOf(feature) : -1
    return place < 0
      ? (this.features[feature] as WantedFeature).absentBytes.length
      : this.endOf(feature) - place
  }

  /** Where the wanted feature's value begins; -1 where it is null or the schema lacks it. */
  private placeOf(feature: number): number {
    const index = this.layout.indexes[feature] as number
    if (index < 0) return -1
    const place = this.places[index] as number
    return this.bytes[place] === nil ? -1 : place
  }

  private endOf(feature: number): number {
    return this.places[(this.layout.indexes[feature] as number) + 1] as number
  }

  private valueAt(feature: number, place: number): FeatureValue {
    const { schema, indexes } = this.layout
    return readFeature(schema, indexes[feature] as number, this.bytes, place)
  }
}

function oldestOf(ttlMs: number, nowMs: EpochMs): { upper: number; lower: number } | null {
  const micros = (Math.floor(nowMs) - ttlMs) * 1000
  // Below the least instant that a value can have, or so far away that doubles have gaps: nobody's ttl is that long.
  if (!Number.isSafeInteger(micros)) return null
  const upper = Math.floor(micros / 2 ** 32)
  return { upper, lower: micros - upper * 2 ** 32 }
}

/** Most entities of a group are of the same few instants. */
const instants = new Map<number, string>()
const mostInstants = 1_000

function instantJson(bytes: Buffer): string {
  const micros = bytes.readInt32BE(timestampAt) * 2 ** 32 + bytes.readUInt32BE(timestampAt + 4)
  // Of those in a far future two may be one number.
  if (!Number.isSafeInteger(micros)) return `"${formatMicros(bytes.readBigInt64BE(timestampAt))}"`
  const there = instants.get(micros)
  if (there !== undefined) return there
  const json = `"${formatMicros(BigInt(micros))}"`
  if (instants.size >= mostInstants) instants.clear()
  instants.set(micros, json)
  return json
}

const nil = 0xc0
const int64Mark = 0xd3
const nothing = Buffer.alloc(0)

/** Where the wanted features stand in the values of one schema. */
interface Layout {
  readonly schema: ValueSchema
  /** By wanted feature its index in the schema; -1 where it is not in it. */
  readonly indexes: Int32Array
  /** By wanted feature, how many from it on stand one behind the other and have no default. */
  readonly runs: Uint32Array
}

const noPlaces = new Uint32Array(1)

const noLayout: Layout = {
  schema: { tag: '', features: [] },
  indexes: new Int32Array(0),
  runs: new Uint32Array(0),
}

const layouts = new WeakMap<readonly WantedFeature[], Map<ValueSchema, Layout>>()

function layoutOf(schema: ValueSchema, features: readonly WantedFeature[]): Layout {
  let bySchema = layouts.get(features)
  if (bySchema === undefined) layouts.set(features, (bySchema = new Map<ValueSchema, Layout>()))
  let layout = bySchema.get(schema)
  if (layout === undefined) bySchema.set(schema, (layout = makeLayout(schema, features)))
  return layout
}

function makeLayout(schema: ValueSchema, features: readonly WantedFeature[]): Layout {
  const indexes = Int32Array.from(features, ({ name, type }) => {
    const index = schema.features.findIndex((one) => one.name === name)
    const there = schema.features[index]
    if (there !== undefined && there.type !== type) {
      throw new IntegrityError(
        `online value with schema ${schema.tag}: feature ${name} is ${there.type} there and ${type} now. Load the group again.`,
        { tag: schema.tag, feature: name },
      )
    }
    return index
  })
  const runs = new Uint32Array(features.length)
  for (let at = features.length - 1; at >= 0; at--) {
    const index = indexes[at] as number
    if (index < 0 || features[at]?.absent !== null) continue
    runs[at] = 1 + (indexes[at + 1] === index + 1 ? (runs[at + 1] as number) : 0)
  }
  return { schema, indexes, runs }
}

/** -0 and what is not finite have no number in JSON. */
const plainNumber = (value: number): number | undefined =>
  Number.isFinite(value) && !Object.is(value, -0) ? value : undefined

function safeNumber(value: bigint): number | undefined {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}

/** By card and, within it, by the list that names them: both stay the same objects from request to request. */
const known = new WeakMap<GroupCard, WeakMap<readonly string[] | GroupCard, readonly WantedFeature[]>>()

function wantedOf(card: GroupCard, names?: readonly string[]): readonly WantedFeature[] {
  let byNames = known.get(card)
  if (byNames === undefined) known.set(card, (byNames = new WeakMap()))
  const there = byNames.get(names ?? card)
  if (there !== undefined) return there
  const all = names ?? card.schema.features.map(({ name }) => name)
  const wanted = all.map((name) => wantedFeature(card, name))
  byNames.set(names ?? card, wanted)
  return wanted
}

function wantedFeature({ group, schema, defaults }: GroupCard, name: string): WantedFeature {
  const found = schema.features.find((feature) => feature.name === name)
  if (found === undefined) {
    const there = schema.features.map((feature) => feature.name).join(', ')
    throw new InputError(`group ${group} has no feature ${JSON.stringify(name)}. It has ${there}.`, {
      group,
      feature: name,
    })
  }
  const absent = Object.hasOwn(defaults, name) ? (defaults[name] ?? null) : null
  const { type } = found
  return {
    name,
    type,
    absent,
    absentJson: valueJson(type, absent),
    absentBytes: encodeFeature(found, absent),
  }
}
