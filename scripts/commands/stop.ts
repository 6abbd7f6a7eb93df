/** `asof stop`: ends the stack that another command left running. */
import type { Config } from '../../worker/config.ts'
import { say } from '../output.ts'
import { readStack, stopStack } from '../stack.ts'

export async function stop(config: Config): Promise<void> {
  const running = readStack(config.home)
  await stopStack(config.home)
  say(running === null ? `Nothing was running for ${config.home}.` : `Stopped the stack of ${config.home}.`)
}
