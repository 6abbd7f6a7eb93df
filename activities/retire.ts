/**
 * Retiring: a group's old version, or a service, is needed no more. A group's table stays where it is, readable for
 * whoever has built something from it; nothing computes or loads it again.
 */
import { InputError } from '../model/index.ts'
import { featuresNeededBy } from '../registry/index.ts'
import type { ActivityDeps } from './deps.ts'

export type Retired = 'group' | 'service'

/** @throws InputError where there is no such thing, or where something still needs it. */
export async function retire(deps: ActivityDeps, id: string): Promise<Retired> {
  const group = await deps.registry.group(id)
  const services = await deps.registry.services()
  const service = services.find(({ name }) => name === id)
  if (group !== null) {
    if (group.retiredAt !== null) return 'group'
    const takers = services.filter(({ definition }) =>
      featuresNeededBy(definition).some((feature) => feature.startsWith(`${id}.`)),
    )
    if (takers.length > 0) {
      throw new InputError(
        `Feature group ${id} is used by feature service ${takers.map(({ name }) => name).join(', ')}. Retire that first, or define it over a newer version.`,
        { group: id },
      )
    }
    if (deps.definitions.groups.has(id)) {
      throw new InputError(
        `Feature group ${id} is still defined, and every \`asof plan\` would ask for it again. Take its definition away first.`,
        { group: id },
      )
    }
    await refuseUnderWay(deps, id)
    await deps.registry.retireGroup(id, group.revision, await deps.now())
    return 'group'
  }
  if (service === undefined) {
    throw new InputError(
      `There is no registered feature group or service ${JSON.stringify(id)}. \`asof status\` lists them.`,
      { id },
    )
  }
  if (deps.definitions.services.has(id)) {
    throw new InputError(
      `Feature service ${id} is still defined, and \`asof apply\` would register it again. Take its definition away first.`,
      { service: id },
    )
  }
  await deps.registry.removeService(id, service.revision)
  return 'service'
}

async function refuseUnderWay({ registry }: ActivityDeps, group: string): Promise<void> {
  const runs = await registry.runs({ group })
  const open = runs.find(({ status }) => status === 'running' || status === 'waiting')
  if (open === undefined) return
  throw new InputError(
    `Run ${open.runId} of feature group ${group} is ${open.status}. Let it end, or abort it, before the group is retired.`,
    { group, runId: open.runId },
  )
}
