/**
 * A catalog in a SQL database, with the tables that PyIceberg's SqlCatalog and Iceberg's JdbcCatalog (schema V1) share.
 *
 * A commit writes the new metadata file under a name of its own; the one UPDATE that moves the table's pointer, if it
 * is still the base's, is the commit.
 */
import { randomUUID } from 'node:crypto'
import { sql, type Kysely } from 'kysely'
import { CommitConflict, NoSuchNamespace, NoSuchTable, TableExists, UnknownOutcome } from '../errors.ts'
import type { FileIO } from '../fileio/fileio.ts'
import {
  newTableMetadata,
  parseTableMetadata,
  stringifyTableMetadata,
  type TableMetadata,
} from '../metadata.ts'
import { applyUpdates, checkRequirements, withPreviousFile } from '../metadataUpdates.ts'
import { InvalidInput } from '../singleValue.ts'
import { Table } from '../table.ts'
import type { TableIdentifier } from '../types.ts'
import type { Catalog, TableState } from './catalog.ts'

export interface CatalogTables {
  iceberg_tables: {
    catalog_name: string
    table_namespace: string
    table_name: string
    metadata_location: string | null
    previous_metadata_location: string | null
    iceberg_type: string | null
  }
  iceberg_namespace_properties: {
    catalog_name: string
    namespace: string
    property_key: string
    property_value: string
  }
}

export interface SqlCatalogOptions<Tables extends CatalogTables> {
  readonly name: string
  /** SQLite (openSqlite) or PostgreSQL. Whoever opened it closes it. */
  readonly db: Kysely<Tables>
  readonly fileIO: FileIO
  /** Location of the folder for tables without one of their own. */
  readonly warehouse: string
  /** Milliseconds since the epoch; the machine's clock by default. */
  readonly now?: () => number
}

/** Opens the catalog, and makes its tables where they are missing. */
export async function sqlCatalog<Tables extends CatalogTables>(
  options: SqlCatalogOptions<Tables>,
): Promise<Catalog> {
  // The catalog's statements name its own tables only, whatever else the database holds.
  const db = options.db as unknown as Kysely<CatalogTables>
  await createCatalogTables(db)
  return new SqlCatalog({ ...options, db })
}

export async function createCatalogTables(db: Kysely<CatalogTables>): Promise<void> {
  await sql`CREATE TABLE IF NOT EXISTS iceberg_tables (
    catalog_name VARCHAR(255) NOT NULL, table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL,
    metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), iceberg_type VARCHAR(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name))`.execute(db)
  await sql`CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (
    catalog_name VARCHAR(255) NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL,
    property_value VARCHAR(1000) NOT NULL, PRIMARY KEY (catalog_name, namespace, property_key))`.execute(db)
}

class SqlCatalog implements Catalog {
  readonly name: string
  readonly #db: Kysely<CatalogTables>
  readonly #fileIO: FileIO
  readonly #warehouse: string
  readonly #now: () => number

  constructor({ name, db, fileIO, warehouse, now = Date.now }: SqlCatalogOptions<CatalogTables>) {
    this.name = name
    this.#db = db
    this.#fileIO = fileIO
    this.#warehouse = warehouse.replace(/(?<=[^/])\/+$/, '')
    this.#now = now
  }

  async createNamespace(namespace: string): Promise<void> {
    checkNames(namespace.split('.'))
    await this.#db
      .insertInto('iceberg_namespace_properties')
      .values({ catalog_name: this.name, namespace, property_key: 'exists', property_value: 'true' })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }

