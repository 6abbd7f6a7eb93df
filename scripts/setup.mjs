/**
 * Set-up: `node scripts/setup.mjs demo|test|long` makes sure that everything is there which the command after it needs.
 * It says what it installs, does nothing where nothing is missing, and names the cure where it cannot help itself.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  ensureChromium,
  ensureFeast,
  ensurePyIceberg,
  ensureRedis,
  ensureSchemathesis,
  ensureTemporal,
  ensureWrk,
} from './tools.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const say = (/** @type {string} */ sentence) => console.error(`set-up: ${sentence}`)

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node ${process.versions.node} is too old. Install Node 20.19 or newer.`)
  }
}

/** `npm ci` where the packages are missing or older than the lock file. */
function ensurePackages() {
  const installed = join(root, 'node_modules', '.package-lock.json')
  const lock = join(root, 'package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  say('Installing the packages of package-lock.json.')
  const { status } = spawnSync('npm', ['ci', '--loglevel=error'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error('npm ci failed; what it said stands above.')
}

const wants = {
  demo: [ensureTemporal],
  test: [ensureTemporal, ensurePyIceberg, ensureChromium, ensureRedis],
  long: [
    ensureTemporal,
    ensurePyIceberg,
    ensureChromium,
    ensureRedis,
    ensureSchemathesis,
    ensureFeast,
    ensureWrk,
  ],
}

try {
  const want = process.argv[2]
  if (want !== 'demo' && want !== 'test' && want !== 'long')
    throw new Error('Usage: node scripts/setup.mjs demo|test|long')
  checkNode()
  ensurePackages()
  for (const ensure of wants[want]) await ensure(say)
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
}
