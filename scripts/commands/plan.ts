/** `asof plan`: what the definitions would change, and nothing else. */
import { planRegistration, type RegistrationPlan } from '../../activities/index.ts'
import type { Config } from '../../worker/config.ts'
import { bold, green, print, red, say, yellow, type Format } from '../output.ts'
import { withStore } from './withStore.ts'

export async function plan(config: Config, format: Format): Promise<void> {
  const planned = await withStore(config, (store) => planRegistration(store))
  print(format, planData(planned), planText(planned))
  const changes = [
    ...planned.groups.map(({ change }) => change.verdict),
    ...planned.services.map(({ change }) => change),
  ]
  if (changes.includes('breaking'))
    say(`Next: give the changed group a new version; ${bold('asof apply')} would refuse this.`)
  else if (changes.some((change) => change !== 'unchanged')) say(`Next: ${bold('asof apply')}`)
  else say('Nothing to apply.')
}

/** A plan as data. */
export function planData({ groups, services }: RegistrationPlan): unknown {
  return {
    groups: groups.map(({ bound, change }) => ({
      id: bound.group.id,
      verdict: change.verdict,
      sentences: change.sentences,
      keys: bound.keys,
      features: bound.features,
      gates: bound.group.gates.length,
    })),
    services: services.map(({ name, change }) => ({ name, verdict: change })),
  }
}

/** A plan as people read it. */
export function planText({ groups, services }: RegistrationPlan): string {
  const colour = {
    new: green,
    unchanged: (text: string) => text,
    cosmetic: yellow,
    changed: yellow,
    breaking: red,
  }
  const lines = groups.flatMap(({ bound, change }) => {
    const { group, keys, features } = bound
    const key = keys.map(({ name, type }) => `${name} ${type}`).join(', ')
    return [
      `${colour[change.verdict](change.verdict.padEnd(9))} feature group ${bold(group.id)} (${group.entity.name}: ${key}) every ${group.every}, ${group.gates.length} gates`,
      ...(change.verdict === 'new' ? features.map(({ name, type }) => `            ${name} ${type}`) : []),
      ...(change.verdict === 'new' || change.verdict === 'unchanged'
        ? []
        : change.sentences.map((sentence) => `            ${sentence}`)),
    ]
  })
  return [
    ...lines,
    ...services.map(
      ({ name, change }) => `${colour[change](change.padEnd(9))} feature service ${bold(name)}`,
    ),
  ].join('\n')
}
