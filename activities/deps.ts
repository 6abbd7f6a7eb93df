/** What every step is handed. Connections are opened in `worker/`, never here. */
import type { Catalog, FileIO } from '../iceberg/index.ts'
import type { Definitions, EpochMs } from '../model/index.ts'
import type { DuckDb } from '../offline/index.ts'
import type { OnlineStore } from '../online/index.ts'
import type { Registry } from '../registry/index.ts'

export interface ActivityDeps {
  /** What this worker was started with; a plan of other definitions is refused. */
  readonly definitions: Definitions
  readonly registry: Registry
  readonly catalog: Catalog
  readonly fileIO: FileIO
  readonly duckdb: DuckDb
  readonly onlineStores: readonly OnlineStore[]
  /** The store's one clock (rule 11). */
  readonly now: () => Promise<EpochMs>
  /** Iceberg's namespace, and the name of the store. */
  readonly store: string
  /** Where training sets are kept: a location without a slash at the end. */
  readonly trainingFolder: string
  /** A DuckDB that gives rows in the order in which they lie in files, for labels; whoever opens it closes it. */
  readonly openOrdered: () => Promise<DuckDb>
  /** Variables that paths of sources may name, and the folder where relative paths start. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly baseFolder: string
  /**
   * Whether the workflow is still under way in the execution that began with this run, continued ones included; null: in any. Handed
   * in where a worker runs; the command line has none.
   */
  readonly isOpen?: (workflowId: string, firstRunId: string | null) => Promise<boolean>
}
