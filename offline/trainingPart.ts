/**
 * One part of a training set: a range of labels, joined against every group and written as one Parquet file in the labels'
 * order. Each group is joined against the labels themselves, one after the other, so that neither the order of groups nor
 * their number changes anything (rule 7).
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import type { KeyType } from '../model/entity.ts'
import { shapeOf, type FeatureDefault, type FeatureType, type ScalarType } from '../model/feature.ts'
import { duckdbTypeOf, duckdbTypes, type Column } from './columnType.ts'
import { query } from './duckdb.ts'
import { labelRow } from './labels.ts'
import { withGroupJoin, type JoinedGroup } from './pointInTime.ts'
import { partWrittenAs } from './trainingFiles.ts'

export interface PartGroup extends Omit<JoinedGroup, 'relation' | 'features' | 'knowledgeCutoff'> {
  /** What it is called in lists of what was not found. */
  readonly name: string
  readonly features: readonly PartFeature[]
  /** Columns for the event timestamp and the age in seconds of the row that was found. */
  readonly timestamps: { readonly event: string; readonly age: string } | null
  /** SQL of the published rows that one of the labels might see; of none where there are no labels. */
  relationFor(labels: PartLabels): Promise<(columns: readonly string[]) => string>
}

/** What is known of a part's labels before they are joined. */
export interface PartLabels {
  /** Null where there are none. */
  readonly range: LabelRange | null
  /**
   * The values of a key column as that type, without null and without those that the type does not have, which match
   * nothing; null where there are more of them than `atMost`.
   */
  distinctKeys(column: string, type: KeyType, atMost: number): Promise<readonly KeyValue[] | null>
}

/** A string; an int64 as bigint, an int32 as number. */
export type KeyValue = string | bigint | number

/** In microseconds since the epoch, both inclusive. */
export interface LabelRange {
  readonly from: bigint
  readonly to: bigint
}

export interface PartFeature {
  readonly name: string
  readonly type: FeatureType
  /** What it is called in the set; several that only functions read have names of their own. */
  readonly column: string
  /** As `defaultValue` makes it: for whatever is not present. */
  readonly default: FeatureDefault | null
  /** Read by an on-demand function only. */
  readonly hidden: boolean
}

/** A column that a function makes; its default stands for every null. */
export type MadeColumn = Pick<PartFeature, 'name' | 'type' | 'default'>

/** Makes columns of a relation's rows; the relation has the labels' columns and the features'. */
export interface RowFunction {
  readonly columns: readonly MadeColumn[]
  /** Fills a table of `label_row` and the columns. */
  run(connection: DuckDBConnection, relation: string, into: string): Promise<void>
}

export interface PartRequest {
  /** The kept labels, as DuckDB opens them. */
  readonly labelsPath: string
  readonly labelColumns: readonly Column[]
  readonly timeColumn: string
  /** Numbers of labels: from (inclusive) to (exclusive). */
  readonly from: number
  readonly to: number
  readonly knowledgeCutoff: boolean
  readonly groups: readonly PartGroup[]
  readonly rowFunctions: readonly RowFunction[]
  /** Where the part goes. */
  readonly path: string
  /** Where a list of the labels that found nothing goes; null: nowhere. */
  readonly unmatchedPath: string | null
  readonly signal?: AbortSignal
}

export interface PartResult {
  readonly rows: number
  /** How many labels found a row, in the order of the groups. */
  readonly matched: readonly number[]
}

export async function buildPart(connection: DuckDBConnection, part: PartRequest): Promise<PartResult> {
  const { signal, groups, knowledgeCutoff } = part
  const abort = signal === undefined ? {} : { signal }
  const run = (sql: string) => query(connection, sql, signal)
  const labels = labelsOf(part)
  await makePartLabels(connection, part, labels)
  const [bounds] = await run(
    'SELECT count(*) AS rows, epoch_us(min(label_time)) AS first, epoch_us(max(label_time)) AS last FROM part_labels',
  )
  const { first, last } = bounds ?? {}
  const rows = Number(bounds?.['rows'])
  const range = typeof first === 'bigint' && typeof last === 'bigint' ? { from: first, to: last } : null
  const partLabels: PartLabels = {
    range,
    distinctKeys: (column, type, atMost) =>
      distinctKeys(connection, { column: keyName(column), type, atMost, ...abort }),
  }
  const matched: number[] = []
  const tables = groups.map((_, at) => `found_${at}`)
  let isWritten = false
  for (const [at, group] of groups.entries()) {
    const relation = await group.relationFor(partLabels)
    const joined = {
      ...group,
      ...{ relation, knowledgeCutoff },
      labelKeys: group.labelKeys.map(keyName),
      features: group.features.map(({ name }) => name),
    }
    const options = { labels: 'part_labels', into: `found_${at}`, ...abort }
    const count = await withGroupJoin(connection, joined, options, async (join) => {
      const straight = at + 1 < groups.length || !canBeStraight(part) ? null : await join.straight()
      if (straight === null) return join.run()
      await writePart(connection, part, [...tables.slice(0, at), `(${straight.sql})`])
      isWritten = await isAsLikely(connection, part, { rows, found: straight.labels })
      return isWritten ? straight.labels : join.run()
    })
    matched.push(count)
  }
  if (!isWritten) await writePart(connection, part, tables)
  await run('DROP VIEW part_labels')
  if (part.unmatchedPath !== null) await writeUnmatched(connection, part, labels)
  return { rows, matched }
}

