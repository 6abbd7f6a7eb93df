/** `asof dev`: the embedded stack, until stopped. */
import type { Config } from '../../worker/config.ts'
import { bold, dim, say } from '../output.ts'
import { readStack, startStack, stopStack, type StackFile } from '../stack.ts'
import { startFormLink } from '../temporal.ts'
import { withStore } from './withStore.ts'

export async function dev(config: Config): Promise<void> {
  const running = readStack(config.home)
  if (running !== null) {
    say(`The stack of ${config.home} runs already. \`asof stop\` ends it.`)
    describeStack(config, running)
    return
  }
  // Makes the store, and refuses definitions that do not load, before anything is started.
  await withStore(config, () => Promise.resolve())
  const stack = await startStack(config, say)
  describeStack(config, stack)
  say(dim('Ctrl-C stops it.'))
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    const watch = setInterval(() => {
      if (readStack(config.home) !== null) return
      clearInterval(watch)
      resolve()
    }, 1_000)
  })
  say('Stopping.')
  await stopStack(config.home)
  process.exit()
}

export function describeStack(config: Config, stack: StackFile): void {
  say(`${bold('Temporal')}    ${stack.temporal.address}`)
  if (stack.temporal.uiUrl !== null) {
    say(`${bold('Temporal UI')} ${stack.temporal.uiUrl}`)
    say(`${bold('start form')}  ${startFormLink(config, stack, 'backfill') ?? ''}`)
  }
  say(`${bold('reader')}      ${stack.reader.url}`)
  say(`${bold('logs')}        ${config.home}/logs`)
}
