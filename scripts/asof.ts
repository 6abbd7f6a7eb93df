#!/usr/bin/env node
/** The `asof` command line: parse, call, print. */
import { Command, CommanderError, Option } from 'commander'
import { readConfig } from '../worker/config.ts'
import { apply } from './commands/apply.ts'
import { backfill } from './commands/backfill.ts'
import { check } from './commands/check.ts'
import { clock } from './commands/clock.ts'
import { dev } from './commands/dev.ts'
import { doctor } from './commands/doctor.ts'
import { get } from './commands/get.ts'
import { init } from './commands/init.ts'
import { janitor } from './commands/janitor.ts'
import { materialize } from './commands/materialize.ts'
import { plan } from './commands/plan.ts'
import { refresh } from './commands/refresh.ts'
import { resolveGate } from './commands/resolve.ts'
import { retire } from './commands/retire.ts'
import { show } from './commands/show.ts'
import { status } from './commands/status.ts'
import { stop } from './commands/stop.ts'
import { demo } from './demo/demo.ts'
import { janitorAge } from '../workflows/names.ts'
import { addOnlineCommands } from './onlineCommands.ts'
import { outputOption, type Calling, type Given } from './options.ts'
import { exitCodeOf, exitCodes } from './output.ts'
import { addTrainCommands } from './trainCommands.ts'

const program = new Command('asof')
  .description(
    'A batch-first feature store: Temporal computes, Apache Iceberg keeps, the online store serves.',
  )
  .addHelpText(
    'after',
    '\nASOF_HOME names the store (default .asof), ASOF_FEATURES its definitions (default ./features).',
  )
  .exitOverride()
  .showHelpAfterError('(asof --help lists the commands)')

function command(nameAndArguments: string, description: string): Command {
  return program.command(nameAndArguments).description(description)
}

let code: number = exitCodes.done
const calling: Calling =
  (run) =>
  async (...given) => {
    try {
      await run(readConfig(process.env, process.cwd()), ...given)
    } catch (error) {
      code = exitCodeOf(error)
    }
  }

command('dev', 'start Temporal, worker and reader on this machine, until stopped').action(
  calling((config) => dev(config)),
)
command('stop', 'stop what `asof dev` or `npm run demo -- --keep` started').action(
  calling((config) => stop(config)),
)
command('doctor', 'say what is there and what is missing')
  .addOption(outputOption())
  .action(calling((config, { output }: Given) => doctor(config, output)))
command('init [folder]', 'make a small working store of your own, with a test')
  .addOption(outputOption())
  .action(
    calling((config, folder: string | undefined, { output }: Given) => init(config, folder ?? '.', output)),
  )
command('check', 'for CI: do the definitions load, fit their data and mean what is committed')
  .option('--write', 'write what they mean, to be committed', false)
  .addOption(outputOption())
  .action(calling((config, { write, output }: Given & { write: boolean }) => check(config, write, output)))
command('plan', 'show what the definitions would change')
  .addOption(outputOption())
  .action(calling((config, { output }: Given) => plan(config, output)))
command('apply', 'register the definitions and make their tables')
  .addOption(outputOption())
  .action(calling((config, { output }: Given) => apply(config, output)))
command('retire <what>', 'say that a version of a feature group, or a service, is needed no more')
  .addOption(outputOption())
  .action(calling((config, what: string, { output }: Given) => retire(config, what, output)))
command('backfill <group>', 'compute, judge, publish and load the missing intervals of a range')
  .requiredOption('--from <instant>', 'exclusive start, such as 2001-01-08')
  .requiredOption('--to <instant>', 'inclusive end, such as 2001-07-01')
  .option('--rewrite', 'compute all intervals of the range again', false)
  .option('--detach', 'start it and do not wait', false)
  .addOption(outputOption())
  .action(
    calling(
      (
        config,
        group: string,
        given: Given & { from: string; to: string; rewrite: boolean; detach: boolean },
      ) => backfill(config, { ...given, group }),
    ),
  )
command('refresh <group>', 'compute what has come due, and read again what late events may have changed')
  .addOption(outputOption())
  .action(calling((config, group: string, { output }: Given) => refresh(config, group, output)))
command('resolve <workflow-id>', 'decide about a run that a gate holds')
  .addOption(
    new Option('--decision <decision>', 'what to do')
      .choices(['retry', 'override', 'abort'])
      .makeOptionMandatory(),
  )
  .option('--name <name>', 'who decides')
  .option('--reason <reason>', 'why')
  .action(
    calling(
      (
        config,
        id: string,
        given: { decision: 'retry' | 'override' | 'abort'; name?: string; reason?: string },
      ) => resolveGate(config, id, given),
    ),
  )
command('materialize <group>', 'load the newest published values into the online store')
  .option('--full', 'every entity, not only those touched since the last load', false)
  .addOption(outputOption())
  .action(
    calling((config, group: string, { full, output }: Given & { full: boolean }) =>
      materialize(config, group, full, output),
    ),
  )
command('janitor [group]', 'end runs whose workflow is gone, and sweep what nothing refers to any more')
  .option('--older-than <age>', 'how old that must be, such as 6h', janitorAge)
  .addOption(outputOption())
  .action(
    calling((config, group: string | undefined, { olderThan, output }: Given & { olderThan: string }) =>
      janitor(config, { ...(group === undefined ? {} : { group }), olderThan }, output),
    ),
  )
addTrainCommands(
  command('train', 'training sets: labels joined with what was served at their times'),
  calling,
)
addOnlineCommands(command('online', 'the online stores'), calling)
command('get <what> <asked...>', 'read online values, as the reader serves them')
  .addHelpText(
    'after',
    `
A feature group is asked for entities, a feature service by columns with one value a row:
  asof get airport_delays_v1 ATL JFK
  asof get connection_model_v1 origin=ATL,JFK destination=JFK,ATL distance=760,760
In a column \\, is a comma inside a value, \\e the empty text, and nothing at all is null.`,
  )
  .addOption(outputOption())
  .action(
    calling((config, what: string, asked: string[], { output }: Given) => get(config, what, asked, output)),
  )
command('status', 'groups, what is published of them, and the newest runs')
  .addOption(outputOption())
  .action(calling((config, { output }: Given) => status(config, output)))
command('clock [instant]', "show the store's clock, or move a set one forward to an instant")
  .option('--forward <duration>', 'move it by so much, such as 1h')
  .addOption(outputOption())
  .action(
    calling((config, to: string | undefined, { forward, output }: Given & { forward?: string }) =>
      clock(config, { to, forward, output }),
    ),
  )
command('show <what>', 'a feature group with its table, a feature service, or a run with its gate reports')
  .addOption(outputOption())
  .action(calling((config, what: string, { output }: Given) => show(config, what, output)))
command('demo', 'the whole path on three million real flights')
  .option('--keep', 'leave the stack running', false)
  .action(calling((config, { keep }: { keep: boolean }) => demo(config, keep)))

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof CommanderError)) throw error
  code = error.exitCode === 0 ? exitCodes.done : exitCodes.yourInput
}
process.exitCode = code
