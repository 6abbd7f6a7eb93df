/** A refresh that dies between any two calls to its file store, catalog or registry ends where an undisturbed one does. */
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import {
  callsOfSteps,
  expectMended,
  expectOldOrNew,
  expectSameEnd,
  runStruck,
  sampledCalls,
  stateBefore,
  type Struck,
} from './everyCall.ts'
import { nothingDear, restoredRefresh } from './restoredRefresh.ts'
import type { RestoredStore } from './restoredStore.ts'
import { flavours, type Flavour } from './strike.ts'

/** How many calls of a refresh are struck here, of each flavour; `npm run test:long` strikes all of them. */
const sample = 4
const folder = temporaryFolder('every-call-of-refresh')
let restored: RestoredStore
let undisturbed: Struck
let before: Struck['state']
/** The calls of the step that publishes: which number the one before the first has, and how many they are. */
let publish: { after: number; calls: number }

beforeAll(async () => {
  restored = await restoredRefresh(folder, nothingDear)
  before = await stateBefore(restored)
  undisturbed = await runStruck(restored, Infinity, 'refused')
  const counts = [...(await callsOfSteps(restored))]
  const at = counts.findIndex(([step]) => step === 'publishRun')
  const after = counts.slice(0, at).reduce((sum, [, calls]) => sum + calls, 0)
  publish = { after, calls: counts[at]?.[1] ?? 0 }
})

test('the undisturbed refresh is worth the comparison', () => {
  const { state, strike, errors } = undisturbed
  expect(errors).toEqual([])
  expect(strike.calls).toBeGreaterThan(80)
  // Seven shops in a new interval, and late events that have changed rows of published ones, but not all.
  const added = state.rows.length - before.rows.length
  expect(added).toBeGreaterThan(7 + 3)
  expect(added).toBeLessThan(7 + 3 * 7)
  expect(state.ledger.length).toBe(before.ledger.length + 1)
  // One of the intervals that are read again settles, and the new one may still lack events.
  const [settled, ...others] = before.unsettled
  expect(state.unsettled).toEqual([...others, (settled ?? 0) + 3 * 4 * 36e5])
  expect(state).toMatchObject({ lostRuns: 0, refs: ['main'], orphans: [], unknownVersions: 0, temporary: 0 })
})

const seed = Number(process.env['ASOF_TEST_SEED'] ?? Date.now() % 1_000)

describe(`a blow at one call of a refresh (ASOF_TEST_SEED=${seed})`, () => {
  const sampled = (flavour: Flavour) => sampledCalls(undisturbed, flavour, { sample, seed })

  test.each(flavours)('%s: tried again, it ends where the undisturbed one does', async (flavour) => {
    await expectSameEnd(restored, undisturbed, sampled(flavour), flavour)
  })

  test.each(flavours)('%s: given up, the janitor leaves the old state or the new one', async (flavour) => {
    await expectOldOrNew(restored, undisturbed, before, sampled(flavour), flavour)
  })

  test.each(flavours)(
    '%s: given up, the next refresh ends where the undisturbed one does',
    async (flavour) => {
      // Between the commit and the registry's record of it two runs are told apart by what the next one looks at.
      const { after, calls } = publish
      const inPublish = sampledCalls(undisturbed, flavour, { sample, seed, calls }).map(
        (call) => after + call,
      )
      await expectMended(restored, undisturbed, inPublish, flavour)
    },
  )
})
