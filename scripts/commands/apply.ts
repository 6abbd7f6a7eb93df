/** `asof apply`: does what `asof plan` shows. */
import { applyRegistration, planRegistration } from '../../activities/index.ts'
import type { Config } from '../../worker/config.ts'
import { bold, print, say, yellow, type Format } from '../output.ts'
import { readStack } from '../stack.ts'
import { planText } from './plan.ts'
import { withStore } from './withStore.ts'

export async function apply(config: Config, format: Format): Promise<void> {
  const { plan, written } = await withStore(config, async (store) => {
    const plan = await planRegistration(store)
    return { plan, written: await applyRegistration(store, plan) }
  })
  print(format, { written, warnings: plan.warnings }, planText(plan))
  for (const warning of plan.warnings) say(`${yellow('warning:')} ${warning}`)
  say(written.length === 0 ? 'Nothing changed.' : `Registered ${written.join(', ')}.`)
  const first = plan.groups.find(({ bound }) => written.includes(bound.group.id)) ?? plan.groups[0]
  if (written.length > 0 && readStack(config.home) !== null)
    say(`The worker that runs still has the old definitions: ${bold('asof stop')}, then ${bold('asof dev')}.`)
  if (first !== undefined)
    say(`Next: ${bold(`asof backfill ${first.bound.group.id} --from <day> --to <day>`)}`)
}
