/** A run that dies between any two calls to its file store, catalog or registry ends where an undisturbed one does. */
import { beforeAll, describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import {
  expectJanitorSurvives,
  expectOldOrNew,
  expectSameEnd,
  runStruck,
  sampledCalls,
  stagedCall,
  stateBefore,
  type Struck,
} from './everyCall.ts'
import { restoredStore, type RestoredStore } from './restoredStore.ts'
import { flavours, type Flavour } from './strike.ts'

/** How many calls of a run are struck here, of each flavour; `npm run test:long` strikes all of them. */
const sample = 4
const folder = temporaryFolder('every-call')
let restored: RestoredStore
let undisturbed: Struck
let before: Struck['state']

beforeAll(async () => {
  restored = await restoredStore(folder)
  before = await stateBefore(restored)
  undisturbed = await runStruck(restored, Infinity, 'refused')
})

test('the undisturbed run is worth the comparison', () => {
  const { state, strike, errors } = undisturbed
  expect(errors).toEqual([])
  expect(strike.calls).toBeGreaterThan(50)
  expect(state.rows.length).toBeGreaterThan(500)
  expect(state.files.some((name) => name.includes('/edge-'))).toBe(true)
  expect(state).toMatchObject({ lostRuns: 0, refs: ['main'], orphans: [], unknownVersions: 0, temporary: 0 })
})

const seed = Number(process.env['ASOF_TEST_SEED'] ?? Date.now() % 1_000)

const sampled = (flavour: Flavour, calls?: number) =>
  sampledCalls(undisturbed, flavour, { sample, seed, calls })

describe(`a blow at one call (ASOF_TEST_SEED=${seed})`, () => {
  test.each(flavours)('%s: tried again, the run ends where the undisturbed one does', async (flavour) => {
    await expectSameEnd(restored, undisturbed, sampled(flavour), flavour)
  })

  test.each(flavours)('%s: given up, the janitor leaves the old state or the new one', async (flavour) => {
    await expectOldOrNew(restored, undisturbed, before, sampled(flavour), flavour)
  })

  test.each(flavours)('%s, to the janitor: begun again, it leaves the same', async (flavour) => {
    const places = (calls: number) => sampled(flavour, calls)
    await expectJanitorSurvives(restored, stagedCall(undisturbed), places, flavour)
  })
})
