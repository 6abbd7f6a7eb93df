/**
 * Apache Iceberg v2 in TypeScript: schemas, manifests, snapshots, branches, commits and scan planning, over a catalog
 * in a SQL database and files that DuckDB reads and writes. It knows nothing of the rest of this project.
 *
 *     const fileIO = localFileIO()
 *     const db = await openSqlite<CatalogTables>('/data/catalog.db')
 *     const catalog = await sqlCatalog({ name: 'asof', db, fileIO, warehouse: 'file:///data/warehouse' })
 *     const table = await catalog.loadTable({ namespace: 'asof', name: 'airport_delays_v1' })
 *     const { files } = await planScan(table, { filter: { column: 'origin', op: 'eq', value: 'SFO' } })
 */
export type { BranchStart, Publish } from './branches.ts'
export { bucketColumns, bucketOfFile, type Bucket } from './buckets.ts'
export type { Catalog, TableDefinition, TableState } from './catalog/catalog.ts'
export { createCatalogTables, sqlCatalog, type CatalogTables, type SqlCatalogOptions } from './catalog/sql.ts'
export { openSqlite, type SqliteOptions } from './catalog/sqlite.ts'
export { dataFileFromJson, dataFileToJson, type DataFileJson } from './dataFileJson.ts'
export { quoteIdentifier, quoteLiteral } from './duckdb/quote.ts'
export { readDataFiles, rowPlaceBits, type ReadOptions, type RowPlace } from './duckdb/reader.ts'
export { rewriteOutside, type RewriteOptions } from './duckdb/rewrite.ts'
export { bucketSql, registerBucketFunctions, transformSql } from './duckdb/transformSql.ts'
export { withoutDictionaries, writeDataFiles, type WriteOptions } from './duckdb/writer.ts'
export * from './errors.ts'
export type { FileIO, ListedFile } from './fileio/fileio.ts'
export { localFileIO } from './fileio/local.ts'
export { parseJson, stringifyJson } from './json.ts'
export { mainBranch, newTableMetadata, type TableMetadata } from './metadata.ts'
export { applyUpdates, checkRequirements, type Requirement, type Update } from './metadataUpdates.ts'
export { fileMightMatch, manifestMightMatch, type Filter } from './mightMatch.ts'
export type { Replacement } from './replaceRanges.ts'
export { planScan, type Scan, type ScanOptions } from './scan.ts'
export { columnType, duckdbType, fieldNamed, fieldWithId, icebergSchema, type Column } from './schema.ts'
export { compareValues, decodeBound, encodeBound, InvalidInput, type SingleValue } from './singleValue.ts'
export type { Snapshot } from './snapshot.ts'
export { reachableDataFiles, sweepMetadata } from './sweepMetadata.ts'
export type { TagTarget } from './tags.ts'
export { Table, type Append, type Ref, type ReplaceRanges } from './table.ts'
export { applyTransform, type Comparison } from './transforms.ts'
export type * from './types.ts'
