/**
 * The embedded stack: Temporal's development server, a worker and a reader, as processes of their own on loopback.
 *
 * `<home>/stack.json` says what runs and where, so that any command finds it; ports stay the same from one start to
 * the next where they are free.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import { createServer, isIPv6 } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Connection } from '@temporalio/client'
import { InputError, UnavailableError } from '../model/index.ts'
import type { Config } from '../worker/config.ts'
import { readAccess } from '../worker/readerConfig.ts'
import { searchAttributes } from '../workflows/names.ts'
import { ensureTemporal } from './tools.mjs'

export interface StackFile {
  readonly temporal: { readonly address: string; readonly uiUrl: string | null; readonly pid: number | null }
  readonly worker: { readonly pid: number }
  readonly reader: { readonly url: string; readonly pid: number }
}

const stackPath = (home: string) => join(home, 'stack.json')
const startPatienceMs = 60_000

/** What runs of this store, or null. */
export function readStack(home: string): StackFile | null {
  if (!existsSync(stackPath(home))) return null
  const stack = JSON.parse(readFileSync(stackPath(home), 'utf8')) as StackFile
  return processesOf(stack).every(runs) ? stack : null
}

/** @throws UnavailableError that says how to start it */
export function requireStack(home: string): StackFile {
  const stack = readStack(home)
  if (stack === null) {
    throw new UnavailableError(
      `Nothing runs for the store in ${home}. Start it with \`asof dev\` in another terminal.`,
    )
  }
  return stack
}

/** Starts what is not there; the processes outlive the caller until `stopStack`. */
export async function startStack(config: Config, note: (sentence: string) => void): Promise<StackFile> {
  const running = readStack(config.home)
  if (running !== null) return running
  readAccess(config.reader)
  await stopStack(config.home)
  mkdirSync(join(config.home, 'logs'), { recursive: true })
  const started: StackProcess[] = []
  try {
    const temporal = await startTemporal(config, note)
    if (temporal.pid !== null) started.push({ pid: temporal.pid, command: 'start-dev' })
    const environment = { ...config.environment, ASOF_HOME: config.home, TEMPORAL_ADDRESS: temporal.address }
    // DuckDB's queries and Node's files share libuv's pool; its size must be set before Node starts.
    const worker = await startNode(config, 'worker', '../worker/main', {
      ...environment,
      UV_THREADPOOL_SIZE: '16',
    })
    started.push({ pid: worker, command: 'worker/main' })
    const { host, tls } = config.reader
    const port = await freePort(config.reader.port ?? rememberedPort(config.home, 'reader'), host)
    const reader = await startNode(config, 'reader', '../worker/reader', {
      ...environment,
      ASOF_READER_PORT: String(port),
    })
    const stack: StackFile = {
      temporal,
      worker: { pid: worker },
      reader: { pid: reader, url: `${tls === null ? 'http' : 'https'}://${reachable(host)}:${port}` },
    }
    writeFileSync(stackPath(config.home), JSON.stringify(stack, null, 2))
    return stack
  } catch (error) {
    await Promise.all(started.map(endProcess))
    throw error
  }
}

/** Ends what `stack.json` names: reader and worker first, so that Temporal hears of it. */
export async function stopStack(home: string): Promise<void> {
  if (!existsSync(stackPath(home))) return
  const stack = JSON.parse(readFileSync(stackPath(home), 'utf8')) as StackFile
  const [reader, worker, temporal] = processesOf(stack)
  await Promise.all([reader, worker].map(endProcess))
  await endProcess(temporal)
  // The ports are kept for the next start.
  // `asof dev` in its own terminal stops too, and may have been first.
  rmSync(stackPath(home), { force: true })
  writeFileSync(portsPath(home), JSON.stringify(portsOf(stack)))
}

/** A process of ours: its id, and what its command line must hold for the id to be still its own. */
interface StackProcess {
  readonly pid: number
  readonly command: string
}

function processesOf({
  temporal,
  worker,
  reader,
}: StackFile): [StackProcess, StackProcess, ...StackProcess[]] {
  const ours: [StackProcess, StackProcess] = [
    { pid: reader.pid, command: 'worker/reader' },
    { pid: worker.pid, command: 'worker/main' },
  ]
  return temporal.pid === null ? ours : [...ours, { pid: temporal.pid, command: 'start-dev' }]
}

/** After a restart of the machine somebody else may have the id: a process is ours only by its command line. */
function runs({ pid, command }: StackProcess): boolean {
  if (existsSync('/proc/self/cmdline')) {
    const path = `/proc/${pid}/cmdline`
    return existsSync(path) && readFileSync(path, 'utf8').includes(command)
  }
  return spawnSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout.includes(command)
}

