/**
 * Registration: compare the definitions with what is registered, then make it so.
 *
 * `planRegistration` binds every group to its source (types, columns, gates) and changes nothing; `applyRegistration`
 * does what such a plan says. Both are called by the command line, with the same dependencies as the steps of a run.
 */
import { InputError, tableColumns, type BoundGroup, type FeatureGroup } from '../model/index.ts'
import { icebergSchema, TableExists, type PartitionSpec, type Schema } from '../iceberg/index.ts'
import { bindGroup, listSourceFiles, resolvePath } from '../offline/index.ts'
import { checkGatesFitTypes } from '../quality/index.ts'
import { describeChange, registrationOf, serviceJson, type Change } from '../registry/index.ts'
import type { ActivityDeps } from './deps.ts'
import { icebergTypeOf } from './icebergTypes.ts'
import { incarnationProperty } from './materializeGroup.ts'

export interface PlannedGroup {
  readonly bound: BoundGroup
  readonly change: Change
  /** The revision that the plan was made against. */
  readonly revision: number
}

export interface RegistrationPlan {
  readonly groups: readonly PlannedGroup[]
  readonly services: readonly { name: string; change: 'new' | 'changed' | 'unchanged'; definition: unknown }[]
}

/** @throws InputError for a definition that does not fit its source. */
export async function planRegistration(deps: ActivityDeps): Promise<RegistrationPlan> {
  const groups: PlannedGroup[] = []
  for (const group of deps.definitions.groups.values()) groups.push(await planGroup(deps, group))
  const there = new Map(
    (await deps.registry.services()).map(({ name, definition }) => [name, JSON.stringify(definition)]),
  )
  const services = [...deps.definitions.services.values()].map((service) => {
    const definition = serviceJson(service)
    const registered = there.get(service.name)
    const change =
      registered === undefined
        ? ('new' as const)
        : registered === JSON.stringify(definition)
          ? ('unchanged' as const)
          : ('changed' as const)
    return { name: service.name, change, definition }
  })
  return { groups, services }
}

async function planGroup(deps: ActivityDeps, group: FeatureGroup): Promise<PlannedGroup> {
  const files = await listSourceFiles(
    group.source,
    resolvePath(group.source, deps.environment, deps.baseFolder),
  )
  const connection = await deps.duckdb.connect()
  try {
    const bound = await bindGroup(connection, group, files)
    checkGatesFitTypes(bound)
    const registered = await deps.registry.group(group.id)
    return {
      bound,
      change: describeChange(registered, bound),
      revision: registered?.revision ?? 0,
    }
  } finally {
    connection.closeSync()
  }
}

/**
 * Makes tables and registers definitions. Nothing is touched where a change of the plan is breaking.
 * @returns ids of what was written
 */
export async function applyRegistration(deps: ActivityDeps, plan: RegistrationPlan): Promise<string[]> {
  const breaking = plan.groups.filter(({ change }) => change.verdict === 'breaking')
  if (breaking.length > 0) {
    throw new InputError(breaking.flatMap(({ change }) => change.sentences).join(' '), {
      groups: breaking.map(({ bound }) => bound.group.id).join(', '),
    })
  }
  const written: string[] = []
  for (const { bound, change, revision } of plan.groups) {
    if (change.verdict === 'unchanged') continue
    await ensureTable(deps, bound)
    await deps.registry.registerGroup(registrationOf(bound, await deps.now()), revision)
    written.push(bound.group.id)
  }
  for (const { name, change, definition } of plan.services) {
    if (change === 'unchanged') continue
    await deps.registry.registerService(name, definition, await deps.now())
    written.push(name)
  }
  return written
}

/** The group's table, partitioned by day of the event timestamp. One that is there already stays. */
async function ensureTable({ catalog, store, now }: ActivityDeps, bound: BoundGroup): Promise<void> {
  const identifier = { namespace: store, name: bound.group.id }
  await catalog.createNamespace(store)
  if (await catalog.tableExists(identifier)) return
  const schema = icebergSchema(
    tableColumns(bound).map((column) => ({ ...column, type: icebergTypeOf(column.type) })),
  )
  try {
    await catalog.createTable(identifier, {
      schema,
      spec: dayPartition(schema),
      properties: { [incarnationProperty]: String(await now()) },
    })
  } catch (error) {
    if (!(error instanceof TableExists)) throw error
  }
}

function dayPartition(schema: Schema): PartitionSpec {
  const source = schema.fields.find(({ name }) => name === 'event_timestamp')
  if (source === undefined) throw new Error('a table without event_timestamp')
  return {
    'spec-id': 0,
    fields: [{ 'source-id': source.id, 'field-id': 1000, name: 'event_timestamp_day', transform: 'day' }],
  }
}
