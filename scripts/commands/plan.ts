/** `asof plan`: what the definitions would change, and nothing else. */
import { planRegistration, type PlannedGroup, type RegistrationPlan } from '../../activities/index.ts'
import type { ChangeVerdict } from '../../registry/index.ts'
import type { Config } from '../../worker/config.ts'
import { bold, green, print, red, say, yellow, type Format } from '../output.ts'
import { withStore } from './withStore.ts'

export async function plan(config: Config, format: Format): Promise<void> {
  const planned = await withStore(config, (store) => planRegistration(store))
  print(format, planData(planned), planText(planned))
  for (const warning of planned.warnings) say(`${yellow('warning:')} ${warning}`)
  const verdicts = [...planned.groups, ...planned.services].map(({ change }) => change.verdict)
  if (verdicts.includes('breaking'))
    say(`Next: give what breaks a new version or name; ${bold('asof apply')} would refuse this.`)
  else if (verdicts.some((verdict) => verdict !== 'unchanged')) say(`Next: ${bold('asof apply')}`)
  else if (verdicts.length === 0)
    say(`Nothing to apply: ${config.features} exports no feature group and no feature service.`)
  else say('Nothing to apply.')
}

/** A plan as data. */
export function planData({ groups, services, warnings }: RegistrationPlan): unknown {
  return {
    groups: groups.map(({ bound, change, impact }) => ({
      id: bound.group.id,
      ...change,
      ...{ keys: bound.keys, features: bound.features, gates: bound.group.gates.length },
      touches: impact,
    })),
    services: services.map(({ name, change }) => ({ name, ...change })),
    warnings,
  }
}

const colours: Record<ChangeVerdict, (text: string) => string> = {
  new: green,
  unchanged: (text) => text,
  cosmetic: yellow,
  additive: green,
  fix: yellow,
  breaking: red,
}
const verdictText = (verdict: ChangeVerdict) => colours[verdict](verdict.padEnd(9))
const indented = (line: string) => `            ${line}`

/** A plan as people read it. */
export function planText({ groups, services }: RegistrationPlan): string {
  const serviceLines = services.flatMap(({ name, change }) => [
    `${verdictText(change.verdict)} feature service ${bold(name)}`,
    ...(change.verdict === 'new' ? [] : change.sentences.map(indented)),
  ])
  return [...groups.flatMap(groupLines), ...serviceLines].join('\n')
}

function groupLines({ bound, change, impact }: PlannedGroup): string[] {
  const { group, keys, features } = bound
  const key = keys.map(({ name, type }) => `${name} ${type}`).join(', ')
  const head = `${verdictText(change.verdict)} feature group ${bold(group.id)} (${group.entity.name}: ${key}) every ${group.every}, ${group.gates.length} gates`
  if (change.verdict === 'new')
    return [head, ...features.map(({ name, type }) => indented(`${name} ${type}`))]
  return [head, ...[...change.sentences, ...touchedLines(impact)].map(indented)]
}

function touchedLines({ recomputed, filled, gates, services }: PlannedGroup['impact']): string[] {
  return [
    ...(recomputed > 0 ? [`makes ${recomputed} published intervals missing: they are computed again`] : []),
    ...(filled > 0 ? [`is filled into ${filled} published intervals, whose rows keep their versions`] : []),
    ...(gates.length > 0 ? [`touches gates ${gates.join(', ')}`] : []),
    ...(services.length > 0 ? [`touches feature services ${services.join(', ')}`] : []),
  ]
}