  async createTable(
    identifier: TableIdentifier,
    definition: Parameters<Catalog['createTable']>[1],
  ): Promise<Table> {
    const levels = identifier.namespace.split('.')
    checkNames([...levels, identifier.name])
    await this.#expectNamespace(identifier.namespace)
    const location = definition.location ?? [this.#warehouse, ...levels, identifier.name].join('/')
    const plain = location.replace(/(?<=[^/])\/+$/, '')
    const state = await this.#writeMetadata(
      newTableMetadata({ ...definition, location: plain }, this.#now()),
      0,
    )
    const { numInsertedOrUpdatedRows } = await unknownOutcome(identifier, () =>
      this.#db
        .insertInto('iceberg_tables')
        .values({
          ...this.#key(identifier),
          metadata_location: state.metadataLocation,
          previous_metadata_location: null,
          iceberg_type: 'TABLE',
        })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow(),
    )
    if (numInsertedOrUpdatedRows !== 1n) {
      await this.#fileIO.delete(state.metadataLocation)
      throw new TableExists(`Table ${label(identifier)} exists already. Load it, or take another name.`)
    }
    return this.#table(identifier, state)
  }

  async loadTable(identifier: TableIdentifier): Promise<Table> {
    return this.#table(identifier, await this.currentState(identifier, null))
  }

  async tableExists(identifier: TableIdentifier): Promise<boolean> {
    return (await this.#pointer(identifier)) !== null
  }

  async listTables(namespace: string): Promise<TableIdentifier[]> {
    const rows = await this.#db
      .selectFrom('iceberg_tables')
      .select('table_name')
      .where('catalog_name', '=', this.name)
      .where('table_namespace', '=', namespace)
      .where(isTable)
      .orderBy('table_name')
      .execute()
    return rows.map(({ table_name: name }) => ({ namespace, name }))
  }

  async dropTable(identifier: TableIdentifier): Promise<void> {
    const { numDeletedRows } = await this.#db
      .deleteFrom('iceberg_tables')
      .where((where) => where.and(this.#key(identifier)))
      .where(isTable)
      .executeTakeFirstOrThrow()
    if (numDeletedRows !== 1n) throw noSuchTable(identifier)
  }

  async currentState(identifier: TableIdentifier, known: TableState | null): Promise<TableState> {
    const metadataLocation = await this.#pointer(identifier)
    if (metadataLocation === null) throw noSuchTable(identifier)
    if (metadataLocation === known?.metadataLocation) return known
    const text = new TextDecoder().decode(await this.#fileIO.read(metadataLocation))
    return { metadata: parseTableMetadata(text, metadataLocation), metadataLocation }
  }

  async commit(
    identifier: TableIdentifier,
    base: TableState,
    requirements: Parameters<Catalog['commit']>[2],
    updates: Parameters<Catalog['commit']>[3],
  ): Promise<TableState> {
    checkRequirements(base.metadata, requirements)
    const previous = { location: base.metadataLocation, updatedMs: base.metadata['last-updated-ms'] }
    const updated = applyUpdates(base.metadata, updates, this.#now())
    const { metadata, obsolete } = withPreviousFile(updated, previous)
    const state = await this.#writeMetadata(metadata, versionOf(base.metadataLocation) + 1)
    if (!(await this.#movePointer(identifier, base.metadataLocation, state.metadataLocation))) {
      await this.#fileIO.delete(state.metadataLocation)
      throw new CommitConflict(`Table ${label(identifier)} was changed by another commit at the same moment.`)
    }
    await Promise.allSettled(obsolete.map((location) => this.#fileIO.delete(location)))
    return state
  }

  /** The commit itself: a compare-and-swap. */
  async #movePointer(identifier: TableIdentifier, from: string, to: string): Promise<boolean> {
    const { numUpdatedRows } = await unknownOutcome(identifier, () =>
      this.#db
        .updateTable('iceberg_tables')
        .set({ metadata_location: to, previous_metadata_location: from })
        .where((where) => where.and(this.#key(identifier)))
        .where('metadata_location', '=', from)
        .where(isTable)
        .executeTakeFirstOrThrow(),
    )
    return numUpdatedRows === 1n
  }

  async #writeMetadata(metadata: TableMetadata, version: number): Promise<TableState> {
    const name = `${String(version).padStart(5, '0')}-${randomUUID()}.metadata.json`
    const metadataLocation = `${metadata.location}/metadata/${name}`
    await this.#fileIO.writeExclusive(
      metadataLocation,
      new TextEncoder().encode(stringifyTableMetadata(metadata)),
    )
    return { metadata, metadataLocation }
  }

  async #pointer(identifier: TableIdentifier): Promise<string | null> {
    const row = await this.#db
      .selectFrom('iceberg_tables')
      .select('metadata_location')
      .where((where) => where.and(this.#key(identifier)))
      .where(isTable)
      .executeTakeFirst()
    return row?.metadata_location ?? null
  }

  /** PyIceberg finds a namespace by its properties, or by a table in it. */
  async #expectNamespace(namespace: string): Promise<void> {
    const row = await this.#db
      .selectFrom('iceberg_namespace_properties')
      .select('namespace')
      .where('catalog_name', '=', this.name)
      .where('namespace', '=', namespace)
      .executeTakeFirst()
    if (row || (await this.listTables(namespace)).length > 0) return
    throw new NoSuchNamespace(`Catalog ${this.name} has no namespace ${namespace}. Create it first.`)
  }

  #table(identifier: TableIdentifier, state: TableState): Table {
    return new Table({ catalog: this, fileIO: this.#fileIO, identifier, state, now: this.#now })
  }

  #key({ namespace, name }: TableIdentifier) {
    return { catalog_name: this.name, table_namespace: namespace, table_name: name }
  }
}

/** Writers older than schema V1 leave the type empty; views have another one. */
const isTable = sql<boolean>`(iceberg_type = 'TABLE' OR iceberg_type IS NULL)`

const label = ({ namespace, name }: TableIdentifier): string => `${namespace}.${name}`

const noSuchTable = (identifier: TableIdentifier): NoSuchTable =>
  new NoSuchTable(`There is no table ${label(identifier)} in the catalog.`)

/** The version in the name of a metadata file; any other name counts from the beginning. */
const versionOf = (location: string): number => Number(/(\d+)-[^/]*$/.exec(location)?.[1] ?? -1)

/** Names become folders, and the database holds 255 characters of them. */
function checkNames(names: readonly string[]): void {
  for (const name of names) {
    if (!/^[^/\\\0]+$/.test(name) || name === '..' || name.length > 255) {
      throw new InvalidInput(
        `${JSON.stringify(name)} is no name for a namespace or table. Use 1 to 255 characters without slashes.`,
      )
    }
  }
}

/** A database that answers with an error may have done it all the same: the answer to the COMMIT can be lost. */
async function unknownOutcome<T>(identifier: TableIdentifier, write: () => Promise<T>): Promise<T> {
  try {
    return await write()
  } catch (error) {
    throw new UnknownOutcome(
      `The catalog's database failed while it wrote table ${label(identifier)}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    )
  }
}
