/**
 * In which bucket of a column a data file's rows are, as its partition tuple says. A join by that column can then take
 * one bucket after the other; bucketSql (duckdb/transformSql.ts) says of a row in which it belongs.
 *
 *     const { files } = await planScan(table)
 *     const first = files.filter((file) => bucketOfFile(table.metadata, file, 'origin')?.number === 0)
 */
import { currentSchema, specNumbered } from './appendFiles.ts'
import type { TableMetadata } from './metadata.ts'
import { fieldNamed } from './schema.ts'
import { parseTransform } from './transforms.ts'
import type { DataFile, PartitionField, PartitionSpec, Schema } from './types.ts'

export interface Bucket {
  /** From 0 to count - 1; null for rows without a value. */
  readonly number: number | null
  readonly count: number
}

/**
 * Null where the file may hold rows of every bucket: its own partition spec, which need not be the table's newest, has
 * no bucket of that column.
 * @throws InvalidInput for a column that there is not
 */
export function bucketOfFile(
  metadata: TableMetadata,
  file: Pick<DataFile, 'specId' | 'partition'>,
  column: string,
): Bucket | null {
  const { id } = fieldNamed(currentSchema(metadata), column)
  const found = bucketField(specNumbered(metadata, file.specId), id)
  if (found === null) return null
  const number = file.partition[found.field.name]
  return { number: typeof number === 'number' ? number : null, count: found.count }
}

/** By which columns the table's newest partition spec has buckets: those of files from before may be others, or none. */
export function bucketColumns({ schema, spec }: { schema: Schema; spec: PartitionSpec }): string[] {
  return schema.fields.filter(({ id }) => bucketField(spec, id) !== null).map(({ name }) => name)
}

/** Another engine may partition by what is not supported here; that says nothing of a bucket. */
function bucketField(spec: PartitionSpec, sourceId: number): { field: PartitionField; count: number } | null {
  for (const field of spec.fields) {
    if (field['source-id'] !== sourceId || !field.transform.startsWith('bucket[')) continue
    const transform = parseTransform(field.transform)
    if (transform.kind === 'bucket') return { field, count: transform.count }
  }
  return null
}
