/** A run that a person let through and that died on its way: whoever heals the ledger knows that it was let through. */
import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { createActivities } from '../../activities/index.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { dearNow, group, restoredRefresh } from './restoredRefresh.ts'
import type { RestoredStore } from './restoredStore.ts'
import { Strike } from './strike.ts'

const folder = temporaryFolder('let-through')
let restored: RestoredStore

beforeAll(async () => {
  restored = await restoredRefresh(folder, dearNow)
})

/** A refresh that a gate blocks, and that is published by an override whose step dies at this call. */
async function publishedUpTo(at: number) {
  const opened = await restored.open()
  const { store, close } = opened
  try {
    const steps = createActivities(store)
    const runId = randomUUID()
    const workflowId = `driven/${runId}`
    const plan = await steps.planRefresh({ group, runId, workflowId })
    for (let chunk = 0; chunk < plan.chunks; chunk++) await steps.computeChunk({ ...plan, chunk })
    const staged = await steps.stageRun(plan)
    expect((await steps.judgeRun({ ...plan, staged })).verdict).toBe('block')
    await steps.parkRun({ ...plan, workflowId })
    const strike = new Strike(at, 'dead before')
    const override = { name: 'Ada', reason: 'the order is real' }
    await createActivities(strike.lifeOf(store, opened))
      .publishRun({ ...plan, staged, override })
      .catch(() => undefined)
    // The ledger is healed by whoever comes next.
    const state = await restored.run.endState(store)
    const isLetThrough = state.ledger.some((entry) => entry.endsWith('true]'))
    return { struck: strike.struck, isPublished: state.ledger.length === 5, isLetThrough }
  } finally {
    await close()
  }
}

test('struck at every call of its publish', async () => {
  let published = 0
  for (let at = 1; ; at++) {
    const { struck, isPublished, isLetThrough } = await publishedUpTo(at)
    expect(isLetThrough, `call ${at}: ${struck}`).toBe(isPublished)
    if (isPublished && struck !== null) published += 1
    if (struck === null) break
  }
  expect(published).toBeGreaterThan(1)
})
