/**
 * SIGKILL at every named step of a refresh, and of one that a gate blocks: begun, in the middle, and done but not
 * reported; while it waits; and when it is let through. Each case has a run of its own, from the same beginning.
 */
import { join } from 'node:path'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EndState } from '../faults/endState.ts'
import { callsOfSteps, runStruck } from '../faults/everyCall.ts'
import { runKilled, runKilledParked, runScheduledAlone, type ParkedBlows } from '../faults/killedRun.ts'
import { bundledWorkflows, endWorkers, type Blow, type Faults } from '../faults/killing.ts'
import { dearNow, nothingDear, restoredRefresh } from '../faults/restoredRefresh.ts'
import type { RestoredStore } from '../faults/restoredStore.ts'
import { startTemporal } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('killed-refreshes')
let temporal: TestWorkflowEnvironment
let faults: Omit<Faults, 'blows'>

beforeAll(async () => {
  temporal = await startTemporal()
  faults = { folder: join(folder, 'blows'), bundle: await bundledWorkflows(folder), holdMs: 0 }
})

afterAll(async () => {
  endWorkers()
  await temporal?.teardown()
})

const steps = [
  'planRefresh',
  'computeChunk',
  'stageRun',
  'judgeRun',
  'publishRun',
  'materializeGroup',
  'recordRun',
] as const
/** Which calls of a step are struck in the middle: every sixth one, beginning with the fourth. */
const [firstCall, stride] = [4, 6]
const sampled = (count: number) =>
  Array.from({ length: count }, (_, at) => at + 1).filter(
    (call) => call >= firstCall && (call - firstCall) % stride === 0,
  )

describe('a refresh', () => {
  let restored: RestoredStore
  let undisturbed: EndState
  let calls: Map<string, number>
  beforeAll(async () => {
    restored = await restoredRefresh(join(folder, 'plain'), nothingDear)
    calls = await callsOfSteps(restored)
    undisturbed = (await runStruck(restored, Infinity, 'refused')).state
  })

  async function expectSameEnd(step: Blow['step'], when: Blow['when']): Promise<void> {
    const killed = await runKilled(temporal, restored, { ...faults, blows: [{ step, when }] })
    expect(killed.struck).toEqual([`${step}-${when}`])
    // The history's own counter says that another worker began the step again.
    expect(killed.attempts).toEqual(steps.map((name) => ({ step: name, attempt: name === step ? 2 : 1 })))
    expect(killed.state, `${step}-${when}`).toEqual(undisturbed)
  }

  describe.each(steps)('%s', (step) => {
    test('killed when it begins', () => expectSameEnd(step, 'before'))
    test('killed in the middle', async () => {
      const middle = sampled(calls.get(step) ?? 0)
      expect(middle.length).toBeGreaterThan(0)
      for (const call of middle) await expectSameEnd(step, call)
    })
    test('killed when it is done and nobody has heard of it', () => expectSameEnd(step, 'after'))
  })

  test('every step scheduled while no worker is there', async () => {
    const run = await runScheduledAlone(temporal, restored, { ...faults, blows: [] })
    expect(run.waited).toEqual([...steps])
    expect(run.state).toEqual(undisturbed)
  })
})

describe('a refresh that a gate blocks', () => {
  const nothing: ParkedBlows = { parking: [], whileWaiting: false, publishing: [] }
  let restored: RestoredStore
  let undisturbed: EndState
  beforeAll(async () => {
    restored = await restoredRefresh(join(folder, 'dear'), dearNow)
    undisturbed = (await runKilledParked(temporal, restored, faults, nothing)).state
    // The new interval, and those of which late events had changed rows.
    expect(undisturbed.ledger.filter((entry) => entry.endsWith('true]'))).toHaveLength(4)
  })

  async function expectSameEnd(blows: Partial<ParkedBlows>): Promise<void> {
    const all = { ...nothing, ...blows }
    const killed = await runKilledParked(temporal, restored, faults, all)
    const [blow] = [...all.parking, ...all.publishing]
    expect(killed.struck).toEqual(blow === undefined ? [] : [`${blow.step}-${blow.when}`])
    const again = killed.attempts.filter(({ attempt }) => attempt > 1)
    expect(again).toEqual(blow === undefined ? [] : [{ step: blow.step, attempt: 2 }])
    expect(killed.state, JSON.stringify(blows)).toEqual(undisturbed)
  }

  test('killed while it waits', () => expectSameEnd({ whileWaiting: true }))

  test.each(['before', 2, 4, 'after'] as const)('killed when it parks: %s', async (when) => {
    await expectSameEnd({ parking: [{ step: 'parkRun', when }] })
  })

  test.each(['before', 2, 5, 8, 10, 'after'] as const)('killed when it is published: %s', async (when) => {
    await expectSameEnd({ publishing: [{ step: 'publishRun', when }] })
  })

  test.each(['materializeGroup', 'recordRun'] as const)('killed after it was published: %s', async (step) => {
    for (const when of ['before', 6, 'after'] as const) await expectSameEnd({ publishing: [{ step, when }] })
  })
})
