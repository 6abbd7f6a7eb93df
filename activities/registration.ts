/**
 * Registration: compare the definitions with what is registered, then make it so.
 *
 * `planRegistration` binds every group to its source (types, columns, gates) and changes nothing; `applyRegistration`
 * does what such a plan says and nothing else. Both are called by the command line, with the same dependencies as the
 * steps of a run.
 */
import { ConflictError, InputError, type BoundGroup, type FeatureGroup } from '../model/index.ts'
import { bindGroup, bindSources, checkPurity, listFilesOf } from '../offline/index.ts'
import {
  describeChange,
  describeService,
  registrationOf,
  serviceJson,
  type Change,
  type RegisteredGroup,
  type RegisteredService,
  type ServiceChange,
} from '../registry/index.ts'
import { bindGates } from './bindGates.ts'
import { checkServices } from './checkServices.ts'
import type { ActivityDeps } from './deps.ts'
import { ensureTable } from './groupTable.ts'
import { impactOf, type Impact } from './impactOf.ts'
import { registrationWarnings } from './registrationWarnings.ts'

export interface PlannedGroup {
  readonly bound: BoundGroup
  readonly change: Change
  readonly impact: Impact
  /** The revision that the plan was made against; 0 for a group that was not there. */
  readonly revision: number
}

export interface PlannedService {
  readonly name: string
  readonly change: ServiceChange
  readonly definition: unknown
  readonly revision: number
}

export interface RegistrationPlan {
  readonly groups: readonly PlannedGroup[]
  readonly services: readonly PlannedService[]
  /** What a person should know and nothing stops. */
  readonly warnings: readonly string[]
}

/**
 * @throws InputError for a definition that does not fit its source, for one of a retired group, and for on-demand features
 * that are not pure.
 */
export async function planRegistration(deps: ActivityDeps): Promise<RegistrationPlan> {
  const { groups: defined, services: definedServices } = deps.definitions
  const [registered, registeredServices] = [await deps.registry.groups(), await deps.registry.services()]
  refuseRetired(defined.values(), registered)
  const groups: PlannedGroup[] = []
  for (const group of defined.values()) {
    const there = registered.find(({ id }) => id === group.id) ?? null
    groups.push(await planGroup(deps, group, there, registeredServices))
  }
  checkServices(
    definedServices.values(),
    groups.map(({ bound }) => bound),
    registered,
  )
  const services = [...definedServices.values()].map((service): PlannedService => {
    const definition = serviceJson(service)
    const there = registeredServices.find(({ name }) => name === service.name)
    const change = describeService(service.name, there?.definition ?? null, definition)
    return { name: service.name, change, definition, revision: there?.revision ?? 0 }
  })
  const warnings = registrationWarnings(
    groups.map(({ bound }) => bound.group),
    [...definedServices.keys()],
    registered,
    registeredServices,
  )
  return { groups, services, warnings }
}

async function planGroup(
  deps: ActivityDeps,
  group: FeatureGroup,
  registered: RegisteredGroup | null,
  services: readonly RegisteredService[],
): Promise<PlannedGroup> {
  const bound = await bindDefinition(deps, group)
  const change = describeChange(registered, bound)
  const impact = await impactOf(deps, bound, change, services)
  return { bound, change, impact, revision: registered?.revision ?? 0 }
}

/**
 * A group with the types that its sources' files give it.
 * @throws InputError where it does not fit them, and for a function that is not pure
 */
export async function bindDefinition(deps: ActivityDeps, group: FeatureGroup): Promise<BoundGroup> {
  const files = await listFilesOf(group.sources, deps.environment, deps.baseFolder)
  const connection = await deps.duckdb.connect()
  try {
    const bound = await bindGroup(connection, group, files)
    await bindGates(connection, bound)
    await checkPurity(connection, bound, await bindSources(connection, group.sources, files))
    return bound
  } finally {
    connection.closeSync()
  }
}

function refuseRetired(defined: Iterable<FeatureGroup>, registered: readonly RegisteredGroup[]): void {
  const retired = new Set(registered.filter(({ retiredAt }) => retiredAt !== null).map(({ id }) => id))
  for (const { id, name, version } of defined) {
    if (!retired.has(id)) continue
    throw new InputError(
      `feature group ${id} was retired and is still defined. Take its definition away, or define ${name} as version ${version + 1}.`,
      { group: id },
    )
  }
}

/**
 * Makes tables, adds columns and registers definitions. Nothing is touched where a change of the plan is breaking, or
 * where somebody has registered one of its groups or services since it was made.
 * @returns ids of what was written
 */
export async function applyRegistration(deps: ActivityDeps, plan: RegistrationPlan): Promise<string[]> {
  refuseBreaking(plan)
  await refuseOvertaken(deps, plan)
  const written: string[] = []
  for (const { bound, change, revision } of plan.groups) {
    // The table first: a registration that is there always has its table, and a column too many hurts nobody.
    await ensureTable(deps, bound)
    if (change.verdict === 'unchanged') continue
    await deps.registry.registerGroup(registrationOf(bound, await deps.now()), revision)
    written.push(bound.group.id)
  }
  for (const { name, change, definition, revision } of plan.services) {
    if (change.verdict === 'unchanged') continue
    await deps.registry.registerService(name, definition, await deps.now(), revision)
    written.push(name)
  }
  return written
}

function refuseBreaking({ groups, services }: RegistrationPlan): void {
  const breaking = [
    ...groups.map(({ bound, change }) => ({ id: bound.group.id, ...change })),
    ...services.map(({ name, change }) => ({ id: name, ...change })),
  ].filter(({ verdict }) => verdict === 'breaking')
  if (breaking.length === 0) return
  throw new InputError(breaking.flatMap(({ sentences }) => sentences).join(' '), {
    breaking: breaking.map(({ id }) => id).join(', '),
  })
}

/** Each row's own revision decides in the end; this keeps a plan that is old from being carried out by half. */
async function refuseOvertaken({ registry }: ActivityDeps, plan: RegistrationPlan): Promise<void> {
  const now = new Map<string, number>()
  for (const { id, revision } of await registry.groups()) now.set(`feature group ${id}`, revision)
  for (const { name, revision } of await registry.services()) now.set(`feature service ${name}`, revision)
  const planned = [
    ...plan.groups.map(({ bound, revision }) => [`feature group ${bound.group.id}`, revision] as const),
    ...plan.services.map(({ name, revision }) => [`feature service ${name}`, revision] as const),
  ]
  const moved = planned.filter(([what, revision]) => (now.get(what) ?? 0) !== revision)
  if (moved.length === 0) return
  throw new ConflictError(
    `${moved.map(([what]) => what).join(', ')}: registered by somebody else since the plan was made. Nothing was applied; look at \`asof plan\` again.`,
    { moved: moved.map(([what]) => what).join(', ') },
  )
}
