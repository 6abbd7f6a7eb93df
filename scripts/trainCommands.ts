/** `asof train …`: the commands about training sets. */
import { Option, type Command } from 'commander'
import { trainBuild, type BuildOptions } from './commands/train/build.ts'
import { trainDiff } from './commands/train/diff.ts'
import { trainDrop } from './commands/train/drop.ts'
import { trainList } from './commands/train/list.ts'
import { trainShow } from './commands/train/show.ts'
import { trainVerify } from './commands/train/verify.ts'
import { outputOption, type Calling, type Given } from './options.ts'

export function addTrainCommands(train: Command, calling: Calling): void {
  const command = (nameAndArguments: string, description: string) =>
    train.command(nameAndArguments).description(description).addOption(outputOption())

  command('build', 'join labels with features as they would have been served')
    .option('--request <file>', 'all of it as JSON, as the workflow takes it; - for stdin')
    .option('--name <name>', 'what the set is for; part of its id')
    .option('--service <service>', 'a registered feature service')
    .option('--features <features>', 'or features of groups: airport_delays_v1:mean_delay_24h,…')
    .option('--labels <path>', 'a file, a folder or a pattern: Parquet, CSV or JSON')
    .option('--time <column>', "the labels' time")
    .option('--key <key=column...>', 'a label column by the entity key that it stands for')
    .option('--time-zone <zone>', 'of label times that carry none')
    .option('--no-knowledge-cutoff', 'let labels see what was served only later')
    .option('--as-of <instant>', 'the tables as they stood then')
    .option('--strict', "refuse where intervals in the labels' range were never published")
    .option('--allow-mixed', 'accept intervals that another definition computed')
    .option('--full-names', 'call features <group>__<feature>')
    .option('--event-timestamps', "beside each group's features their event timestamp and age")
    .option('--unmatched', 'also write which labels found nothing')
    .addOption(new Option('--format <format>', 'of the files').choices(['parquet', 'arrow']))
    .option('--output-folder <folder>', "a new folder for the result, in place of the store's own")
    .option('--model <model>', 'the model that is trained, for the record of who uses which feature')
    .option('--detach', 'start it and do not wait', false)
    .action(calling((config, given: BuildOptions) => trainBuild(config, given)))
  command('list', 'all training sets').action(
    calling((config, { output }: Given) => trainList(config, output)),
  )
  command('show <id>', 'what a set is made of, how its labels matched, whether it is outdated').action(
    calling((config, id: string, { output }: Given) => trainShow(config, id, output)),
  )
  command('verify <id>', 'build a set again and compare it, and its files, with what was built').action(
    calling((config, id: string, { output }: Given) => trainVerify(config, id, output)),
  )
  command('diff <before> <after>', 'say why one set is not the other').action(
    calling((config, before: string, after: string, { output }: Given) =>
      trainDiff(config, before, after, output),
    ),
  )
  command('drop <id>', 'delete a set, and let go of the snapshots that it keeps').action(
    calling((config, id: string, { output }: Given) => trainDrop(config, id, output)),
  )
}
