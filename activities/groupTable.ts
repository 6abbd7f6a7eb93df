/** A group's table: made with the first registration, and given columns for the features that are added later. */
import {
  IntegrityError,
  shapeOf,
  tableColumns,
  type BoundGroup,
  type FeatureType,
  type ScalarType,
} from '../model/index.ts'
import {
  icebergSchema,
  TableExists,
  type Column,
  type PartitionSpec,
  type PrimitiveType,
  type Schema,
  type Table,
} from '../iceberg/index.ts'
import { groupFingerprint } from '../registry/index.ts'
import type { ActivityDeps } from './deps.ts'

const incarnationProperty = 'asof.incarnation'
/** The group's registered fingerprint: a publish requires it in the same commit. */
export const fingerprintProperty = 'asof.fingerprint'

const icebergTypes: Record<ScalarType, PrimitiveType> = {
  boolean: 'boolean',
  int32: 'int',
  int64: 'long',
  float32: 'float',
  float64: 'double',
  string: 'string',
  timestamp: 'timestamptz',
}

/** Lists and vectors are Iceberg's lists; how long a vector is stands in the registry. */
export function icebergType(type: FeatureType): Column['type'] {
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return icebergTypes[shape.scalar]
  return { type: 'list', element: icebergTypes[shape.element], 'element-required': false }
}

/**
 * Partitioned by day of the event timestamp. A table that is there gains the columns that it lacks, and from then on
 * publishes only what was computed by this definition.
 */
export async function ensureTable(deps: ActivityDeps, bound: BoundGroup): Promise<void> {
  const { catalog, store, now } = deps
  const identifier = { namespace: store, name: bound.group.id }
  const fingerprint = { [fingerprintProperty]: groupFingerprint(bound.group) }
  const columns = tableColumns(bound).map((column) => ({ ...column, type: icebergType(column.type) }))
  await catalog.createNamespace(store)
  if (!(await catalog.tableExists(identifier))) {
    const schema = icebergSchema(columns)
    try {
      await catalog.createTable(identifier, {
        schema,
        spec: dayPartition(schema),
        properties: { [incarnationProperty]: String(await now()), ...fingerprint },
      })
      return
    } catch (error) {
      if (!(error instanceof TableExists)) throw error
    }
  }
  const table = await catalog.loadTable(identifier)
  const features = new Set(bound.features.map(({ name }) => name))
  await table.addColumns(columns.filter(({ name }) => features.has(name)))
  await table.setProperties(fingerprint)
}

/** Which making of the table this is: one that was dropped and made again has a greater one. */
export function incarnationOf(table: Table): bigint {
  const text = table.metadata.properties[incarnationProperty]
  if (text === undefined) {
    throw new IntegrityError(
      `Table ${table.identifier.name} has no property ${incarnationProperty}. It was not made by \`asof apply\`.`,
    )
  }
  return BigInt(text)
}

function dayPartition(schema: Schema): PartitionSpec {
  const source = schema.fields.find(({ name }) => name === 'event_timestamp')
  if (source === undefined) throw new Error('a table without event_timestamp')
  return {
    'spec-id': 0,
    fields: [{ 'source-id': source.id, 'field-id': 1000, name: 'event_timestamp_day', transform: 'day' }],
  }
}
