/**
 * Made-up values of declared types, for functions that have seen no data yet: the same ones for the same names and types.
 *
 * An *ordinary* input is what any row may bring, nulls among it, and a function has to cope with it. An *extreme* one holds
 * the ends of the types, NaN and the like; there a function may fail, as long as it fails in the same way again.
 */
import type { EventValue } from '../model/compute.ts'
import { shapeOf, type FeatureType, type ScalarType } from '../model/featureType.ts'
import type { OnDemandValue } from '../model/onDemand.ts'

export interface SyntheticValue {
  readonly name: string
  readonly type: FeatureType
  /** Whether it may come as null. */
  readonly nullable: boolean
}

export interface SyntheticInput {
  readonly values: Readonly<Record<string, OnDemandValue>>
  /** In milliseconds since the epoch. */
  readonly at: number
  readonly isOrdinary: boolean
  /** The names of what is null. */
  readonly nulls: readonly string[]
}

const seed = 0x0a50f
const ordinaryInputs = 40
const extremeInputs = 40

/** Ordinary ones, with no null, with each value null in turn and with all of them null, and then extreme ones. */
export function syntheticInputs(names: readonly SyntheticValue[]): SyntheticInput[] {
  const random = randomNumbers(seed)
  const nullable = names.filter((one) => one.nullable).map(({ name }) => name)
  const ordinary = (nulls: readonly string[]): SyntheticInput => ({
    values: valuesOf(names, ({ name, type }) => (nulls.includes(name) ? null : ordinaryValue(type, random))),
    ...{ at: instant(random), isOrdinary: true, nulls },
  })
  const extreme = (turn: number): SyntheticInput => {
    const nulls = nullable.filter(() => random() < 0.1)
    const isMixed = turn % 2 === 1
    const value = ({ name, type }: SyntheticValue, place: number) => {
      if (nulls.includes(name)) return null
      return isMixed && random() < 0.5
        ? ordinaryValue(type, random)
        : extremeValue(type, Math.floor(turn / 2) + place, random)
    }
    return { values: valuesOf(names, value), at: instant(random), isOrdinary: false, nulls }
  }
  return [
    ...Array.from({ length: ordinaryInputs }, () => ordinary([])),
    ...nullable.map((name) => ordinary([name])),
    ...(nullable.length > 1 ? [ordinary(nullable)] : []),
    ...Array.from({ length: extremeInputs }, (_, turn) => extreme(turn)),
  ]
}

const valuesOf = (
  names: readonly SyntheticValue[],
  value: (one: SyntheticValue, place: number) => OnDemandValue,
) => Object.fromEntries(names.map((one, place) => [one.name, value(one, place)]))

const ordinaryValue = (type: FeatureType, random: () => number) => madeOf(type, random, ordinaryScalar)
/** Turn by turn all of a type's ends. */
const extremeValue = (type: FeatureType, turn: number, random: () => number) =>
  madeOf(type, random, (scalar) => {
    const ends = extremes[scalar]
    return ends[turn % ends.length] ?? null
  })

function madeOf(
  type: FeatureType,
  random: () => number,
  scalar: (type: ScalarType, random: () => number) => EventValue,
): OnDemandValue {
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return scalar(shape.scalar, random)
  const length = shape.kind === 'vector' ? shape.length : Math.floor(random() * 4)
  return Array.from({ length }, () => scalar(shape.element, random))
}

const wholeNumbers = [0, 1, 2, 3, 5, 8, 12, 60, 100, 365, 1_000, 12_345, -1, -7]
const fractions = [0, 0.25, 0.5, 1, 1.5, 9.75, 15, 42.125, 1_000.5, -0.5, -12]
const words = ['', 'a', 'ATL', 'JFK', 'two words', 'Zürich', 'ß', '12']

function ordinaryScalar(type: ScalarType, random: () => number): EventValue {
  switch (type) {
    case 'boolean':
      return random() < 0.5
    case 'int32':
      return pick(wholeNumbers, random)
    case 'int64':
      return BigInt(pick(wholeNumbers, random))
    case 'float32':
    case 'float64':
      return pick(fractions, random)
    case 'string':
      return pick(words, random)
    case 'timestamp':
      return instant(random)
  }
}

/** The years that JavaScript, DuckDB and Iceberg write alike are 1 to 9999. */
const [firstInstant, lastInstant] = [-62_135_596_800_000, 253_402_300_799_999]

const extremes: Readonly<Record<ScalarType, readonly EventValue[]>> = {
  boolean: [true, false],
  int32: [2 ** 31 - 1, -(2 ** 31), 0],
  int64: [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n, 0n],
  float32: [Number.NaN, Infinity, -Infinity, -0, 2 ** 128 - 2 ** 104, 2 ** -149],
  float64: [Number.NaN, Infinity, -Infinity, -0, Number.MAX_VALUE, Number.MIN_VALUE],
  string: ['', 'a'.repeat(1_000), '\u0000', '😀', 'İ', 'é'],
  timestamp: [firstInstant, lastInstant, 0, -0.001],
}

/** Of the years 2000 to 2029, with microseconds; not two of them on one clock. */
const instant = (random: () => number) =>
  Date.UTC(2000, 0) + Math.floor(random() * 30 * 365 * 864e5) + Math.floor(random() * 1_000) / 1_000

function pick<T>(from: readonly T[], random: () => number): T {
  return from[Math.floor(random() * from.length)] as T
}

/** mulberry32, by Tommy Ettinger (public domain): 0 <= x < 1, the same sequence for the same seed. */
function randomNumbers(from: number): () => number {
  let state = from >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
