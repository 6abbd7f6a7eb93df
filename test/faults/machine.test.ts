/** What the machine does to a run: a full disk, a read-only one, a source that goes, Temporal or the registry away. */
import { randomUUID } from 'node:crypto'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Connection } from '@temporalio/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createActivities } from '../../activities/index.ts'
import { findTemporal } from '../../scripts/tools.mjs'
import { openStore } from '../../worker/openStore.ts'
import { databasePath } from '../../worker/paths.ts'
import { searchAttributes } from '../../workflows/names.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'
import { writeOrders } from '../support/orders.ts'
import { asTemporal, driveBackfill, terminated } from './driver.ts'
import { endState } from './endState.ts'
import { runStruck, stateBefore, type Struck } from './everyCall.ts'
import { attemptsOf, bundledWorkflows, endWorkers, startWorker } from './killing.ts'
import { ordersFolder, restoredStore, rewrite, type RestoredStore } from './restoredStore.ts'

const folder = temporaryFolder('machine')
const disk = warehouseOf(folder)
let restored: RestoredStore
let undisturbed: Struck['state']
let before: Struck['state']
let server: ChildProcess | null = null

beforeAll(async () => {
  restored = await restoredStore(folder)
  undisturbed = (await runStruck(restored, Infinity, 'refused')).state
  before = await stateBefore(restored)
})

afterAll(() => {
  endWorkers()
  server?.kill('SIGKILL')
  if (isMounted) spawnSync('umount', [disk])
})

let isMounted = false
function warehouseOf(of: string): string {
  return join(of, 'home', 'warehouse')
}

const cannotMount =
  'A full and a read-only disk need a tmpfs of their own, and this process may not mount one. Run the tests as root, or as root of a user namespace: `unshare --map-root-user --mount npm test`; a container needs the capability SYS_ADMIN.'

/** Puts the tables of the restored store onto a disk of 8 MB. */
function mountDisk(): void {
  const kept = join(folder, 'kept')
  rmSync(kept, { recursive: true, force: true })
  spawnSync('cp', ['-a', disk, kept])
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'asof-test', disk])
  if (status !== 0) throw new Error(`${cannotMount} It said: ${stderr.toString().trim()}`)
  isMounted = true
  spawnSync('cp', ['-a', `${kept}/.`, disk])
  rmSync(kept, { recursive: true })
}

function unmountDisk(): void {
  const { status, stderr } = spawnSync('umount', [disk])
  if (status !== 0) throw new Error(`The small disk cannot be unmounted: ${stderr.toString().trim()}`)
  isMounted = false
}

/** Leaves so many bytes on the small disk. */
function fill(freeBytes: number): () => void {
  const ballast = join(disk, 'ballast')
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - freeBytes)))
  return () => rmSync(ballast)
}

/** Runs on the small disk; `trouble` begins before a step of this name and ends after some errors, if ever. */
async function inTrouble(
  trouble: () => () => void,
  options: { patience: typeof asTemporal; errorsBeforeCure: number },
) {
  const { store, close } = await restored.open()
  const errors: string[] = []
  let cure: (() => void) | null = null
  try {
    mountDisk()
    cure = trouble()
    const activities = createActivities(store)
    const { outcome } = await driveBackfill(
      () => {
        if (errors.length >= options.errorsBeforeCure) {
          cure?.()
          cure = null
        }
        return watched(activities, errors)
      },
      rewrite,
      options.patience,
    )
    cure?.()
    cure = null
    return { outcome, errors, state: await endState(store, rewrite.group) }
  } finally {
    cure?.()
    await close()
    if (isMounted) unmountDisk()
  }
}

/** Notes what steps say when they fail. */
function watched(activities: ReturnType<typeof createActivities>, errors: string[]) {
  return new Proxy(activities, {
    get:
      (target, name) =>
      async (input: never): Promise<unknown> => {
        try {
          return await (Reflect.get(target, name) as (given: never) => Promise<unknown>)(input)
        } catch (error) {
          errors.push(error instanceof Error ? error.message : String(error))
          throw error
        }
      },
  })
}

/** From a disk on which no plan fits, over one for the plan alone, to one on which nearly all does. */
const rooms = [0, 16, 48, 64].map((kilobytes) => kilobytes * 1_024)

describe('a disk that is full', () => {
  test.each(rooms)('with %i bytes left: made room, the run goes on', async (room) => {
    const { outcome, errors, state } = await inTrouble(() => fill(room), {
      patience: asTemporal,
      errorsBeforeCure: 3,
    })
    expect(outcome).toBe('published')
    expect(errors).toHaveLength(3)
    for (const error of errors) expect(error).toMatch(/no space left|ENOSPC/i)
    expect(state).toEqual(undisturbed)
  })

  test.each(rooms)('with %i bytes left: given up, nothing is half', async (room) => {
    const { errors, state } = await inTrouble(() => fill(room), {
      patience: terminated,
      errorsBeforeCure: Infinity,
    })
    expect(errors).toHaveLength(1)
    const { runs, lostRuns, ...table } = state
    const { runs: runsBefore, lostRuns: lostBefore, ...tableBefore } = before
    expect(table).toEqual(tableBefore)
    expect([lostRuns - lostBefore, runs.length - runsBefore.length]).toEqual([1, 1])
  })
})

