/** Programs of ours as processes of their own, so that their memory can be read, and nothing else's. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export interface OwnProcess {
  /** The memory that it has now. */
  megabytes(): number
  /** The most memory that it has had so far. */
  peakMegabytes(): number
  stop(): Promise<void>
}

/** Comes back once the worker takes work. @param program its module, relative to this one */
export const startWorker = (
  environment: Record<string, string>,
  program = '../worker/main.ts',
): Promise<OwnProcess> => startOwn(program, { environment })

/**
 * Starts an entry point that says `ready` to its parent, and comes back once it has.
 *
 * @param file as seen from here
 */
export async function startOwn(
  file: string,
  { args = [], environment = {} }: { args?: readonly string[]; environment?: Record<string, string> },
): Promise<OwnProcess> {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    execArgv: file.endsWith('.ts') ? ['--import', 'tsx'] : [],
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  let lastWords = ''
  child.stderr?.on('data', (text) => (lastWords = (lastWords + String(text)).slice(-1000)))
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${file} ended with ${String(code)} before it was ready: ${lastWords.trim()}`)
  })
  await Promise.race([once(child, 'message'), ended])
  ended.catch(() => undefined)
  const kilobytes = (field: string) => {
    const status = readFileSync(`/proc/${String(child.pid)}/status`, 'utf8')
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1])
  }
  return {
    megabytes: () => kilobytes('VmRSS') / 1000,
    peakMegabytes: () => kilobytes('VmHWM') / 1000,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      await exited
    },
  }
}