async function endProcess(ours: StackProcess | undefined): Promise<void> {
  if (ours === undefined) return
  // The worker lets its steps go on for half a minute, and is not killed before that is over.
  for (const [signal, patienceMs] of [['SIGTERM', 35_000] as const, ['SIGKILL', 5_000] as const]) {
    if (!runs(ours)) return
    process.kill(ours.pid, signal)
    for (let waited = 0; waited < patienceMs && runs(ours); waited += 50) await sleep(50)
  }
}

async function startTemporal(
  config: Config,
  note: (sentence: string) => void,
): Promise<StackFile['temporal']> {
  if (config.temporalAddress !== null) return { address: config.temporalAddress, uiUrl: null, pid: null }
  const program = await ensureTemporal(note)
  const port = await freePort(rememberedPort(config.home, 'temporal'))
  const uiPort = await freePort(rememberedPort(config.home, 'ui'))
  const attributes = Object.values(searchAttributes).flatMap(({ name }) => [
    '--search-attribute',
    `${name}=Keyword`,
  ])
  const child = startProcess(config, 'temporal', program, [
    ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--ui-port', String(uiPort)],
    ...['--db-filename', join(config.home, 'temporal.db'), '--log-level', 'warn', ...attributes],
  ])
  const address = `127.0.0.1:${port}`
  await untilConnected(address, child, config)
  child.unref()
  return { address, uiUrl: `http://127.0.0.1:${uiPort}`, pid: child.pid ?? null }
}

async function untilConnected(address: string, child: ChildProcess, config: Config): Promise<void> {
  for (const deadline = Date.now() + startPatienceMs; Date.now() < deadline;) {
    if (child.exitCode !== null) break
    try {
      const connection = await Connection.connect({ address, connectTimeout: 1_000 })
      await connection.workflowService.describeNamespace({ namespace: config.temporalNamespace })
      await connection.close()
      return
    } catch {
      // Not up yet.
      await sleep(100)
    }
  }
  child.kill('SIGKILL')
  throw new UnavailableError(
    `Temporal's server does not answer on ${address}. ${lastWords(config, 'temporal')}`,
  )
}

/** Starts one of our own entry points and waits until it says that it is ready. */
async function startNode(
  config: Config,
  name: string,
  entry: string,
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const loader = extension === '.ts' ? ['--import', fileURLToPath(import.meta.resolve('tsx'))] : []
  const file = fileURLToPath(new URL(`${entry}${extension}`, import.meta.url))
  const child = startProcess(config, name, process.execPath, [...loader, file], environment)
  const ready = await Promise.race([
    new Promise<boolean>((resolve) => {
      child.once('message', () => resolve(true))
    }),
    new Promise<boolean>((resolve) => {
      child.once('exit', () => resolve(false))
    }),
    sleep(startPatienceMs, false, { ref: false }),
  ])
  if (!ready || child.pid === undefined) {
    child.kill('SIGKILL')
    throw new UnavailableError(`The ${name} did not start. ${lastWords(config, name)}`)
  }
  child.disconnect()
  child.unref()
  return child.pid
}

function startProcess(
  config: Config,
  name: string,
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): ChildProcess {
  const log = openSync(logPath(config, name), 'a')
  const ipc = program === process.execPath ? (['ipc'] as const) : []
  return spawn(program, args, { detached: true, stdio: ['ignore', log, log, ...ipc], env: environment })
}

const logPath = (config: Config, name: string) => join(config.home, 'logs', `${name}.log`)

function lastWords(config: Config, name: string): string {
  const lines = readFileSync(logPath(config, name), 'utf8').trim().split('\n').slice(-6)
  return `Its log ${logPath(config, name)} ends with:\n${lines.join('\n')}`
}

const portsPath = (home: string) => join(home, 'ports.json')
type Ports = Partial<Record<'temporal' | 'ui' | 'reader', number>>

function portsOf({ temporal, reader }: StackFile): Ports {
  const port = (url: string) => Number(url.split(':').at(-1))
  return {
    reader: port(reader.url),
    ...(temporal.pid === null ? {} : { temporal: port(temporal.address) }),
    ...(temporal.uiUrl === null ? {} : { ui: port(temporal.uiUrl) }),
  }
}

function rememberedPort(home: string, name: keyof Ports): number | undefined {
  if (!existsSync(portsPath(home))) return undefined
  return (JSON.parse(readFileSync(portsPath(home), 'utf8')) as Ports)[name]
}

/** How this machine reaches what listens there, as it stands in an address. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1'
  if (host === '::') return '[::1]'
  return isIPv6(host) ? `[${host}]` : host
}

/** The wanted port if it is free, else any. */
export async function freePort(wanted?: number, host = '127.0.0.1'): Promise<number> {
  const listen = (port: number) =>
    new Promise<number | null>((resolve) => {
      const server = createServer()
      server.once('error', () => resolve(null))
      server.listen(port, host, () => {
        const address = server.address()
        server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : null))
      })
    })
  const port = (wanted === undefined ? null : await listen(wanted)) ?? (await listen(0))
  if (port === null) throw new InputError(`There is no free port on ${host}.`)
  return port
}
