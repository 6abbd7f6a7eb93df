/**
 * Committed histories replay on today's workflow code: a deploy does not break runs that are under way.
 *
 * `npm run record-histories` writes them anew, after a change that `patched()` guards; no test does.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { DeterminismViolationError } from '@temporalio/workflow'
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundle } from '@temporalio/worker'
import { workflowGuardPath } from '../../worker/payloadGuard.ts'
import { quietRuntime } from '../support/temporal.ts'
import { beforeAll, describe, expect, test } from 'vitest'

const histories = new URL('../histories/', import.meta.url)
const names = readdirSync(histories).filter((name) => name.endsWith('.json'))

const bundle = (path: string) =>
  bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL(path, import.meta.url)),
    workflowInterceptorModules: [workflowGuardPath],
    logger: new DefaultLogger('ERROR'),
  })

const replay = (workflowBundle: WorkflowBundle, name: string) => {
  const history: unknown = JSON.parse(readFileSync(new URL(name, histories), 'utf8'))
  return Worker.runReplayHistory({ workflowBundle }, history, name)
}

describe('replay', () => {
  let today: WorkflowBundle
  let broken: WorkflowBundle
  beforeAll(async () => {
    quietRuntime()
    today = await bundle('../../workflows/index.ts')
    broken = await bundle('./brokenTwin/index.ts')
  })

  test('there is a history of every workflow, and of every way in which a run ends', () => {
    expect(names.sort()).toEqual([
      'backfill-aborted.json',
      'backfill-failed.json',
      'backfill-nothing-to-do.json',
      'backfill-overridden.json',
      'backfill-published.json',
      'janitor-training.json',
      'janitor.json',
      'materialize.json',
      'parked-overridden.json',
      'refresh-nothing-to-do.json',
      'refresh-parked.json',
      'refresh-published.json',
      'training-built.json',
      'training-refused.json',
    ])
  })

  test.each(names)('%s', async (name) => {
    await replay(today, name)
  })

  test.each(names)('a broken twin fails on %s', async (name) => {
    await expect(replay(broken, name)).rejects.toThrow(DeterminismViolationError)
  })
})
