/**
 * On-demand features: a pure TypeScript function of request values and stored features. The same function runs over the
 * rows of a training set and when a vector is served.
 *
 * What it is given: request values and stored features by name, as a function sees values everywhere (int64 as bigint,
 * instants as milliseconds since the epoch, lists and vectors as arrays); null for whatever is not PRESENT and has no
 * default. `at` is the request's time: in training the label's, in serving now.
 */
import { z } from 'zod'
import type { AnyInputs, AnyValues, Answering, InputsIn, InputsOf, Together, ValuesOf } from './answers.ts'
import { checkOnDemand } from './checkOnDemand.ts'
import type { EventValue } from './compute.ts'
import type { DeclaredFeature } from './declared.ts'
import { declaredFeature } from './declaredSchema.ts'
import { defaultValue, type FeatureDefault } from './featureDefault.ts'
import { scalarTypes, type FeatureType, type ScalarType } from './featureType.ts'
import type { FeatureSelection } from './group.ts'
import { identifier, labelOf, parseDefinition } from './validate.ts'

/** Lists and vectors come as arrays. */
export type OnDemandValue = EventValue | readonly EventValue[]

export interface OnDemandInput {
  /** Columns of the request, or of the labels. */
  readonly request: Readonly<Record<string, OnDemandValue>>
  /** By the feature's name, behind `<role>__` where its group is taken in a role. */
  readonly features: Readonly<Record<string, OnDemandValue>>
  /** The time of the request, in milliseconds since the epoch (microseconds are the fraction). */
  readonly at: number
}

/**
 * Pure: the same input gives the same output wherever and whenever. A feature that it leaves out is null, which is what it
 * makes of values that it cannot use: it must not throw on null, nor on any ordinary value of the declared types.
 */
export type OnDemandFunction = (input: OnDemandInput) => Readonly<Record<string, unknown>>

/** `Inputs` are its request values, and the keys of what it reads. */
export interface OnDemand<out Values = AnyValues, out Inputs = AnyInputs> extends Answering<Values, Inputs> {
  readonly kind: 'on_demand'
  readonly name: string
  readonly description?: string
  /** What the request has to bring, with types. */
  readonly request: Readonly<Record<string, ScalarType>>
  /** The stored features that the function reads; they need not be features of the service. */
  readonly reads: readonly FeatureSelection[]
  /** What it makes. */
  readonly features: Readonly<Record<string, DeclaredFeature>>
  readonly compute: OnDemandFunction
  /** As a map group's: of the bundled code; the loader of the definitions fills it in. */
  codeHash: string | null
}

const selection = z.custom<FeatureSelection>(
  (value) => Array.isArray((value as FeatureSelection | undefined)?.features),
  'must be a selection of features, such as group.pick(…)',
)

const schema = z.strictObject({
  name: identifier,
  description: z.string().optional(),
  request: z.record(identifier, z.enum(scalarTypes)).optional(),
  reads: z.array(selection).optional(),
  features: z
    .record(identifier, declaredFeature)
    .refine((features) => Object.keys(features).length > 0, 'name the features that the function makes'),
  compute: z.custom<OnDemandFunction>((value) => typeof value === 'function', 'must be a function'),
})

/** A result without undeclared features; one whose names the compiler does not know is checked when it is there. */
type Declared<Result, Feature extends string> = string extends keyof Result
  ? Result
  : Result & { readonly [Undeclared in Exclude<keyof Result, Feature>]: never }

export interface OnDemandDefinition<
  Features extends Record<string, DeclaredFeature>,
  Result = Readonly<Record<string, unknown>>,
  Request extends Record<string, ScalarType> = Record<string, ScalarType>,
  Reads extends readonly FeatureSelection[] = readonly FeatureSelection[],
> {
  name: string
  description?: string
  request?: Request
  reads?: Reads
  features: Features
  compute: (input: OnDemandInput) => Declared<Result, NoInfer<Extract<keyof Features, string>>>
}

/**
 * Defines on-demand features.
 *
 * @example
 * onDemand({ name: 'delay_by_distance', request: { distance: 'int64' }, reads: [airportDelays.pick('mean_delay_24h')],
 *   features: { delay_per_mile: feature('float64') },
 *   compute: ({ request, features }) => ({ delay_per_mile: Number(features.mean_delay_24h) / Number(request.distance) }) })
 * @throws InputError that names the definition, the field and the cure
 */
export function onDemand<
  const Features extends Record<string, DeclaredFeature>,
  Result extends Readonly<Record<string, unknown>>,
  const Request extends Record<string, ScalarType> = never,
  const Reads extends readonly FeatureSelection[] = readonly [],
>(
  definition: OnDemandDefinition<Features, Result, Request, Reads>,
): OnDemand<ValuesOf<Features>, Together<InputsOf<Request> | InputsIn<Reads[number]>>> {
  const what = labelOf('on-demand features', definition)
  parseDefinition(schema, definition, what)
  const { request = {}, reads = [], ...rest } = definition
  checkOnDemand({ request, reads, features: rest.features }, what)
  return { kind: 'on_demand', request, reads, codeHash: null, ...rest }
}

/** What a function makes, in order, with defaults as values of their types. */
export function madeColumns({ name: of, features }: OnDemand): {
  readonly name: string
  readonly type: FeatureType
  readonly default: FeatureDefault | undefined
}[] {
  return Object.entries(features).map(([name, { type, default: given }]) => {
    const what = `on-demand features ${of}: feature ${name}`
    return { name, type, default: given === undefined ? given : defaultValue(type, given, what) }
  })
}
