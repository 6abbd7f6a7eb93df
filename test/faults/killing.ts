/** Worker processes that are killed, and what is told to Temporal so that it notices within seconds. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Client, WorkflowHandle } from '@temporalio/client'
import { bundleWorkflowCode, DefaultLogger } from '@temporalio/worker'
import type { Config } from '../../worker/config.ts'
import type { Activities } from '../../workflows/contract.ts'

export interface Blow {
  readonly step: keyof Activities
  /** A number: at that call of the step to file store, catalog or registry. */
  readonly when: 'before' | 'after' | number
}

export interface Faults {
  /** Where struck blows are noted. */
  readonly folder: string
  /** The workflows, bundled once. */
  readonly bundle: string
  readonly blows: readonly Blow[]
  /** How much longer a chunk takes. */
  readonly holdMs: number
  /** How long a worker that is told to stop lets its steps go on; as in production unless given. */
  readonly graceMs?: number
  /** What the worker takes, where not both. */
  readonly only?: 'workflows' | 'activities'
}

export async function bundledWorkflows(folder: string): Promise<string> {
  const path = join(folder, 'workflows.bundle.js')
  const { code } = await bundleWorkflowCode({
    workflowsPath: fileURLToPath(new URL('../../workflows/index.ts', import.meta.url)),
    logger: new DefaultLogger('ERROR'),
  })
  writeFileSync(path, code)
  return path
}

export interface WorkerProcess {
  readonly child: ChildProcess
  /** What ended it: a signal, or its exit code. */
  readonly ended: Promise<string>
  readonly ready: Promise<void>
  /** What it wrote to stderr. */
  said(): string
}

const processes = new Set<ChildProcess>()

export function startWorker(config: Config, address: string, faults: Faults): WorkerProcess {
  const script = fileURLToPath(new URL('dyingWorker.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', fileURLToPath(import.meta.resolve('tsx')), script], {
    cwd: config.baseFolder,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: {
      ...process.env,
      ...config.environment,
      ASOF_TASK_QUEUE: config.taskQueue,
      TEMPORAL_ADDRESS: address,
      UV_THREADPOOL_SIZE: '8',
      ASOF_TEST_FAULTS: JSON.stringify(faults),
    },
  })
  processes.add(child)
  let said = ''
  child.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      processes.delete(child)
      resolve(signal ?? `exit code ${code}`)
    })
  })
  const ready = new Promise<void>((resolve) => child.once('message', () => resolve()))
  return { child, ended, ready, said: () => said }
}

/** For the end of a test file, however it ends. */
export function endWorkers(): void {
  for (const child of processes) child.kill('SIGKILL')
}

/**
 * Runs a workflow to its end on one worker after the other, each of which dies at the next blow.
 * @returns how many died, by the step that they died in
 */
export async function outlive(
  client: Client,
  handle: WorkflowHandle,
  config: Config,
  address: string,
  faults: Faults,
): Promise<string[]> {
  rmSync(faults.folder, { recursive: true, force: true })
  mkdirSync(faults.folder, { recursive: true })
  const result = handle.result().then(
    () => 'done',
    (error: unknown) => Promise.reject(error as Error),
  )
  result.catch(() => undefined)
  for (let lives = 0; lives <= faults.blows.length; lives++) {
    const worker = startWorker(config, address, faults)
    const first = await Promise.race([worker.ended, result])
    if (first === 'done') {
      worker.child.kill('SIGTERM')
      await worker.ended
      return readdirSync(faults.folder)
    }
    if (first !== 'SIGKILL') throw new Error(`A worker ended by itself (${first}): ${worker.said()}`)
    await noticeDeath(client, handle)
  }
  throw new Error('more workers died than there were blows')
}

/**
 * Temporal notices after a minute without a heartbeat that a worker has died. For steps that are under way the minute
 * is made a second, until they have timed out, and a minute again before the next worker comes.
 */
export async function noticeDeath(client: Client, { workflowId }: WorkflowHandle): Promise<void> {
  const { namespace } = client.options
  const setHeartbeat = (activityId: string, seconds: number) =>
    client.workflowService.updateActivityOptions({
      namespace,
      execution: { workflowId },
      id: activityId,
      activityOptions: { heartbeatTimeout: { seconds: seconds as never, nanos: 0 } },
      updateMask: { paths: ['heartbeat_timeout'] },
      identity: 'test',
    })
  const shortened = new Set<string>()
  for (;;) {
    const { raw } = await client.workflow.getHandle(workflowId).describe()
    const started = (raw.pendingActivities ?? []).filter(({ state }) => String(state) === '2')
    if (started.length === 0) break
    for (const { activityId } of started) {
      if (activityId && !shortened.has(activityId)) {
        shortened.add(activityId)
        await setHeartbeat(activityId, 1)
      }
    }
    await sleep(100)
  }
  for (const activityId of shortened) await setHeartbeat(activityId, 60).catch(() => undefined)
}

/** Every step's attempts, as the history's own events count them, in order. */
export async function attemptsOf(handle: WorkflowHandle): Promise<{ step: string; attempt: number }[]> {
  const { events } = await handle.fetchHistory()
  const steps = new Map<string, string>()
  const attempts: { step: string; attempt: number }[] = []
  for (const {
    eventId,
    activityTaskScheduledEventAttributes: scheduled,
    activityTaskStartedEventAttributes: started,
  } of events ?? []) {
    if (scheduled) steps.set(String(eventId), scheduled.activityType?.name ?? '')
    if (started)
      attempts.push({
        step: steps.get(String(started.scheduledEventId)) ?? '',
        attempt: started.attempt ?? 0,
      })
  }
  return attempts
}
