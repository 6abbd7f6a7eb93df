/** A worker that is killed in every step of a backfill, each time in another way: the end is that of an undisturbed run. */
import { join } from 'node:path'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTemporal } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { runStruck } from './everyCall.ts'
import { runKilled } from './killedRun.ts'
import { bundledWorkflows, endWorkers, type Blow } from './killing.ts'
import { restoredStore, type RestoredStore } from './restoredStore.ts'

const folder = temporaryFolder('killed-worker')
let temporal: TestWorkflowEnvironment
let restored: RestoredStore
let bundle: string

beforeAll(async () => {
  temporal = await startTemporal()
  restored = await restoredStore(folder)
  bundle = await bundledWorkflows(folder)
})

afterAll(async () => {
  endWorkers()
  await temporal?.teardown()
})

/** Calls are chosen to lie between the halves of what a step does. */
const blows: Blow[] = [
  { step: 'planBackfill', when: 'after' },
  { step: 'computeChunk', when: 6 },
  { step: 'stageRun', when: 16 },
  { step: 'judgeRun', when: 'before' },
  { step: 'publishRun', when: 'after' },
  { step: 'materializeGroup', when: 5 },
  { step: 'recordRun', when: 6 },
]

test('killed once in every step', { timeout: 180_000 }, async () => {
  const undisturbed = await runStruck(restored, Infinity, 'refused')
  const killed = await runKilled(temporal, restored, {
    folder: join(folder, 'blows'),
    bundle,
    holdMs: 0,
    blows,
  })
  expect(killed.struck.sort()).toEqual(blows.map(({ step, when }) => `${step}-${when}`).sort())
  // The history's own counter: every step was begun again by another worker.
  expect(killed.attempts).toEqual(blows.map(({ step }) => ({ step, attempt: 2 })))
  expect(killed.state).toEqual(undisturbed.state)
})
