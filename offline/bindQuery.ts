/** Binds a query group: the columns that its SELECT yields are those of its table, and their types fit. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { BoundGroup } from '../model/bound.ts'
import type { KeyType } from '../model/entity.ts'
import { InputError } from '../model/errors.ts'
import type { FeatureType } from '../model/featureType.ts'
import type { FeatureGroup } from '../model/group.ts'
import { classOf, duckdbTypeOf, fitsInt32, type Column } from './columnType.ts'
import { checkTimestamps } from './checkTimes.ts'
import { declaredTypes } from './declaredTypes.ts'
import { queryOf, queryRelation } from './queryRelation.ts'
import { bindSources } from './source.ts'
import type { SourceFile } from './sourceFiles.ts'

/** @throws InputError that names the group, the column and the cure. */
export async function bindQuery(
  connection: DuckDBConnection,
  group: FeatureGroup,
  files: readonly SourceFile[],
): Promise<BoundGroup> {
  const relations = await bindSources(connection, group.sources, files)
  for (const relation of relations) await checkTimestamps(connection, relation)
  const { columns } = await queryRelation(connection, group, relations)
  return bindQueryColumns(group, columns)
}

/** Types of keys and features against the columns alone. @throws InputError as `bindQuery` does. */
export function bindQueryColumns(group: FeatureGroup, columns: readonly Column[]): BoundGroup {
  const { created } = queryOf(group)
  const keys = Object.entries(group.entity.keys).map(([name, type]) => ({ name, type }))
  for (const { name, type } of keys) {
    const column = columnOf(group, columns, name, `key ${name}`)
    if (!keyFits(column.type, type)) throw misfit(group, `key ${name}`, column, duckdbTypeOf(type))
  }
  for (const name of ['event_timestamp', ...(created === null ? [] : [created.column])]) {
    const column = columnOf(group, columns, name, name === 'event_timestamp' ? 'every row' : 'created')
    if (classOf(column.type) !== 'instant') throw misfit(group, `column ${name}`, column, 'TIMESTAMPTZ')
  }
  const features = declaredTypes(group)
  for (const { name, type } of features) {
    const column = columnOf(group, columns, name, `feature ${name}`)
    if (!featureFits(column.type, type)) throw misfit(group, `feature ${name}`, column, duckdbTypeOf(type))
  }
  return { group, keys, features }
}

function columnOf(group: FeatureGroup, columns: readonly Column[], name: string, what: string): Column {
  const column = columns.find((one) => one.name === name)
  if (column !== undefined) return column
  throw new InputError(
    `feature group ${group.id}: the query yields no column ${JSON.stringify(name)}, which ${what} needs. It yields ${columns.map((one) => one.name).join(', ')}.`,
    { group: group.id, column: name },
  )
}

function keyFits(type: string, declared: KeyType): boolean {
  if (declared === 'string') return classOf(type) === 'text'
  return classOf(type) === 'integer' && (declared === 'int64' || fitsInt32(type))
}

/** Types that hold every value of the column: the column's own and wider ones. */
const widerTypes: Readonly<Record<string, readonly FeatureType[]>> = {
  BOOLEAN: ['boolean'],
  TINYINT: ['int32', 'int64', 'float32', 'float64'],
  SMALLINT: ['int32', 'int64', 'float32', 'float64'],
  UTINYINT: ['int32', 'int64', 'float32', 'float64'],
  USMALLINT: ['int32', 'int64', 'float32', 'float64'],
  INTEGER: ['int32', 'int64', 'float64'],
  UINTEGER: ['int64', 'float64'],
  BIGINT: ['int64'],
  // Sums of integers; one that is no int64 fails the run.
  HUGEINT: ['int64'],
  FLOAT: ['float32', 'float64'],
  DOUBLE: ['float64'],
  VARCHAR: ['string'],
  'TIMESTAMP WITH TIME ZONE': ['timestamp'],
}

function featureFits(type: string, declared: FeatureType): boolean {
  if (widerTypes[type]?.includes(declared)) return true
  if (classOf(type) === 'decimal') return declared === 'float64'
  return type.replaceAll('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ') === duckdbTypeOf(declared)
}

const misfit = (group: FeatureGroup, what: string, { name, type }: Column, wanted: string) =>
  new InputError(
    `feature group ${group.id}: ${what}: the query yields ${name} as ${type}, which is not ${wanted}. Write CAST(… AS ${wanted}) AS ${name} in the query, or declare another type.`,
    { group: group.id, column: name, type },
  )
