/**
 * The programs that Asof needs beside npm's packages, and how a fresh machine gets them.
 *
 * Plain JavaScript without imports from npm, because it runs before anything is installed. Everything it makes lies in
 * one cache folder, `~/.cache/asof` (or `$XDG_CACHE_HOME/asof`), and is found there the next time.
 */
import { spawn, spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'

export const temporalCliVersion = '1.5.1'
export const pyIcebergVersion = '0.12.0'
export const feastVersion = '0.67.0'
export const schemathesisVersion = '4.32.5'

/** Where downloaded and built programs are kept. */
export function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'asof')
}

/**
 * @param {string} name
 * @returns {string | null}
 */
export function findOnPath(name) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    if (folder !== '' && isExecutable(path)) return path
  }
  return null
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * The Temporal command line with its development server: `ASOF_TEMPORAL_CLI`, on the PATH, or in the cache.
 * @returns {string | null}
 */
export function findTemporal() {
  const named = process.env.ASOF_TEMPORAL_CLI
  if (named) return isExecutable(named) ? named : null
  const cached = join(cacheFolder(), `temporal-${temporalCliVersion}`, 'temporal')
  return findOnPath('temporal') ?? (isExecutable(cached) ? cached : null)
}

/**
 * Finds, downloads or builds the Temporal server.
 * @param {(sentence: string) => void} say
 * @returns {Promise<string>} its path
 */
export async function ensureTemporal(say) {
  const found = findTemporal()
  if (found !== null) return found
  const folder = join(cacheFolder(), `temporal-${temporalCliVersion}`)
  mkdirSync(folder, { recursive: true })
  say('There is no Temporal server on this machine yet; trying the download of the Temporal SDK.')
  const refusal = await downloadTemporal(folder)
  if (refusal === null) return join(folder, 'temporal')
  if (findOnPath('go') === null) throw new Error(temporalCure(refusal))
  say(`The download did not work (${refusal}). Building it with Go instead: about four minutes, once.`)
  const built = await run(
    'go',
    ['install', `github.com/temporalio/cli/cmd/temporal@v${temporalCliVersion}`],
    {
      GOBIN: folder,
    },
  )
  if (built.code !== 0) throw new Error(temporalCure(built.output.split('\n').slice(-5).join(' ')))
  return join(folder, 'temporal')
}

/** @param {string} reason */
function temporalCure(reason) {
  return `No Temporal server could be had (${reason}). Install the Temporal command line so that \`temporal\` is on the PATH, or install Go 1.24 or newer and run this again, or set TEMPORAL_ADDRESS to a server that runs.`
}

/**
 * The SDK's own download: it starts a server once and leaves the program in the folder.
 * @param {string} folder
 * @returns {Promise<string | null>} why it did not work
 */
async function downloadTemporal(folder) {
  try {
    const { TestWorkflowEnvironment } = await import('@temporalio/testing')
    const environment = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'cached-download', downloadDir: folder } },
    })
    await environment.teardown()
    const name = readdirSync(folder).find((entry) => entry.startsWith('temporal-sdk-typescript'))
    if (name === undefined) return 'the download left no program'
    renameSync(join(folder, name), join(folder, 'temporal'))
    return null
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return message.split(/[\n(]/)[0]?.trim() ?? message
  }
}

/** Python with PyIceberg, the independent reader that the tests hold our tables against. */
export const pyIcebergPython = () => pythonOf(pyIceberg)

/** @param {(sentence: string) => void} say */
export const ensurePyIceberg = (say) => ensurePython(pyIceberg, say)

/**
 * Python with Feast, which the bench measures beside ours where it is asked to.
 * @param {(sentence: string) => void} say
 */
export const ensureFeast = (say) => ensurePython(feast, say)

/**
 * Python with Schemathesis, which makes requests from the reader's own description of itself.
 * @param {(sentence: string) => void} say
 */
export const ensureSchemathesis = (say) => ensurePython(schemathesis, say)

/**
 * A Python package in a virtual environment of its own.
 * @typedef {object} PythonPackage
 * @property {string} name
 * @property {string} version
 * @property {string} wanted as pip takes it
 * @property {string} imports what has to be there for it to work
 * @property {string} variable that names a Python which has it
 */

/** @type {PythonPackage} */
const pyIceberg = {
  name: 'PyIceberg',
  version: pyIcebergVersion,
  // With the catalog in SQLite, Arrow, and the core that it partitions with.
  wanted: `pyiceberg[sql-sqlite,pyarrow,pyiceberg-core]==${pyIcebergVersion}`,
  imports: 'pyiceberg, pyarrow, sqlalchemy, pyiceberg_core',
  variable: 'ASOF_PYICEBERG_PYTHON',
}

/** @type {PythonPackage} */
const feast = {
  name: 'Feast',
  version: feastVersion,
  wanted: `feast[duckdb,redis]==${feastVersion}`,
  imports: 'feast, duckdb, ibis, pandas, redis',
  variable: 'ASOF_FEAST_PYTHON',
}

/** @type {PythonPackage} */
const schemathesis = {
  name: 'Schemathesis',
  version: schemathesisVersion,
  wanted: `schemathesis==${schemathesisVersion}`,
  imports: 'schemathesis',
  variable: 'ASOF_SCHEMATHESIS_PYTHON',
}