/** Labels may call their columns anything, what the join calls its own too. */
const keyName = (column: string) => `key ${column}`

const labelsOf = ({ labelsPath, from, to }: PartRequest, options = '') =>
  `(SELECT * FROM read_parquet(${quoteLiteral(labelsPath)}, file_row_number = true${options}) WHERE ${labelRow} >= ${from} AND ${labelRow} < ${to})`

/** However few they are: labels look their rows up one after the other, which nearly keeps their order. */
const asMany = ', explicit_cardinality = 1000000000000'

async function makePartLabels(
  connection: DuckDBConnection,
  { timeColumn, groups, signal }: PartRequest,
  labels: string,
): Promise<void> {
  const keys = [...new Set(groups.flatMap(({ labelKeys }) => labelKeys))].map(
    (column) => `${quoteIdentifier(column)} AS ${quoteIdentifier(keyName(column))}`,
  )
  const columns = [`${labelRow} AS label_row`, `${quoteIdentifier(timeColumn)} AS label_time`, ...keys]
  await query(
    connection,
    `CREATE TEMP VIEW part_labels AS SELECT ${columns.join(', ')} FROM ${labels}`,
    signal,
  )
}

/** Whether rows of the last group may be joined while the part is written, and what has been written tells what was found. */
const canBeStraight = ({ groups, rowFunctions, unmatchedPath }: PartRequest) =>
  rowFunctions.length === 0 && unmatchedPath === null && witnesses(groups).length > 0

/** Columns of the last group that are null wherever a label found nothing. */
const witnesses = (groups: readonly PartGroup[]) =>
  (groups.at(-1)?.features ?? []).filter(({ hidden, default: given }) => !hidden && given === null)

/**
 * Whether each label stands in the part once, and as many as might have found a row of the last group did: one of its columns has
 * that many values.
 */
async function isAsLikely(
  connection: DuckDBConnection,
  { path, groups, signal }: PartRequest,
  { rows, found }: { rows: number; found: number },
): Promise<boolean> {
  for (const { column } of witnesses(groups)) {
    const [counted] = await query(
      connection,
      `SELECT count(*) AS rows, count(${quoteIdentifier(column)}) AS found FROM read_parquet(${quoteLiteral(path)})`,
      signal,
    )
    if (Number(counted?.['rows']) !== rows) return false
    if (Number(counted?.['found']) === found) return true
  }
  return false
}

/** @param found SQL of each group's rows: `label_row`, `event_ts`, `f0`, … */
async function writePart(
  connection: DuckDBConnection,
  part: PartRequest,
  found: readonly string[],
): Promise<void> {
  const joins = found.map(
    (rows, at) => `LEFT JOIN ${rows} AS found_${at} ON found_${at}.label_row = labels.${labelRow}`,
  )
  const joined = `${labelsOf(part, asMany)} AS labels ${joins.join(' ')}`
  const made = await runFunctions(connection, part, joined)
  const columns = [
    ...part.labelColumns.map(({ name }) => `labels.${quoteIdentifier(name)}`),
    ...part.groups.flatMap((group, at) => groupColumns(group, at, part.timeColumn)),
    ...made.columns,
  ]
  await query(
    connection,
    `COPY (SELECT ${columns.join(', ')} FROM ${joined} ${made.joins} ORDER BY labels.${labelRow})
     TO ${quoteLiteral(part.path)} (${partWrittenAs(typesOf(part))})`,
    part.signal,
  )
}

async function distinctKeys(
  connection: DuckDBConnection,
  { column, type, atMost, signal }: { column: string; type: KeyType; atMost: number; signal?: AbortSignal },
): Promise<KeyValue[] | null> {
  const value = `TRY_CAST(${quoteIdentifier(column)} AS ${duckdbTypes[type]})`
  const rows = await query(
    connection,
    `SELECT DISTINCT ${value} AS key FROM part_labels WHERE ${value} IS NOT NULL LIMIT ${atMost + 1}`,
    signal,
  )
  return rows.length > atMost ? null : rows.map(({ key }) => key as KeyValue)
}

