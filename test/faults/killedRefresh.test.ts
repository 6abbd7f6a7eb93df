/** A worker that is killed in a refresh, and in one that a gate blocks; and what the janitor makes of refreshes that were terminated. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStore } from '../../worker/openStore.ts'
import { startTemporal } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { runStruck } from './everyCall.ts'
import { decide, override, parkedOf, runKilled, runKilledParked, startRun } from './killedRun.ts'
import {
  attemptsOf,
  bundledWorkflows,
  endWorkers,
  noticeDeath,
  startWorker,
  type Blow,
  type Faults,
} from './killing.ts'
import { dearNow, group, nothingDear, restoredRefresh } from './restoredRefresh.ts'
import type { RestoredStore } from './restoredStore.ts'

const folder = temporaryFolder('killed-refresh')
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

const namesOf = (blows: readonly Blow[]) => blows.map(({ step, when }) => `${step}-${when}`).sort()

test('killed in three steps of a refresh', { timeout: 120_000 }, async () => {
  const restored = await restoredRefresh(join(folder, 'plain'), nothingDear)
  const undisturbed = await runStruck(restored, Infinity, 'refused')
  const blows: Blow[] = [
    { step: 'planRefresh', when: 12 },
    { step: 'publishRun', when: 'after' },
    { step: 'recordRun', when: 6 },
  ]
  const killed = await runKilled(temporal, restored, { ...faults, blows })
  expect(killed.struck.sort()).toEqual(namesOf(blows))
  expect(killed.attempts.filter(({ attempt }) => attempt === 2).map(({ step }) => step)).toEqual(
    blows.map(({ step }) => step),
  )
  expect(killed.state).toEqual(undisturbed.state)
})

describe('a refresh that a gate blocks', () => {
  let restored: RestoredStore
  beforeAll(async () => {
    restored = await restoredRefresh(join(folder, 'dear'), dearNow)
  })

  test('killed when it parks, while it waits and when it is let through', { timeout: 180_000 }, async () => {
    const nothing = { parking: [], whileWaiting: false, publishing: [] }
    const undisturbed = await runKilledParked(temporal, restored, faults, nothing)
    // The new interval, and those of which late events had changed rows.
    expect(undisturbed.state.ledger.filter((entry) => entry.endsWith('true]'))).toHaveLength(4)
    const parking: Blow[] = [{ step: 'parkRun', when: 'after' }]
    const publishing: Blow[] = [{ step: 'publishRun', when: 9 }]
    const killed = await runKilledParked(temporal, restored, faults, {
      parking,
      whileWaiting: true,
      publishing,
    })
    expect(killed.struck.sort()).toEqual(namesOf([...parking, ...publishing]))
    expect(killed.attempts.filter(({ attempt }) => attempt === 2).map(({ step }) => step)).toEqual([
      'parkRun',
      'publishRun',
    ])
    expect(killed.state).toEqual(undisturbed.state)
  })

  test(
    'decided before the step that parks is tried again: it stays decided',
    { timeout: 120_000 },
    async () => {
      const { handle, parked, run, store, close } = await afterDeathAt(restored, {
        step: 'parkRun',
        when: 'after',
      })
      try {
        await decide(parked, { decision: 'abort' })
        expect(await parked.result()).toMatchObject({ outcome: 'aborted' })
        await noticeDeath(temporal.client, handle)
        expect(await handle.result()).toMatchObject({ outcome: 'parked' })
        expect((await attemptsOf(handle)).at(-1)).toEqual({ step: 'parkRun', attempt: 2 })
        expect((await store.registry.run(handle.firstExecutionRunId))?.status).toBe('aborted')
        // Nobody holds its interval any more: the next refresh computes it.
        expect(await run('refresh', { group })).toMatchObject({ intervals: 1 })
      } finally {
        await close()
      }
    },
  )

  test(
    'terminated before the registry knows who waits: the janitor leaves it',
    { timeout: 120_000 },
    async () => {
      const { handle, parked, run, store, close } = await afterDeathAt(restored, {
        step: 'parkRun',
        when: 'before',
      })
      try {
        await handle.terminate('between its last two steps')
        expect(await run('janitor', { group, olderThan: '0s' })).toMatchObject({ runs: 0, files: 0 })
        expect((await store.registry.run(handle.firstExecutionRunId))?.status).toBe('running')
        await decide(parked, override)
        expect(await parked.result()).toMatchObject({ outcome: 'published', intervals: 1 })
      } finally {
        await close()
      }
    },
  )
})

test(
  'terminated between publish and load: closed as published, and the next load catches up',
  { timeout: 120_000 },
  async () => {
    const restored = await restoredRefresh(join(folder, 'published'), nothingDear)
    const undisturbed = await runStruck(restored, Infinity, 'refused')
    const { handle, run, store, close } = await afterDeathAt(restored, {
      step: 'materializeGroup',
      when: 'before',
    })
    try {
      await handle.terminate('between publish and load')
      expect(await run('janitor', { group, olderThan: '0s' })).toMatchObject({ runs: 1, branches: 0 })
      expect(await store.registry.run(handle.firstExecutionRunId)).toMatchObject({
        status: 'published',
        reason: expect.stringContaining('not open') as string,
      })
      expect(await run('refresh', { group })).toMatchObject({ outcome: 'nothing_to_do', intervals: 0 })
      await run('materialize', { group })
      // Everything but the runs themselves, of which there is one more.
      const { runs, ...state } = await restored.run.endState(store)
      const { runs: runsThen, ...stateThen } = undisturbed.state
      expect(state).toEqual(stateThen)
      expect(runs).toHaveLength(runsThen.length + 1)
    } finally {
      await close()
    }
  },
)

/** The refresh on a worker that dies at this blow, and another worker after it. */
async function afterDeathAt(restored: RestoredStore, blow: Blow) {
  const marks = join(folder, 'one')
  rmSync(marks, { recursive: true, force: true })
  mkdirSync(marks, { recursive: true })
  const { config, handle } = await startRun(temporal, restored)
  const dying = startWorker(config, temporal.address, { ...faults, folder: marks, blows: [blow] })
  expect(await dying.ended).toBe('SIGKILL')
  const { child, ended } = startWorker(config, temporal.address, { ...faults, folder: marks, blows: [] })
  const store = await openStore(config)
  return {
    ...{ handle, store },
    parked: parkedOf(temporal, restored, handle),
    /** Another workflow of this store, to its end. */
    async run(workflow: string, input: object): Promise<unknown> {
      const started = await temporal.client.workflow.start(workflow, {
        ...{ taskQueue: config.taskQueue, workflowId: `${workflow}-${randomUUID()}`, args: [input] },
      })
      return started.result()
    },
    async close() {
      child.kill('SIGKILL')
      await ended
      await store.close()
    },
  }
}
