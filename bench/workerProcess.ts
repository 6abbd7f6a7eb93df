/** A worker as a process of its own, so that its memory can be read, and nothing else's. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface WorkerProcess {
  readonly pid: number
  stop(): Promise<void>
}

/** Comes back once the worker takes work. */
export async function startWorker(environment: Record<string, string>): Promise<WorkerProcess> {
  const worker = fork(fileURLToPath(new URL('../worker/main.ts', import.meta.url)), [], {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const ended = once(worker, 'exit').then(([code]) => {
    throw new Error(`The worker ended with ${String(code)} before it was ready.`)
  })
  await Promise.race([once(worker, 'message'), ended])
  ended.catch(() => undefined)
  return {
    pid: worker.pid ?? 0,
    async stop() {
      const exited = once(worker, 'exit')
      worker.kill('SIGTERM')
      await exited
    },
  }
}
