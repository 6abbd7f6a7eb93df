/** A worker as a process of its own, so that its memory can be read, and nothing else's. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface WorkerProcess { readonly pid: number | undefined
  /** The most memory that it has had so far. */
  peakMegabytes(): number
  stop(): Promise<void>
}

/** Comes back once the worker takes work. */
export async function startWorker(environment: Record<string, string>): Promise<WorkerProcess> {
  const worker = fork(fileURLToPath(new URL('./dist/worker/main.js', import.meta.url)), [], {
    execArgv: [...(process.env.NODEARGS ?? '').split(' ').filter(Boolean), '--import', 'tsx'],
    env: { ...process.env, ...environment },
    stdio: ["ignore", 2, 2, "ipc"],
  })
  const ended = once(worker, 'exit').then(([code]) => {
    throw new Error(`The worker ended with ${String(code)} before it was ready.`)
  })
  await Promise.race([once(worker, 'message'), ended])
  ended.catch(() => undefined)
  return { pid: worker.pid,
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