test('a disk that can only be read: a clear error, and the run goes on after it', async () => {
  const remount = (how: string) => {
    const { status, stderr } = spawnSync('mount', ['-o', `remount,${how}`, disk])
    if (status !== 0) throw new Error(`remount,${how}: ${stderr.toString().trim()}`)
  }
  const { errors, state } = await inTrouble(
    () => {
      remount('ro')
      return () => remount('rw')
    },
    { patience: asTemporal, errorsBeforeCure: 2 },
  )
  expect(errors).toHaveLength(2)
  for (const error of errors) expect(error).toMatch(/read-only file system|EROFS/i)
  expect(state).toEqual(undisturbed)
})

test('a source file that disappears fails the run with a sentence, and nothing is half', async () => {
  const { store, close } = await restored.open()
  const file = join(ordersFolder(folder), 'orders-2024-01-02.parquet')
  try {
    const activities = createActivities(store)
    const { outcome, errors } = await driveBackfill(
      () => ({
        ...activities,
        computeChunk: (input) => {
          rmSync(file, { force: true })
          return activities.computeChunk(input)
        },
      }),
      rewrite,
    )
    expect(errors).toHaveLength(1)
    expect(outcome).toMatch(/orders: .*orders-2024-01-02\.parquet has disappeared since the run was planned/)
    const { runs, ...table } = await endState(store, rewrite.group)
    const { runs: runsBefore, ...tableBefore } = before
    expect(table).toEqual(tableBefore)
    expect(runs.length).toBe(runsBefore.length + 1)
    expect(runs.at(-1)).toContain('"failed"')
  } finally {
    await close()
    await writeOrders(ordersFolder(folder), ['2024-01-02'])
  }
})

test('the registry locked by another process for a while: the run waits', async () => {
  const { store, close } = await restored.open()
  const lock = spawn(
    process.execPath,
    [
      '-e',
      `const Database = require('libsql'); const db = new Database(process.argv[1]); let held = false
       const turn = () => { try { db.exec(held ? 'commit' : 'begin immediate'); held = !held } catch { return setTimeout(turn, 5) }
         if (held) process.stdout.write('held '); setTimeout(turn, held ? 120 : 30) }
       turn()`,
      databasePath(restored.config),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  try {
    let held = ''
    lock.stdout.on('data', (text: Buffer) => (held += text.toString()))
    await once(lock.stdout, 'data')
    const { outcome, errors } = await driveBackfill(() => createActivities(store), rewrite)
    expect([outcome, errors]).toEqual(['published', []])
    // The one that was there when the run began, and one more at least.
    expect(held.split('held').length).toBeGreaterThan(2)
    lock.kill('SIGKILL')
    expect(await endState(store, rewrite.group)).toEqual(undisturbed)
  } finally {
    lock.kill('SIGKILL')
    await close()
  }
})

test('Temporal killed while a chunk computes, and started again', { timeout: 120_000 }, async () => {
  await (await restored.open()).close()
  const config = { ...restored.config, taskQueue: `test-${randomUUID()}` }
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  let connection = await startServer(port)
  let client = new Client({ connection })
  const { workflowId } = await client.workflow.start('backfill', {
    taskQueue: config.taskQueue,
    workflowId: config.taskQueue,
    args: [rewrite],
  })
  const faults = { folder, bundle: await bundledWorkflows(folder), blows: [], holdMs: 3_000 }
  const worker = startWorker(config, address, faults)
  const computes = async () => (await attemptsOf(client.workflow.getHandle(workflowId))).length >= 1
  while (!(await computes())) await sleep(100)
  while ((await client.workflow.getHandle(workflowId).describe()).raw.pendingActivities?.length !== 1)
    await sleep(50)
  await connection.close()
  server?.kill('SIGKILL')
  await sleep(1_000)

  connection = await startServer(port)
  client = new Client({ connection })
  const handle = client.workflow.getHandle(workflowId)
  expect(await handle.result()).toMatchObject({ outcome: 'published' })
  await connection.close()
  worker.child.kill('SIGTERM')
  expect(await worker.ended).toBe('exit code 0')
  const store = await openStore(config)
  expect(await endState(store, rewrite.group)).toEqual(undisturbed)
  await store.close()
})

/** On the same port and the same database file as before. */
async function startServer(port: number): Promise<Connection> {
  const program = findTemporal()
  if (program === null)
    throw new Error('There is no Temporal server here. `npm test` downloads or builds it.')
  mkdirSync(join(folder, 'temporal'), { recursive: true })
  const attributes = Object.values(searchAttributes).flatMap(({ name }) => [
    '--search-attribute',
    `${name}=Keyword`,
  ])
  server = spawn(
    program,
    [
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', String(port), '--headless'],
      ...['--db-filename', join(folder, 'temporal', 'temporal.db'), '--log-level', 'error', ...attributes],
    ],
    { stdio: 'ignore' },
  )
  for (;;) {
    try {
      const connection = await Connection.connect({ address: `127.0.0.1:${port}`, connectTimeout: 1_000 })
      await connection.workflowService.describeNamespace({ namespace: 'default' })
      return connection
    } catch (error) {
      if (server.exitCode !== null) throw error
      await sleep(200)
    }
  }
}

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  listener.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}