/** Ages are doubles. */
function typesOf({ labelColumns, groups, rowFunctions }: PartRequest): string[] {
  const features = [
    ...groups.flatMap((group) => group.features),
    ...rowFunctions.flatMap(({ columns }) => columns),
  ]
  return [
    ...labelColumns.map(({ type }) => type),
    ...features.map(({ type }) => storedType(type)),
    ...(groups.some(({ timestamps }) => timestamps !== null) ? ['DOUBLE'] : []),
  ]
}

/** What a feature is in the set, as SQL: its default stands for whatever is not present (rule 10). */
function featureSql({ features }: PartGroup, at: number, place: number): string {
  const { type, default: given } = features[place] as PartFeature
  return storedSql(`found_${at}.f${place}`, type, given)
}

function storedSql(value: string, type: FeatureType, given: FeatureDefault | null): string {
  const stored = `CAST(${value} AS ${storedType(type)})`
  return given === null ? stored : `coalesce(${stored}, ${defaultSql(type, given)})`
}

function groupColumns(group: PartGroup, at: number, timeColumn: string): string[] {
  const features = group.features.flatMap(({ column, hidden }, place) =>
    hidden ? [] : [`${featureSql(group, at, place)} AS ${quoteIdentifier(column)}`],
  )
  if (group.timestamps === null) return features
  const { event, age } = group.timestamps
  const ageInSeconds = `(epoch_us(labels.${quoteIdentifier(timeColumn)}) - epoch_us(found_${at}.event_ts)) / 1e6`
  return [
    ...features,
    `found_${at}.event_ts AS ${quoteIdentifier(event)}`,
    `${ageInSeconds} AS ${quoteIdentifier(age)}`,
  ]
}

/** Vectors are lists in files, as they are in tables. */
function storedType(type: FeatureType): string {
  const shape = shapeOf(type)
  return shape.kind === 'vector' ? 'FLOAT[]' : duckdbTypeOf(type)
}

function defaultSql(type: FeatureType, given: FeatureDefault): string {
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return scalarSql(shape.scalar, given as string | number | bigint | boolean)
  const elements = (given as readonly (string | number | bigint | boolean)[]).map((one) =>
    scalarSql(shape.element, one),
  )
  return `CAST([${elements.join(', ')}] AS ${storedType(type)})`
}

const scalarSql = (type: ScalarType, value: string | number | bigint | boolean): string =>
  type === 'timestamp'
    ? `make_timestamptz(${value})`
    : `CAST(${quoteLiteral(String(value))} AS ${duckdbTypes[type]})`

async function runFunctions(
  connection: DuckDBConnection,
  part: PartRequest,
  joined: string,
): Promise<{ columns: string[]; joins: string }> {
  if (part.rowFunctions.length === 0) return { columns: [], joins: '' }
  const features = part.groups.flatMap((group, at) =>
    group.features.map(
      ({ column }, place) => `${featureSql(group, at, place)} AS ${quoteIdentifier(`feature ${column}`)}`,
    ),
  )
  const inputs = [
    `labels.${labelRow} AS label_row`,
    `labels.${quoteIdentifier(part.timeColumn)} AS label_time`,
    ...part.labelColumns.map(
      ({ name }) => `labels.${quoteIdentifier(name)} AS ${quoteIdentifier(`label ${name}`)}`,
    ),
    ...features,
  ]
  // A stream of a query swallows its errors; one of a finished table has none.
  await query(connection, `CREATE TEMP TABLE function_inputs AS SELECT ${inputs.join(', ')} FROM ${joined}`)
  const columns: string[] = []
  const joins: string[] = []
  for (const [at, each] of part.rowFunctions.entries()) {
    const made = `made_${at}`
    const types = each.columns.map(({ type }, place) => `f${place} ${duckdbTypeOf(type)}`)
    await query(connection, `CREATE TEMP TABLE ${made} (label_row BIGINT, ${types.join(', ')})`)
    await each.run(connection, 'function_inputs', made)
    columns.push(
      ...each.columns.map(
        ({ name, type, default: given }, place) =>
          `${storedSql(`${made}.f${place}`, type, given)} AS ${quoteIdentifier(name)}`,
      ),
    )
    joins.push(`LEFT JOIN ${made} ON ${made}.label_row = labels.${labelRow}`)
  }
  await query(connection, 'DROP TABLE function_inputs')
  return { columns, joins: joins.join(' ') }
}

async function writeUnmatched(
  connection: DuckDBConnection,
  { groups, unmatchedPath }: PartRequest,
  labels: string,
): Promise<void> {
  const lists = groups.map(
    ({ name }, at) =>
      `SELECT ${labelRow} AS "row", ${quoteLiteral(name)} AS "group" FROM ${labels} ANTI JOIN found_${at} ON found_${at}.label_row = ${labelRow}`,
  )
  await query(
    connection,
    `COPY (SELECT * FROM (${lists.join(' UNION ALL ')}) ORDER BY "row", "group") TO ${quoteLiteral(unmatchedPath ?? '')} (FORMAT parquet)`,
  )
}
