/** A group's table: made with the first registration, and given columns for the features that are added later. */
import {
  bucketPartition,
  InputError,
  IntegrityError,
  shapeOf,
  tableColumns,
  type BoundGroup,
  type Buckets,
  type FeatureType,
  type ScalarType,
} from '../model/index.ts'
import {
  fieldNamed,
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
 * Partitioned by day of the event timestamp, and by buckets of a key where the group has them. A table that is there gains
 * the columns that it lacks, and from then on publishes only what was computed by this definition.
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
        spec: partitionSpec(schema, bound.group.buckets),
        properties: { [incarnationProperty]: String(await now()), ...fingerprint },
      })
      return
    } catch (error) {
      if (!(error instanceof TableExists)) throw error
    }
  }
  const table = await catalog.loadTable(identifier)
  refuseOtherBuckets(table, bound)
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

function partitionSpec(schema: Schema, buckets: Buckets | null): PartitionSpec {
  const day = {
    ...{ 'source-id': fieldNamed(schema, 'event_timestamp').id, 'field-id': 1000 },
    ...{ name: 'event_timestamp_day', transform: 'day' },
  }
  if (buckets === null) return { 'spec-id': 0, fields: [day] }
  const bucket = {
    ...{ 'source-id': fieldNamed(schema, buckets.key).id, 'field-id': 1001 },
    ...{ name: bucketPartition(buckets), transform: bucketTransform(buckets) },
  }
  return { 'spec-id': 0, fields: [day, bucket] }
}

const bucketTransform = ({ count }: Buckets) => `bucket[${count}]`

/**
 * A table may be older than its registration: a registry that was lost, an `asof apply` that ended in between. One of more
 * partitions than the definition asks for, as another engine may have made it, is fine.
 */
function refuseOtherBuckets(
  { spec, schema, identifier }: Table,
  { group: { id, buckets } }: BoundGroup,
): void {
  if (buckets === null) return
  const source = fieldNamed(schema, buckets.key).id
  const transform = bucketTransform(buckets)
  if (spec.fields.some((field) => field['source-id'] === source && field.transform === transform)) return
  const made = spec.fields.map((field) => `${field.transform} as ${field.name}`).join(', ')
  throw new InputError(
    `feature group ${id} asks for ${transform} of ${buckets.key}, but its table ${identifier.name} is there already, partitioned by ${made || 'nothing'}. Define it as that, or as another version.`,
    { group: id },
  )
}
