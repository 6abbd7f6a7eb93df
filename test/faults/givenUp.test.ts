/** Steps that were given up (their workflow was cancelled) and still go on while their run is taken back. */
import { randomUUID } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { createActivities, type ActivityDeps } from '../../activities/index.ts'
import { publishedRows } from '../support/published.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { endState } from './endState.ts'
import { stateBefore, type Struck } from './everyCall.ts'
import { group, restoredStore, rewrite, type OpenedStore, type RestoredStore } from './restoredStore.ts'

const folder = temporaryFolder('given-up')
let restored: RestoredStore
let before: Struck['state']

beforeAll(async () => {
  restored = await restoredStore(folder)
  before = await stateBefore(restored)
})

/** A run that is staged and judged; its next step would publish it. */
async function stagedRun({ store }: OpenedStore) {
  const steps = createActivities(store)
  const runId = randomUUID()
  const plan = await steps.planBackfill({ ...rewrite, runId, workflowId: `driven/${runId}` })
  for (let chunk = 0; chunk < plan.chunks; chunk++) await steps.computeChunk({ ...plan, chunk })
  const staged = await steps.stageRun(plan)
  await steps.judgeRun({ ...plan, staged })
  return { runId, plan, publish: () => steps.publishRun({ ...plan, staged }) }
}

/** The registry, which lets something else happen right before it notes how a run ended. */
const interrupted = (deps: ActivityDeps, meanwhile: () => Promise<unknown>): ActivityDeps => ({
  ...deps,
  registry: new Proxy(deps.registry, {
    get: (target, key) => {
      if (key !== 'updateRun') return Reflect.get(target, key) as unknown
      return async (...given: Parameters<typeof target.updateRun>) => {
        await meanwhile()
        return target.updateRun(...given)
      }
    },
  }),
})

test('a publish that comes while the run is taken back is refused, and no published file is deleted', async () => {
  const opened = await restored.open()
  try {
    const { runId, publish } = await stagedRun(opened)
    const said: string[] = []
    const late = () =>
      publish().then(
        () => said.push('published'),
        (error: unknown) => said.push(String(error)),
      )
    const { abandonRun } = createActivities(interrupted(opened.store, late))
    await abandonRun({ runId, group, outcome: 'cancelled', reason: 'cancelled' })
    expect(said).toEqual([expect.stringMatching(/run-.* is at no snapshot, not at \d+/)])
    expect(await publishedRows(opened.store, group)).toEqual(before.rows)
    const { runs, ...state } = await endState(opened.store, group)
    const { runs: runsBefore, ...stateThen } = before
    expect(state).toEqual(stateThen)
    expect(runs).toEqual([...runsBefore, expect.stringContaining('"cancelled"')])
  } finally {
    await opened.close()
  }
})

test('a run that was published before it is taken back stays published, and what it left goes', async () => {
  const opened = await restored.open()
  try {
    const { runId, publish } = await stagedRun(opened)
    await publish()
    const rows = await publishedRows(opened.store, group)
    const { abandonRun } = createActivities(opened.store)
    await abandonRun({ runId, group, outcome: 'failed', reason: 'the load failed' })
    await abandonRun({ runId, group, outcome: 'failed', reason: 'the load failed' })
    const state = await endState(opened.store, group)
    expect(state.runs.at(-1)).toMatch(/"rewrite","published",.*"the load failed"/)
    expect(state.rows).toEqual(rows)
    expect([state.orphans, state.refs]).toEqual([[], ['main']])
    expect(state.files.filter((name) => name.startsWith('runs/'))).toEqual([])
  } finally {
    await opened.close()
  }
})
