/**
 * `npm run test:long`, after its set-up: ten times the random groups against the oracle and a week by the hour, then
 * bounds, soak and every fault.
 */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const vitest = join(root, 'node_modules', '.bin', 'vitest')
const runs = [
  ['run', 'test/offline/windows.test.ts', 'test/scenarios/week.test.ts'],
  ['run', '--config', 'vitest.long.config.ts'],
]
let failed = false
for (const args of runs) {
  const env = { ASOF_TEST_GROUPS: '480', ASOF_TEST_WEEK: '1h', ...process.env }
  const { status } = spawnSync(vitest, args, { cwd: root, stdio: 'inherit', env })
  failed ||= status !== 0
}
process.exitCode = failed ? 1 : 0
