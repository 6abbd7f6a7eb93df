/**
 * The worker of `worker/main.ts`, which kills itself with SIGKILL where it is told to: before a step, at the n-th call
 * that the step makes to file store, catalog or registry, or once the step is done and before anybody hears of it.
 * Each blow strikes once: what has struck is a file in a folder that the next worker looks into.
 *
 *     ASOF_TEST_FAULTS='{"folder": "/tmp/x", "bundle": "/tmp/w.js", "holdMs": 0, "blows": [{"step": "stageRun", "when": 3}]}'
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createActivities, type ActivityDeps } from '../../activities/index.ts'
import { readConfig } from '../../worker/config.ts'
import { runWorker } from '../../worker/runWorker.ts'
import type { Activities } from '../../workflows/contract.ts'
import type { Blow, Faults } from './killing.ts'
import { catalogParts } from './restoredStore.ts'
import { Strike } from './strike.ts'

const { folder, bundle, blows, holdMs, graceMs, only } = JSON.parse(
  process.env['ASOF_TEST_FAULTS'] ?? '',
) as Faults
const config = readConfig(process.env, process.cwd())

function kill({ step, when }: Blow): void {
  const mark = join(folder, `${step}-${when}`)
  writeFileSync(mark, '')
  process.kill(process.pid, 'SIGKILL')
  // The signal is on its way; nothing more may happen.
  for (;;);
}

const isDue = ({ step, when }: Blow) => !existsSync(join(folder, `${step}-${when}`))

/** The step as it is, with the blows that are meant for it. */
function struck(deps: ActivityDeps, name: keyof Activities): (input: never) => Promise<unknown> {
  return async (input) => {
    const [blow] = blows.filter((one) => one.step === name && isDue(one))
    const due = (when: Blow['when']) => {
      if (blow?.when === when) kill(blow)
    }
    due('before')
    if (name === 'computeChunk' && holdMs > 0) await new Promise((resolve) => setTimeout(resolve, holdMs))
    let steps = createActivities(deps)
    if (blow !== undefined && typeof blow.when === 'number') {
      const strike = new Strike(blow.when, 'dead after', () => kill(blow))
      const offsetMs = await deps.registry.clockOffsetMs()
      steps = createActivities(strike.lifeOf(deps, await catalogParts(config, offsetMs)))
    }
    const answer: unknown = await (steps[name] as (given: never) => Promise<unknown>)(input)
    due('after')
    return answer
  }
}

function dyingActivities(deps: ActivityDeps): Activities {
  const names = Object.keys(createActivities(deps)) as (keyof Activities)[]
  return Object.fromEntries(names.map((name) => [name, struck(deps, name)])) as unknown as Activities
}

await runWorker(config, {
  ...(only === 'workflows'
    ? { createActivities: () => ({}) as Activities }
    : { createActivities: dyingActivities }),
  options: {
    // Without a cache, so that tasks for a dead worker's cache do not wait ten seconds for it.
    maxCachedWorkflows: 0,
    ...(graceMs === undefined ? {} : { shutdownGraceTime: graceMs }),
    ...(only === 'activities' ? { workflowsPath: undefined } : { workflowBundle: { codePath: bundle } }),
  },
})
