/** Every call of a refresh to its file store, catalog and registry, struck in every way. */
import { beforeAll, describe, expect, test } from 'vitest'
import {
  expectJanitorSurvives,
  expectMended,
  expectOldOrNew,
  expectSameEnd,
  runStruck,
  stagedCall,
  stateBefore,
  type Struck,
} from '../faults/everyCall.ts'
import { nothingDear, restoredRefresh } from '../faults/restoredRefresh.ts'
import type { RestoredStore } from '../faults/restoredStore.ts'
import { flavours } from '../faults/strike.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('every-call-of-refresh')
let restored: RestoredStore
let undisturbed: Struck
let before: Struck['state']
let calls: number[]

beforeAll(async () => {
  restored = await restoredRefresh(folder, nothingDear)
  before = await stateBefore(restored)
  undisturbed = await runStruck(restored, Infinity, 'refused')
  calls = Array.from({ length: undisturbed.strike.calls }, (_, at) => at + 1)
})

describe('a blow at every call of a refresh', () => {
  test.each(flavours)('%s: tried again, it ends where the undisturbed one does', async (flavour) => {
    const struck = await expectSameEnd(restored, undisturbed, calls, flavour)
    expect(new Set(struck.map((call) => call.split(',')[0]))).toContain('catalog.commit')
  })

  test.each(flavours)('%s: given up, the janitor leaves the old state or the new one', async (flavour) => {
    const ends = await expectOldOrNew(restored, undisturbed, before, calls, flavour)
    console.log(`${flavour}: ${ends.old} times the old state, ${ends.new} times the new one`)
    expect(Math.min(ends.old, ends.new)).toBeGreaterThan(5)
  })

  test.each(flavours)(
    '%s: given up, the next refresh ends where the undisturbed one does',
    async (flavour) => {
      const outcomes = await expectMended(restored, undisturbed, calls, flavour)
      console.log(`${flavour}: the next refresh ${JSON.stringify(outcomes)}`)
      expect(Object.keys(outcomes).sort()).toEqual(['nothing_to_do', 'published'])
    },
  )

  test.each(flavours)('%s, to the janitor: begun again, it leaves the same', async (flavour) => {
    const all = (count: number) => Array.from({ length: count }, (_, at) => at + 1)
    expect(await expectJanitorSurvives(restored, stagedCall(undisturbed), all, flavour)).toBeGreaterThan(20)
  })
})
