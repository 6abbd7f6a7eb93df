/**
 * What the compiler knows of a group, a selection or a service: with which values it is asked for, and what it answers.
 * Nothing of this is there at run time.
 *
 * A value has the type that it was declared with, or that its aggregate makes; it may be null unless the feature has a
 * default. Where the type is the column's (`min`, `last`, `topK`), which only DuckDB knows, it is whatever it may be.
 *
 * An instant is its microseconds since the epoch, in a bigint, as in the training set and in every store: a `Date` would
 * round it to milliseconds, and the model would be served another value than it was trained on. `new Date(Number(micros /
 * 1000n))` is the nearest one.
 */
import type { Scalar } from './featureDefault.ts'
import type { FeatureType, ScalarType } from './featureType.ts'

/** Types of scalars as values. */
interface ScalarValues {
  boolean: boolean
  int32: number
  int64: bigint
  float32: number
  float64: number
  string: string
  /** Microseconds since the epoch. */
  timestamp: bigint
}

/** The same as they may be written in a question: whole numbers that a double holds exactly, and a Date, are not ambiguous. */
interface ScalarInputs extends Omit<ScalarValues, 'int64' | 'timestamp'> {
  int64: bigint | number
  /** Microseconds since the epoch, or a Date. */
  timestamp: bigint | Date
}

/** A value of a feature's type: `bigint` of `int64`, `readonly number[]` of `vector<384>`. */
export type ValueOf<Type extends FeatureType> = Type extends ScalarType
  ? ScalarValues[Type]
  : Type extends `list<${infer Element extends ScalarType}>`
    ? readonly (ScalarValues[Element] | null)[]
    : readonly number[]

/** What may be given for a key or a request value of a type. */
export type InputOf<Type extends ScalarType> = ScalarInputs[Type]

/** Anything that a feature may be. */
export type AnyValue = Scalar | readonly (Scalar | null)[] | null
/** Anything that may be given for a key or a request value. */
export type AnyInput = Scalar | Date

export type AnyValues = Readonly<Record<string, AnyValue>>
export type AnyInputs = Readonly<Record<string, AnyInput>>

/** A feature whose value is known to the compiler. */
export interface Valued<out Value> {
  /** Never there; only its type is. */
  readonly '~value'?: Value
}

/** What can be asked for, with the features that it answers by name, and the columns that it wants. */
export interface Answering<out Values, out Inputs> {
  /** Never there; only their types are. */
  readonly '~values'?: Values
  readonly '~inputs'?: Inputs
}

export type ValueIn<Feature extends Valued<unknown>> = Exclude<Feature['~value'], undefined>
export type ValuesIn<Asked extends Answering<unknown, unknown>> = Exclude<Asked['~values'], undefined>
export type InputsIn<Asked extends Answering<unknown, unknown>> = Exclude<Asked['~inputs'], undefined>

/*
 * The types below go through a conditional type, for editors then show what comes out, such as `{ origin: string }`, and
 * not from what it was made.
 */

/** By the column's name, what is given for each key or request value. */
export type InputsOf<Types extends Readonly<Record<string, ScalarType>>> = Types extends unknown
  ? { -readonly [Name in keyof Types]: InputOf<Types[Name]> }
  : never

/** By the feature's name, what it is served as. */
export type ValuesOf<Features extends Readonly<Record<string, Valued<unknown>>>> = Features extends unknown
  ? { -readonly [Name in keyof Features]: ValueIn<Features[Name]> }
  : never

/** All that any of several have: `{ a: 1 } | { b: 2 }` is `{ a: 1; b: 2 }`. */
export type Together<Parts> = (Parts extends unknown ? (part: Parts) => void : never) extends (
  all: infer All,
) => void
  ? { [Name in keyof All]: All[Name] }
  : never
