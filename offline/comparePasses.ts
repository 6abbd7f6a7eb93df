/**
 * What every check of purity does: a function runs twice over the same inputs, the second time in another order and under
 * another time zone, with clock, chance, network, files and locale trapped. A difference is an error that names the feature.
 *
 * What it cannot see: a branch that no input takes, and state that was set once and for all at the first call.
 */
import { InputError, type ErrorContext } from '../model/errors.ts'
import { shown } from '../model/callFunction.ts'
import { withTraps } from './purityTraps.ts'

/** Seventeen and a half hours apart: hardly a date is the same in both. */
const zones = ['America/St_Johns', 'Pacific/Kiritimati'] as const

export interface Judged<Input> {
  /** `feature group g_v1`, as errors begin. */
  readonly what: string
  readonly context: ErrorContext
  readonly features: readonly { readonly name: string }[]
  /** The values of the features, in their order. */
  readonly run: (input: Input) => readonly unknown[]
  /** What was given, in a sentence. */
  readonly shownInput: (input: Input) => string
  /** What was the same and what was not when it ran again, in a sentence. */
  readonly again: string
}

/** @throws InputError that names the feature and the difference, or what the function touched; and what `run` throws. */
export function comparePasses<Input>(judged: Judged<Input>, inputs: readonly Input[]): void {
  const first = pass(judged, inputs, zones[0])
  const shuffled = pass(judged, [...inputs].reverse(), zones[1]).reverse()
  for (const [index, input] of inputs.entries()) {
    for (const [column, { name }] of judged.features.entries()) {
      const [one, other] = [shown(first[index]?.[column]), shown(shuffled[index]?.[column])]
      if (one === other) continue
      throw new InputError(
        `${judged.what}: feature ${name} is not pure: for ${judged.shownInput(input)} its function gave ${one}, and ${other} for ${judged.again}. Use nothing but the function's own arguments.`,
        { ...judged.context, feature: name },
      )
    }
  }
}

function pass<Input>(judged: Judged<Input>, inputs: readonly Input[], zone: string): unknown[][] {
  const before = process.env['TZ']
  process.env['TZ'] = zone
  try {
    const { result, error, touched } = withTraps(() => inputs.map((input) => judged.run(input)))
    if (touched.length > 0) {
      const names = judged.features.map(({ name }) => name).join(', ')
      throw new InputError(
        `${judged.what}: ${judged.features.length === 1 ? `feature ${names} is` : `features ${names} are`} not pure: the function touched ${touched.join(' and ')}. Use nothing but the function's own arguments.`,
        { ...judged.context, touched: touched.join(', ') },
      )
    }
    if (result === undefined) throw error
    return result.map((values) => values.map(comparable))
  } finally {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  }
}

/** -0 and NaN are values of their own, and differ from what JSON makes of them. */
const comparable = (value: unknown) =>
  typeof value === 'number' && (Object.is(value, -0) || !Number.isFinite(value))
    ? Object.is(value, -0)
      ? '-0'
      : String(value)
    : value
