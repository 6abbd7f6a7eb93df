/** A worker as a process of its own, so that its memory can be read, and nothing else's. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface WorkerProcess {
  /** The most memory that it has had so far. */
  peakMegabytes(): number
  stop(): Promise<void>
}

/** Comes back once the worker takes work. @param program its module, relative to this one */
export async function startWorker(
  environment: Record<string, string>,
  program = '../worker/main.ts',
): Promise<WorkerProcess> {
  const worker = fork(fileURLToPath(new URL(program, import.meta.url)), [], {
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
    peakMegabytes() {
      const status = readFileSync(`/proc/${String(worker.pid)}/status`, 'utf8')
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1000
    },
    async stop() {
      const exited = once(worker, 'exit')
      worker.kill('SIGTERM')
      await exited
    },
  }
}
