/** On-demand features over joined rows: the function that serving calls, once a row. */
import {
  DuckDBArrayValue,
  DuckDBListValue,
  DuckDBTimestampTZValue,
  type DuckDBConnection,
  type DuckDBValue,
} from '@duckdb/node-api'
import { quoteIdentifier } from '../iceberg/duckdb/quote.ts'
import { IntegrityError } from '../model/errors.ts'
import { shapeOf, type FeatureType, type ScalarType } from '../model/feature.ts'
import { featureColumn } from '../model/group.ts'
import type { OnDemand, OnDemandValue } from '../model/onDemand.ts'
import { duckdbTypeOf, duckdbTypes } from './columnType.ts'
import { appendedType, duckdbValue } from './mapValue.ts'
import { runOnDemand } from '../model/runOnDemand.ts'
import type { MadeColumn, RowFunction } from './trainingPart.ts'

/** Rows between two flushes of the appender. */
const rowsPerFlush = 2048 * 8

/**
 * @param onDemand what is run
 * @param made what it makes, in order, with defaults as values
 * @param requestColumns label columns by the name in the request
 * @param features types of what it reads, by what it is called in a vector, and the column of the set that it is in
 */
export function onDemandRows(
  onDemand: OnDemand,
  made: readonly MadeColumn[],
  requestColumns: Readonly<Record<string, string>>,
  features: ReadonlyMap<string, { readonly column: string; readonly type: FeatureType }>,
): RowFunction {
  const asked = Object.entries<ScalarType>(onDemand.request)
  const read = onDemand.reads.flatMap((selection) =>
    selection.features.map((feature) => featureColumn(selection, feature)),
  )
  return {
    columns: made,
    async run(connection, relation, into) {
      const request = asked.map(([name, type]) =>
        seenSql(
          `CAST(${quoteIdentifier(`label ${requestColumns[name] ?? name}`)} AS ${duckdbTypes[type]})`,
          type,
        ),
      )
      const stored = read.map((name) => {
        const { column, type } = features.get(name) ?? unknownRead(onDemand.name, name)
        return seenSql(quoteIdentifier(`feature ${column}`), type)
      })
      const columns = ['label_row', 'epoch_us(label_time) / 1000.0', ...request, ...stored]
      const result = await connection.stream(`SELECT ${columns.join(', ')} FROM ${relation}`)
      const appender = await connection.createAppender(into, 'main', 'temp')
      let rows = 0
      try {
        for await (const chunk of result) {
          for (const [row, at, ...values] of chunk.getRows()) {
            const seen = values.map(seenValue)
            const input = {
              request: named(
                asked.map(([name]) => name),
                seen,
                0,
              ),
              features: named(read, seen, asked.length),
              at: Number(at),
            }
            appender.appendBigInt(row as bigint)
            runOnDemand(onDemand, input).forEach((value, place) => {
              const { type } = made[place] as MadeColumn
              appender.appendValue(duckdbValue(type, value), appendedType(type))
            })
            appender.endRow()
            if (++rows % rowsPerFlush === 0) appender.flushSync()
          }
        }
        appender.flushSync()
      } finally {
        appender.closeSync()
      }
      await refuseShort(connection, relation, rows)
    },
  }
}

function unknownRead(onDemand: string, name: string): never {
  throw new IntegrityError(`on-demand features ${onDemand}: ${name}, which it reads, was not joined.`)
}

/** As functions see values everywhere: instants in milliseconds since the epoch. */
function seenSql(column: string, type: FeatureType): string {
  const shape = shapeOf(type)
  if (shape.kind === 'scalar') return shape.scalar === 'timestamp' ? `epoch_us(${column}) / 1000.0` : column
  return `CAST(${column} AS ${duckdbTypeOf(type).replace(/\[\d+\]$/, '[]')})`
}

function seenValue(value: DuckDBValue): OnDemandValue {
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) {
    return value.items.map(seenValue) as OnDemandValue
  }
  if (value instanceof DuckDBTimestampTZValue) return Number(value.micros) / 1000
  return value as OnDemandValue
}

const named = (names: readonly string[], values: readonly OnDemandValue[], from: number) =>
  Object.fromEntries(names.map((name, at) => [name, values[from + at] ?? null]))

/** DuckDB's streams swallow errors: a short one is noticed here. */
async function refuseShort(connection: DuckDBConnection, relation: string, rows: number): Promise<void> {
  const counted = await connection.runAndReadAll(`SELECT count(*) FROM ${relation}`)
  if (counted.getRows()[0]?.[0] === BigInt(rows)) return
  throw new IntegrityError(`Only ${rows} rows could be read for on-demand features. Try again.`)
}
