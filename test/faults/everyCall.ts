/** A whole run, struck at one call, against the same run undisturbed. */
import { expect } from 'vitest'
import { createActivities } from '../../activities/index.ts'
import type { Activities } from '../../workflows/contract.ts'
import { tableRefs } from '../support/published.ts'
import { terminated } from './driver.ts'
import type { EndState } from './endState.ts'
import type { RestoredStore } from './restoredStore.ts'
import { flavours, Strike, type Flavour } from './strike.ts'

export interface Struck {
  readonly strike: Strike
  readonly errors: readonly string[]
  readonly state: EndState
}

export async function stateBefore(restored: RestoredStore): Promise<Struck['state']> {
  const { store, close } = await restored.open()
  try {
    return await restored.run.endState(store)
  } finally {
    await close()
  }
}

/** How many calls each step of an undisturbed run makes. */
export async function callsOfSteps(restored: RestoredStore): Promise<Map<string, number>> {
  const opened = await restored.open()
  const calls = new Map<string, number>()
  try {
    await restored.run.drive(
      () =>
        new Proxy({} as Activities, {
          get: (_, name) => async (input: never) => {
            const strike = new Strike(Infinity, 'refused')
            const steps = createActivities(strike.lifeOf(opened.store, opened))
            const answer = await (Reflect.get(steps, name) as (given: never) => Promise<unknown>)(input)
            calls.set(String(name), strike.calls)
            return answer
          },
        }),
    )
    return calls
  } finally {
    await opened.close()
  }
}

/** Calls of a run spread over its length, at places that the seed decides, others for each flavour. */
export function sampledCalls(
  { strike }: Struck,
  flavour: Flavour,
  { sample, seed, calls = strike.calls }: { sample: number; seed: number; calls?: number | undefined },
): number[] {
  const stride = calls / sample
  const offset = ((seed + 31 * flavours.indexOf(flavour)) % 97) / 97
  return Array.from({ length: sample }, (_, at) => 1 + Math.floor((at + offset) * stride))
}

/** @param at counts from 1; a number beyond the last call leaves the run undisturbed */
export async function runStruck(restored: RestoredStore, at: number, flavour: Flavour): Promise<Struck> {
  const opened = await restored.open()
  const { store, close } = opened
  try {
    const strike = new Strike(at, flavour)
    const { errors, outcome } = await restored.run.drive(() => createActivities(strike.lifeOf(store, opened)))
    expect(outcome, `struck at call ${at} (${strike.struck}, ${flavour})`).toBe('published')
    return { strike, errors, state: await restored.run.endState(store) }
  } finally {
    await close()
  }
}

/**
 * A run that ends at one call for ever, as when its worker dies and its workflow is terminated: the janitor leaves the
 * table as it was before, or as it is after, and says which in the registry and the ledger.
 */
export async function expectOldOrNew(
  restored: RestoredStore,
  undisturbed: Struck,
  before: Struck['state'],
  calls: readonly number[],
  flavour: Flavour,
): Promise<{ old: number; new: number }> {
  const ends = { old: 0, new: 0 }
  for (const at of calls) {
    const opened = await restored.open()
    const { store, close } = opened
    try {
      const strike = new Strike(at, flavour)
      await restored.run.drive(() => createActivities(strike.lifeOf(store, opened)), terminated)
      const state = await restored.run.endState(store)
      const what = `call ${at}: ${strike.struck}, ${flavour}`
      const isNew = state.ledger.join() === undisturbed.state.ledger.join()
      expect(published(state), what).toEqual(published(isNew ? undisturbed.state : before))
      expect(state.lostRuns, what).toBeLessThanOrEqual(1)
      if (state.runs.length > before.runs.length)
        expect(state.runs.at(-1), what).toContain(isNew ? '"published"' : '"failed"')
      ends[isNew ? 'new' : 'old'] += 1
    } finally {
      await close()
    }
  }
  return ends
}

/** Without what a run that is terminated may leave undone: its load, and its figures in the registry. */
function published({
  rows,
  unsettled,
  ledger,
  refs,
  orphans,
  files,
  snapshots,
  ...state
}: Omit<EndState, 'online'>) {
  const { manifestLists, manifests, unknownVersions, temporary } = state
  const kept = files.filter((name) => !name.startsWith('loads/'))
  return {
    rows,
    unsettled,
    ledger,
    refs,
    orphans,
    kept,
    snapshots,
    manifestLists,
    manifests,
    unknownVersions,
    temporary,
  }
}

