/**
 * `npm test` after its set-up: format, lint, types, then every test with the real components.
 * The last line is `N passed, N failed`; the three checks count as one test each.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const folder = mkdtempSync(join(tmpdir(), 'asof-test-'))
const report = join(folder, 'report.json')
let passed = 0
let failed = 0

/**
 * @param {string} what
 * @param {string[]} command a program of node_modules/.bin and its arguments
 */
function check(what, [program = '', ...args]) {
  console.log(`== ${what}`)
  const { status } = spawnSync(join(root, 'node_modules', '.bin', program), args, {
    cwd: root,
    stdio: 'inherit',
  })
  return status === 0
}

/** @param {boolean} ok */
function count(ok) {
  if (ok) passed += 1
  else failed += 1
}

try {
  count(check('format', ['prettier', '--check', '--log-level', 'warn', '.']))
  count(check('lint', ['eslint', '.']))
  count(check('types', ['tsc', '-p', 'tsconfig.json']))
  count(check('types of the workflow room', ['tsc', '-p', 'workflows/tsconfig.json']))
  const ok = check('tests', [
    'vitest',
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ])
  const { numPassedTests, numFailedTests, numTotalTests } = JSON.parse(readFileSync(report, 'utf8'))
  passed += numPassedTests
  // A suite that does not even load has no failed test of its own, and a test that did not run has not passed.
  failed += Math.max(numFailedTests, numTotalTests - numPassedTests, ok ? 0 : 1)
} catch (error) {
  console.error(error)
  failed += 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exitCode = failed === 0 ? 0 : 1
console.log(`${passed} passed, ${failed} failed`)
