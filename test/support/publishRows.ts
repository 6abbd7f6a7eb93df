/** Commits rows to a group's table, past plan and gates: snapshots in any number, with whatever a test wants in them. */
import { randomUUID } from 'node:crypto'
import { planScan, readDataFiles, writeDataFiles, type Snapshot, type Table } from '../../iceberg/index.ts'
import type { Store } from '../../worker/openStore.ts'

const dayMicros = 86_400_000_000n

/**
 * Replaces the rows of whole days by those of a relation, in one commit to `main`.
 * @param relation SQL with the table's columns; all of its rows lie in the days
 */
export async function replaceDays(
  store: Store,
  table: Table,
  days: readonly string[],
  relation: string | null,
): Promise<Snapshot> {
  const runId = randomUUID()
  const connection = await store.duckdb.connect()
  try {
    const files =
      relation === null
        ? []
        : await writeDataFiles(connection, {
            schema: table.schema,
            spec: table.spec,
            relation: `(SELECT * EXCLUDE (run_id), '${runId}' AS run_id FROM ${relation})`,
            orderBy: ['event_timestamp'],
            directory: `${table.location}/data/${runId}`,
            localPath: (location) => store.fileIO.localPath(location),
          })
    return await table.replaceRanges({
      ref: 'main',
      column: 'event_timestamp',
      ranges: days.map((day) => {
        const start = BigInt(Date.parse(`${day}T00:00:00Z`)) * 1000n
        return { after: start - 1n, upTo: start + dayMicros - 1n }
      }),
      files,
      summary: { 'asof.run-id': runId },
      rewriteOutside: (file) => Promise.reject(new Error(`${file.filePath} crosses a day`)),
    })
  } finally {
    connection.closeSync()
  }
}

/** The rows of a snapshot as a relation. */
export async function rowsOf(store: Store, table: Table, { snapshotId }: Snapshot): Promise<string> {
  const { files, schema } = await planScan(table, { snapshotId })
  return readDataFiles({ schema, files, localPath: (location) => store.fileIO.localPath(location) })
}

/** Forgets snapshots, as an expiry would. */
export async function expire(store: Store, table: Table, snapshotIds: readonly bigint[]): Promise<void> {
  const state = await store.catalog.currentState(table.identifier, null)
  await store.catalog.commit(
    table.identifier,
    state,
    [],
    [{ action: 'remove-snapshots', 'snapshot-ids': snapshotIds }],
  )
}