/** @param {PythonPackage} which */
const folderOf = ({ name, version }) => join(cacheFolder(), `${name.toLowerCase()}-${version}`)

/** @param {PythonPackage} which */
const pythonOf = (which) => process.env[which.variable] ?? join(folderOf(which), 'bin', 'python')

/**
 * @param {PythonPackage} which
 * @param {(sentence: string) => void} say
 * @returns {Promise<string>} the Python
 */
async function ensurePython(which, say) {
  const { name, version, wanted, imports, variable } = which
  const python = pythonOf(which)
  if (existsSync(python) && spawnSync(python, ['-c', `import ${imports}`]).status === 0) return python
  const cure = `Make a virtual environment with '${wanted}' and set ${variable} to its python.`
  const host = findOnPath('python3')
  if (host === null) throw new Error(`${name} needs Python 3.10 or newer with its venv module. ${cure}`)
  say(`Installing ${name} ${version} into a virtual environment of its own, once.`)
  const folder = folderOf(which)
  mkdirSync(cacheFolder(), { recursive: true })
  for (const [command, args] of /** @type {[string, string[]][]} */ ([
    [host, ['-m', 'venv', folder]],
    [join(folder, 'bin', 'pip'), ['install', '--quiet', wanted]],
  ])) {
    const { code, output } = await run(command, args, {})
    if (code !== 0) throw new Error(`${name} could not be installed: ${output.trim().slice(-400)} ${cure}`)
  }
  return join(folder, 'bin', 'python')
}

/** @returns {string | null} */
export function findChromium() {
  const named = process.env.ASOF_CHROMIUM
  if (named) return isExecutable(named) ? named : null
  return (
    ['chromium', 'chromium-browser', 'google-chrome'].map(findOnPath).find((path) => path !== null) ?? null
  )
}

/** @param {(sentence: string) => void} say */
export async function ensureChromium(say) {
  if (findChromium() !== null) return
  const cure =
    'Install Chromium (Debian: apt-get install chromium) or set ASOF_CHROMIUM to a browser that is there.'
  await installFromDebian({ name: 'Chromium', debian: 'chromium', cure }, say)
}

/**
 * The Redis server that the tests start for themselves: `ASOF_REDIS_SERVER`, or on the PATH.
 * @returns {string | null}
 */
export function findRedis() {
  const named = process.env.ASOF_REDIS_SERVER
  if (named) return isExecutable(named) ? named : null
  return findOnPath('redis-server')
}

/** @param {(sentence: string) => void} say */
export async function ensureRedis(say) {
  if (findRedis() !== null) return
  const cure =
    'Install Redis (Debian: apt-get install redis-server) or set ASOF_REDIS_SERVER to a redis-server that is there.'
  // The package would start a server of its own on the default port; the tests start theirs.
  const environment = { RUNLEVEL: '1' }
  await installFromDebian({ name: 'redis-server', debian: 'redis-server', cure, environment }, say)
  await run('service', ['redis-server', 'stop'], {})
}

/**
 * The load generator of the bench: `ASOF_WRK`, or on the PATH.
 * @returns {string | null}
 */
export function findWrk() {
  const named = process.env.ASOF_WRK
  if (named) return isExecutable(named) ? named : null
  return findOnPath('wrk')
}

/**
 * @param {(sentence: string) => void} say
 * @returns {Promise<string>} its path
 */
export async function ensureWrk(say) {
  const cure = 'Install wrk (Debian: apt-get install wrk) or set ASOF_WRK to a wrk that is there.'
  if (findWrk() === null) await installFromDebian({ name: 'wrk', debian: 'wrk', cure }, say)
  const found = findWrk()
  if (found === null) throw new Error(`There is no wrk here. ${cure}`)
  return found
}

/**
 * A program that Debian packages.
 * @typedef {object} DebianPackage
 * @property {string} name
 * @property {string} debian what the package is called
 * @property {string} cure what to do where it cannot be installed from here
 * @property {Record<string, string>} [environment] of the installation
 */

/**
 * @param {DebianPackage} which
 * @param {(sentence: string) => void} say
 */
async function installFromDebian({ name, debian, cure, environment = {} }, say) {
  if (findOnPath('apt-get') === null || process.getuid?.() !== 0)
    throw new Error(`There is no ${name} here. ${cure}`)
  say(`Installing ${name} from the Debian packages, once.`)
  for (const args of [
    ['update', '-qq'],
    ['install', '-y', '-qq', debian],
  ]) {
    const { code, output } = await run('apt-get', args, { DEBIAN_FRONTEND: 'noninteractive', ...environment })
    if (code !== 0) throw new Error(`apt-get ${args[0]} failed: ${output.trim().slice(-400)} ${cure}`)
  }
}

/**
 * Runs a command to its end and keeps what it said.
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} environment
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run(command, args, environment) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    child.stdout.on('data', (text) => (output += text))
    child.stderr.on('data', (text) => (output += text))
    child.on('error', (error) => resolve({ code: 1, output: error.message }))
    child.on('close', (code) => resolve({ code: code ?? 1, output }))
  })
}
