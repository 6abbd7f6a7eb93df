/**
 * SIGKILL at every named step of a backfill: scheduled with no worker there, begun, in the middle, and done but not
 * reported. Each case has a run of its own, from the same beginning.
 */
import { join } from 'node:path'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callsOfSteps, runStruck, type Struck } from '../faults/everyCall.ts'
import { runKilled, runScheduledAlone } from '../faults/killedRun.ts'
import { bundledWorkflows, endWorkers, type Blow } from '../faults/killing.ts'
import { restoredStore, type RestoredStore } from '../faults/restoredStore.ts'
import { startTemporal } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('killed-workers')
let temporal: TestWorkflowEnvironment
let restored: RestoredStore
let bundle: string
let undisturbed: Struck
let calls: Map<string, number>

beforeAll(async () => {
  temporal = await startTemporal()
  restored = await restoredStore(folder)
  bundle = await bundledWorkflows(folder)
  calls = await callsOfSteps(restored)
  undisturbed = await runStruck(restored, Infinity, 'refused')
})

afterAll(async () => {
  endWorkers()
  await temporal?.teardown()
})

const steps = [
  'planBackfill',
  'computeChunk',
  'stageRun',
  'judgeRun',
  'publishRun',
  'materializeGroup',
  'recordRun',
] as const
/** Which calls of a step are struck: every third one. */
const stride = 3

describe.each(steps)('%s', (step) => {
  async function expectSameEnd(when: Blow['when']): Promise<void> {
    const faults = { folder: join(folder, 'blows'), bundle, holdMs: 0, blows: [{ step, when }] }
    const killed = await runKilled(temporal, restored, faults)
    expect(killed.struck).toEqual([`${step}-${when}`])
    // The history's own counter says that another worker began the step again.
    expect(killed.attempts).toEqual(steps.map((name) => ({ step: name, attempt: name === step ? 2 : 1 })))
    expect(killed.state).toEqual(undisturbed.state)
  }

  test('killed when it begins', () => expectSameEnd('before'))

  test('killed in the middle', async () => {
    const count = calls.get(step) ?? 0
    expect(count).toBeGreaterThan(stride)
    for (let call = 1; call <= count; call += stride) await expectSameEnd(call)
  })

  test('killed when it is done and nobody has heard of it', () => expectSameEnd('after'))
})

test('every step scheduled while no worker is there', async () => {
  const run = await runScheduledAlone(temporal, restored, {
    folder: join(folder, 'blows'),
    bundle,
    holdMs: 0,
    blows: [],
  })
  expect(run.waited).toEqual([...steps])
  expect(run.state).toEqual(undisturbed.state)
})
