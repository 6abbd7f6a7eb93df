/** A real catalog on SQLite in a folder of its own, and data files that exist in manifests only. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Kysely } from 'kysely'
import type { Catalog } from '../../iceberg/catalog/catalog.ts'
import { sqlCatalog, type CatalogTables } from '../../iceberg/catalog/sql.ts'
import { openSqlite } from '../../iceberg/catalog/sqlite.ts'
import type { FileIO } from '../../iceberg/fileio/fileio.ts'
import { localFileIO } from '../../iceberg/fileio/local.ts'
import { readManifest, type ManifestEntry } from '../../iceberg/manifest.ts'
import { readManifestList, type ManifestFile } from '../../iceberg/manifestList.ts'
import { icebergSchema } from '../../iceberg/schema.ts'
import { encodeBound } from '../../iceberg/singleValue.ts'
import type { Snapshot } from '../../iceberg/snapshot.ts'
import type { Table } from '../../iceberg/table.ts'
import { microsPerDay } from '../../iceberg/transforms.ts'
import type { DataFile, PartitionSpec } from '../../iceberg/types.ts'

export const schema = icebergSchema([
  { name: 'event_timestamp', type: 'timestamptz', required: true },
  { name: 'delay', type: 'double' },
])
export const daySpec: PartitionSpec = {
  'spec-id': 0,
  fields: [{ 'source-id': 1, 'field-id': 1000, name: 'event_timestamp_day', transform: 'day' }],
}

export interface TestCatalog {
  readonly home: string
  readonly db: Kysely<CatalogTables>
  readonly fileIO: FileIO
  readonly catalog: Catalog
  /** A table with `schema`, partitioned by day. */
  createTable(name: string, properties?: Record<string, string>): Promise<Table>
  metadataFiles(table: Table): Promise<string[]>
  close(): Promise<void>
}

export const openCatalogAt = async (home: string, now?: () => number) => {
  const db = await openSqlite<CatalogTables>(join(home, 'catalog.db'))
  const fileIO = localFileIO()
  const catalog = await sqlCatalog({ name: 'test', db, fileIO, warehouse: `file://${home}/warehouse`, now })
  return { db, fileIO, catalog }
}

export async function openTestCatalog(now?: () => number): Promise<TestCatalog> {
  const home = await mkdtemp(join(tmpdir(), 'iceberg-'))
  const { db, fileIO, catalog } = await openCatalogAt(home, now)
  await catalog.createNamespace('lake')
  return {
    home,
    db,
    fileIO,
    catalog,
    createTable: (name, properties) =>
      catalog.createTable({ namespace: 'lake', name }, { schema, spec: daySpec, properties }),
    metadataFiles: (table) => readdir(fileIO.localPath(`${table.location}/metadata`)),
    close: async () => {
      await db.destroy()
      await rm(home, { recursive: true, force: true })
    },
  }
}

export const day = (count: number, micros = 0n): bigint => BigInt(count) * microsPerDay + micros

/** A file of one day with event timestamps from `from` to `to`, both included; one that no reader opens. */
export function dataFile(name: string, from: bigint, to: bigint, change: Partial<DataFile> = {}): DataFile {
  return {
    filePath: `file:///nowhere/${name}.parquet`,
    partition: { event_timestamp_day: Number(from / microsPerDay) },
    specId: 0,
    recordCount: 10n,
    fileSizeInBytes: 1_000n,
    columnSizes: new Map([[1, 80n]]),
    valueCounts: new Map([
      [1, 10n],
      [2, 10n],
    ]),
    nullValueCounts: new Map([
      [1, 0n],
      [2, 3n],
    ]),
    nanValueCounts: new Map([[2, 0n]]),
    lowerBounds: new Map([[1, encodeBound('timestamptz', from)]]),
    upperBounds: new Map([[1, encodeBound('timestamptz', to)]]),
    ...change,
  }
}

/** A file that fills its day. */
export const dayFile = (name: string, count: number, change?: Partial<DataFile>): DataFile =>
  dataFile(name, day(count), day(count + 1, -1n), change)

export const nameOf = ({ filePath }: DataFile): string => filePath.replace(/^.*\/|\.parquet$/g, '')
export const namesOf = (files: readonly DataFile[]): string[] => files.map(nameOf).sort()

export interface OpenedManifest {
  readonly manifest: ManifestFile
  readonly entries: readonly ManifestEntry[]
}

export async function manifestsOf(table: Table, snapshot: Snapshot): Promise<OpenedManifest[]> {
  const manifests = await readManifestList(table.fileIO, snapshot.manifestList)
  return Promise.all(
    manifests.map(async (manifest) => ({
      manifest,
      entries: await readManifest(table.fileIO, manifest, table.spec),
    })),
  )
}
