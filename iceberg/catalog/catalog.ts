/**
 * The contract of a catalog: it knows tables by name and decides which of two commits comes first.
 *
 * A commit is a list of requirements and updates (metadataUpdates.ts), which a catalog in a database applies itself
 * and a REST catalog would send on.
 */
import type { NewTable, TableMetadata } from '../metadata.ts'
import type { Requirement, Update } from '../metadataUpdates.ts'
import type { Table } from '../table.ts'
import type { TableIdentifier } from '../types.ts'

/** A table's state, and the file that holds it. */
export interface TableState {
  readonly metadata: TableMetadata
  readonly metadataLocation: string
}

export interface Catalog {
  /** Engines that share the catalog must use this name. */
  readonly name: string
  /** One that exists already is fine. */
  createNamespace(namespace: string): Promise<void>
  /**
   * Ids of columns and partition fields stay as they are given.
   * @param table its location is the warehouse's folder for the table by default
   * @throws NoSuchNamespace, TableExists
   */
  createTable(identifier: TableIdentifier, table: TableDefinition): Promise<Table>
  /** @throws NoSuchTable */
  loadTable(identifier: TableIdentifier): Promise<Table>
  tableExists(identifier: TableIdentifier): Promise<boolean>
  /** Those directly in the namespace, by name. */
  listTables(namespace: string): Promise<TableIdentifier[]>
  /** Forgets the table; its files stay. @throws NoSuchTable */
  dropTable(identifier: TableIdentifier): Promise<void>
  /**
   * The table's state now; `known` itself where it is still that, so that nothing is read twice.
   * @throws NoSuchTable
   */
  currentState(identifier: TableIdentifier, known: TableState | null): Promise<TableState>
  /**
   * Makes one commit, or nothing.
   * @param base the state that the updates were made for
   * @throws CommitConflict where a requirement does not hold or the table has moved on from `base`; UnknownOutcome
   *   where the catalog did not answer; after any other error nothing is committed
   */
  commit(
    identifier: TableIdentifier,
    base: TableState,
    requirements: readonly Requirement[],
    updates: readonly Update[],
  ): Promise<TableState>
}

export type TableDefinition = Omit<NewTable, 'location'> & { readonly location?: string }
