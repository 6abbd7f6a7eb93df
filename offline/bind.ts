/**
 * Binds a group to its source: do its columns exist, do their types fit, and of what types are its features.
 *
 * Asof's own checks come first, because their messages name the cure; DuckDB's binder has the last word on the SQL.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { BoundGroup } from '../model/bound.ts'
import { columnsOf } from '../model/condition.ts'
import type { KeyType } from '../model/entity.ts'
import { InputError, IntegrityError } from '../model/errors.ts'
import type { AggregateFeature } from '../model/feature.ts'
import { aggregatesOf, type FeatureGroup } from '../model/group.ts'
import { aggregateSql, callsOf, type AggregateSql } from './aggregate.ts'
import { classOf, duckdbTypes, fitsInt32, type Column } from './columnType.ts'
import type { ColumnLookup } from './condition.ts'
import { query } from './duckdb.ts'
import { checkTimestamps } from './checkTimes.ts'
import { bindSources, isTimeColumn, type EventColumn, type SourceRelation } from './source.ts'
import type { SourceFile } from './sourceFiles.ts'
import {
  checkSqlConditions,
  columnsMentioned,
  selectWithConditions,
  sqlTextsOfFeature,
} from './sqlCondition.ts'

/**
 * Binds a group to its source's files, every timestamp of which is looked at.
 *
 * @throws InputError that names the group, the key or feature, the column and the cure.
 */
export async function bindAggregates(
  connection: DuckDBConnection,
  group: FeatureGroup,
  files: readonly SourceFile[],
): Promise<BoundGroup> {
  const [relation] = await bindSources(connection, group.sources, files)
  if (relation === undefined) throw new IntegrityError(`feature group ${group.id} has no source.`)
  const bound = bindColumns(group, relation)
  await checkTimestamps(connection, relation)
  const columns = columnsOfGroup(group, relation)
  for (const { name } of bound.features) {
    const texts = sqlTextsOfFeature(aggregateNamed(group, name))
    const calls = callsOf(featureSql(group, name, relation, columns)).join(', ')
    const events = selectWithConditions(relation, columns, texts)
    const bind = async () => {
      await checkSqlConditions(connection, relation, texts)
      await query(connection, `EXPLAIN SELECT ${calls} FROM (${events})`)
    }
    await bind().catch((cause: unknown) => {
      throw new InputError(
        `feature group ${group.id}: feature ${name}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { group: group.id, feature: name },
        { cause },
      )
    })
  }
  return bound
}

/** Types of keys and features from the columns alone. @throws InputError as `bindAggregates` does. */
export function bindColumns(group: FeatureGroup, relation: SourceRelation): BoundGroup {
  const keys = Object.entries(group.entity.keys).map(([name, type]) => {
    checkKey(group, relation, name, type)
    return { name, type }
  })
  const columns = columnsOfGroup(group, relation)
  const features = Object.keys(group.features).map((name) => ({
    name,
    type: featureSql(group, name, relation, columns).type,
  }))
  return { group, keys, features }
}

/** What the group reads: its keys as k0, k1, … and the columns of its features as c0, c1, … */
export function columnsOfGroup(group: FeatureGroup, relation: SourceRelation): EventColumn[] {
  const keys = Object.entries(group.entity.keys).map(([name, type], index) => ({
    name,
    as: `k${index}`,
    type: duckdbTypes[type],
  }))
  const used = new Set(
    Object.values(aggregatesOf(group)).flatMap((feature) => columnsOfFeature(feature, relation)),
  )
  return [...keys, ...[...used].map((name, index) => ({ name, as: `c${index}` }))]
}

const columnsOfFeature = (feature: AggregateFeature, { columns }: SourceRelation) => [
  ...(feature.column === null ? [] : [feature.column]),
  ...(feature.condition === null ? [] : columnsOf(feature.condition)),
  ...(feature.where === null ? [] : columnsOf(feature.where)),
  ...sqlTextsOfFeature(feature).flatMap((text) => columnsMentioned(text, columns)),
]

function aggregateNamed(group: FeatureGroup, name: string): AggregateFeature {
  const feature = aggregatesOf(group)[name]
  if (feature === undefined) throw new InputError(`feature group ${group.id} has no feature ${name}.`)
  return feature
}

function featureSql(
  group: FeatureGroup,
  name: string,
  relation: SourceRelation,
  columns: readonly EventColumn[],
): AggregateSql {
  try {
    return aggregateSql(aggregateNamed(group, name), lookupIn(group, relation, columns))
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    throw new InputError(`feature group ${group.id}: feature ${name}: ${error.message}`, {
      ...error.context,
      group: group.id,
      feature: name,
    })
  }
}

/** Columns of features as SQL; the timestamp column is an instant by the time that a feature sees it. */
export function lookupIn(
  group: FeatureGroup,
  relation: SourceRelation,
  columns: readonly EventColumn[],
): ColumnLookup {
  return (name) => {
    const { type } = columnNamed(relation, name)
    const as = columns.slice(Object.keys(group.entity.keys).length).find((column) => column.name === name)?.as
    return { sql: as ?? name, type: isTimeColumn(relation.source, name) ? 'TIMESTAMP WITH TIME ZONE' : type }
  }
}

function columnNamed({ source, columns }: SourceRelation, name: string): Column {
  const column = columns.find((one) => one.name === name)
  if (column !== undefined) return column
  throw new InputError(
    `source ${source.name} has no column ${JSON.stringify(name)}. It has ${columns.map((one) => one.name).join(', ')}.`,
    { source: source.name, column: name },
  )
}

/** @throws InputError where the source has no such column, or one of another type. */
export function checkKey(
  group: FeatureGroup,
  relation: SourceRelation,
  name: string,
  keyType: KeyType,
): void {
  const what = `feature group ${group.id}: key ${name}`
  const { source, columns } = relation
  const type = columns.find((column) => column.name === name)?.type
  if (type === undefined) {
    throw new InputError(
      `${what}: source ${source.name} has no column ${JSON.stringify(name)}. It has ${columns.map((one) => one.name).join(', ')}.`,
      { group: group.id, key: name },
    )
  }
  // Integers of text files have no width of their own: each value is checked when it is read.
  const isInteger = classOf(type) === 'integer'
  const fits = {
    string: classOf(type) === 'text' || source.format === 'csv',
    int64: isInteger,
    int32: isInteger && (fitsInt32(type) || source.format !== 'parquet'),
  }
  if (isTimeColumn(source, name) || !fits[keyType]) {
    throw new InputError(
      `${what}: entity ${group.entity.name} says ${keyType}, but column ${name} of source ${source.name} is ${type}. ${cureFor(type)}`,
      { group: group.id, key: name, type },
    )
  }
}

const cureFor = (type: string) =>
  classOf(type) === 'integer'
    ? `Declare the key as ${fitsInt32(type) ? 'int32' : 'int64'}.`
    : classOf(type) === 'text'
      ? 'Declare the key as string.'
      : 'Keys are text or integers; write the column as one of these.'
