/** What a gate must be set to, one rule a kind: a mistake is refused when the group is made, in one sentence. */
import { z } from 'zod'
import { InputError } from './errors.ts'
import { featuresOfGate, gateKinds, gateName, type Gate, type GateKind, type GateParams } from './gate.ts'
import type { FeatureGroup } from './group.ts'
import { parseInstant } from './time.ts'
import { unknownFeature } from './unknownFeature.ts'
import { identifier } from './validate.ts'

const scalar = z.union([z.string(), z.number(), z.bigint(), z.boolean(), z.nan()])
const history = { last: z.number() }
const drift = z.strictObject({ max: z.number(), bins: z.number(), ...history })
const knownValue = z.strictObject({
  keys: z.record(z.string(), z.union([z.string(), z.number(), z.bigint()])),
  at: z.string(),
  feature: z.string(),
  value: scalar.nullable(),
  tolerance: z.number().optional(),
})

const paramShapes: { readonly [Kind in GateKind]: z.ZodType } = {
  not_empty: z.strictObject({}),
  null_rate: z.strictObject({ max: z.number() }),
  in_range: z.strictObject({ min: z.number(), max: z.number() }),
  allowed_values: z.strictObject({ values: z.array(scalar) }),
  unique_rows: z.strictObject({}),
  row_count: z.strictObject({ min: z.number(), max: z.number(), ...history }),
  coverage: z.strictObject({ min: z.number(), ...history }),
  psi: drift,
  jensen_shannon: drift,
  known_values: z.strictObject({ fixtures: z.array(knownValue) }),
  query: z.strictObject({ name: identifier, sql: z.string(), ...history }),
}

/** How a gate must look before its rule is asked. */
export const gateShape = z
  .strictObject({
    gate: z.enum(gateKinds),
    feature: z.string().nullable(),
    params: z.unknown(),
    onViolation: z.enum(['block', 'warn']),
  })
  .superRefine(({ gate, params }, context) => {
    for (const { path, message } of paramShapes[gate].safeParse(params).error?.issues ?? []) {
      context.addIssue({ code: 'custom', path: ['params', ...path], message: `gate ${gate}: ${message}` })
    }
  })

/** @throws InputError that names the group, the gate, the value and the cure. */
export function checkGates(group: FeatureGroup, what: string): void {
  const seen = new Set<string>()
  for (const gate of group.gates) {
    const name = gateName(gate)
    for (const feature of featuresOfGate(gate)) {
      if (Object.hasOwn(group.features, feature)) continue
      throw new InputError(`gate ${name}: ${unknownFeature(what, feature, group.features).message}`)
    }
    const problem = problemOf(gate, group)
    if (problem !== null) throw new InputError(`${what}: gate ${name}: ${problem}`, { gate: name })
    if (seen.has(name)) throw new InputError(`${what}: gate ${name} is there twice. Keep one.`)
    seen.add(name)
  }
}

function problemOf<Kind extends GateKind>(gate: Gate<string, Kind>, group: FeatureGroup): string | null {
  return rules[gate.gate](gate.params, group)
}

/** The first thing that is wrong, as a sentence with its cure, or null. */
type Rule<Kind extends GateKind> = (params: GateParams[Kind], group: FeatureGroup) => string | null

const rules: { readonly [Kind in GateKind]: Rule<Kind> } = {
  not_empty: () => null,
  null_rate: ({ max }) => shareProblem('max', max),
  in_range: boundsProblem,
  allowed_values: ({ values }) => valuesProblem(values),
  unique_rows: () => null,
  row_count: (params) => boundsProblem(params) ?? historyProblem(params),
  coverage: (params) => shareProblem('min', params.min) ?? historyProblem(params),
  psi: (params) =>
    (params.max >= 0
      ? null
      : `max ${params.max} is below 0, which no drift is. Use a number such as 0.25.`) ??
    binsProblem(params) ??
    historyProblem(params),
  jensen_shannon: (params) =>
    shareProblem('max', params.max) ?? binsProblem(params) ?? historyProblem(params),
  known_values: fixturesProblem,
  query: (params) => sqlProblem(params.sql) ?? historyProblem(params),
}

function shareProblem(name: string, value: number): string | null {
  return value >= 0 && value <= 1 ? null : `${name} ${value} is not a share. Use a number from 0 to 1.`
}

function boundsProblem({ min, max }: { min: number; max: number }): string | null {
  return min <= max ? null : `min ${min} is not below max ${max}. Swap them.`
}

function historyProblem({ last }: { last: number }): string | null {
  return Number.isInteger(last) && last >= 1
    ? null
    : `last ${last} is not a number of intervals. Use a whole number from 1.`
}

const binBounds = { min: 2, max: 100 }

function binsProblem({ bins }: { bins: number }): string | null {
  return Number.isInteger(bins) && bins >= binBounds.min && bins <= binBounds.max
    ? null
    : `bins ${bins} is not a number of bins. Use a whole number from ${binBounds.min} to ${binBounds.max}.`
}

function valuesProblem(values: GateParams['allowed_values']['values']): string | null {
  if (values.length === 0) return 'no value is allowed. Name at least one.'
  const kinds = new Set(values.map((value) => (typeof value === 'bigint' ? 'number' : typeof value)))
  if (kinds.size > 1) return `its values are of several types (${[...kinds].join(', ')}). Use one.`
  const twice = values.find((value, at) =>
    values.slice(0, at).some((other) => String(other) === String(value)),
  )
  return twice === undefined ? null : `the value ${twice} is there twice. Keep one.`
}

function fixturesProblem(
  { fixtures }: GateParams['known_values'],
  { entity }: Pick<FeatureGroup, 'entity'>,
): string | null {
  if (fixtures.length === 0) return 'it knows no value. Name at least one.'
  const wanted = Object.keys(entity.keys)
  for (const [at, { keys, at: instant, tolerance, value }] of fixtures.entries()) {
    parseInstant(instant, `known value ${at + 1}`)
    const given = Object.keys(keys)
    if (given.length !== wanted.length || !wanted.every((key) => Object.hasOwn(keys, key))) {
      return `known value ${at + 1} has the keys ${given.join(', ') || 'of nobody'}; entity ${entity.name} has ${wanted.join(', ')}. Name exactly these.`
    }
    if (tolerance === undefined) continue
    if (!(tolerance >= 0)) return `known value ${at + 1}: tolerance ${tolerance} is below 0. Use 0 or more.`
    if (typeof value !== 'number' && typeof value !== 'bigint') {
      return `known value ${at + 1}: ${String(value)} has a tolerance and is no number. Take the tolerance away.`
    }
  }
  return null
}

function sqlProblem(sql: string): string | null {
  if (!/^\s*(select|with|from)\b/i.test(sql)) {
    return `${JSON.stringify(sql.trim().slice(0, 40))} is no query. Start with SELECT, WITH or FROM.`
  }
  return /;\s*$/.test(sql)
    ? 'its query ends with a semicolon. Take it away: one query, nothing behind it.'
    : null
}
