/** `asof online …`: the commands about the online stores. */
import { InvalidArgumentError, type Command } from 'commander'
import { onlineDrop } from './commands/onlineDrop.ts'
import { onlineSamples } from './commands/onlineSamples.ts'
import { onlineStatus } from './commands/onlineStatus.ts'
import { onlineVerify } from './commands/onlineVerify.ts'
import { outputOption, type Calling, type Given } from './options.ts'

export function addOnlineCommands(online: Command, calling: Calling): void {
  const command = (nameAndArguments: string, description: string) =>
    online.command(nameAndArguments).description(description).addOption(outputOption())

  command('status', 'what each online store holds of each feature group, and how old it is').action(
    calling((config, { output }: Given) => onlineStatus(config, output)),
  )
  command(
    'verify [group]',
    'compare every stored value of every online store with the published table',
  ).action(
    calling((config, group: string | undefined, { output }: Given) => onlineVerify(config, group, output)),
  )
  command('drop <group>', 'make the online stores forget a group: its values first, then that there was one')
    .option('--store <name>', 'of one store only, as ASOF_ONLINE calls it')
    .action(
      calling((config, group: string, { store, output }: Given & { store?: string }) =>
        onlineDrop(config, { group, ...(store === undefined ? {} : { store }) }, output),
      ),
    )
  command('samples <what>', 'what the reader has served lately of a feature group or service, newest first')
    .option('--limit <count>', 'how many', wholeNumber, 20)
    .action(
      calling((config, what: string, { limit, output }: Given & { limit: number }) =>
        onlineSamples(config, what, limit, output),
      ),
    )
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Write a whole number from 1 on.')
  return Number(text)
}