/** A run that ends at one call for ever, and one after it that is not disturbed: together they are one undisturbed run. */
export async function expectMended(
  restored: RestoredStore,
  undisturbed: Struck,
  calls: readonly number[],
  flavour: Flavour,
): Promise<Record<string, number>> {
  const outcomes: Record<string, number> = {}
  for (const at of calls) {
    const opened = await restored.open()
    const { store, close } = opened
    try {
      const strike = new Strike(at, flavour)
      await restored.run.drive(() => createActivities(strike.lifeOf(store, opened)), terminated)
      const steps = createActivities(store)
      const { outcome, errors } = await restored.run.drive(() => steps, terminated)
      // A run that finds everything published loads nothing; the next load does.
      await steps.materializeGroup({ group: restored.run.group })
      const what = `call ${at}: ${strike.struck}, ${flavour}, then ${outcome}`
      expect(errors, what).toEqual([])
      const { online, ...state } = await restored.run.endState(store)
      expect(published(state), what).toEqual(published(undisturbed.state))
      expect(online, what).toEqual(undisturbed.state.online)
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    } finally {
      await close()
    }
  }
  return outcomes
}

/** Every one of these calls, in this flavour, ends where the undisturbed run ends. */
export async function expectSameEnd(
  restored: RestoredStore,
  undisturbed: Struck,
  calls: readonly number[],
  flavour: Flavour,
): Promise<string[]> {
  const struck: string[] = []
  for (const at of calls) {
    const run = await runStruck(restored, at, flavour)
    const what = `call ${at}: ${run.strike.struck}, ${flavour}; ${run.errors.join('; ')}`
    expect(run.strike.struck, what).not.toBeNull()
    expect(run.state, what).toEqual(undisturbed.state)
    struck.push(`${run.strike.struck}${run.errors.length === 0 ? ', noticed by nobody' : ''}`)
  }
  return struck
}

/** Where a run has staged and not published yet: its branch, its files and its row in the registry are left behind. */
export const stagedCall = ({ strike }: Struck) => Math.round(strike.calls * 0.55)

/** A run is lost once it has staged; the janitor that takes it back is struck, and begins again as Temporal would let it. */
export async function runJanitorStruck(
  restored: RestoredStore,
  lostAt: number,
  at: number,
  flavour: Flavour,
): Promise<Struck> {
  const opened = await restored.open()
  const { store, close } = opened
  try {
    const lost = new Strike(lostAt, 'dead before')
    await restored.run.drive(() => createActivities(lost.lifeOf(store, opened)), terminated)
    expect((await tableRefs(store, restored.run.group)).length, `lost at call ${lostAt}`).toBe(2)
    const strike = new Strike(at, flavour)
    const errors = await sweepUntilDone(restored.run.group, () =>
      createActivities({ ...strike.lifeOf(store, opened), isOpen: () => Promise.resolve(false) }),
    )
    const { lostRuns, ...state } = await restored.run.endState(store)
    expect(lostRuns, 'the janitor that was struck has taken the run back').toBe(0)
    return { strike, errors, state: { lostRuns, ...state } }
  } finally {
    await close()
  }
}

async function sweepUntilDone(group: string, attempt: () => Activities): Promise<string[]> {
  const errors: string[] = []
  const steps = ['takeBackLostRuns', 'sweepTable'] as const
  for (const step of steps) {
    for (let isDone = false; !isDone;) {
      try {
        await attempt()[step]({ group, olderThan: '0s' })
        isDone = true
      } catch (error) {
        errors.push(`${step}: ${String(error)}`)
        if (errors.length > 3) throw error
      }
    }
  }
  return errors
}

/** @returns how many calls the janitor makes when nothing strikes it */
export async function expectJanitorSurvives(
  restored: RestoredStore,
  lostAt: number,
  places: (calls: number) => readonly number[],
  flavour: Flavour,
): Promise<number> {
  const undisturbed = await runJanitorStruck(restored, lostAt, Infinity, flavour)
  for (const at of places(undisturbed.strike.calls)) {
    const { strike, state } = await runJanitorStruck(restored, lostAt, at, flavour)
    expect(strike.struck).not.toBeNull()
    expect(state, `the janitor, call ${at}: ${strike.struck}, ${flavour}`).toEqual(undisturbed.state)
  }
  return undisturbed.strike.calls
}
