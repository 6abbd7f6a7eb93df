/** What a table shows to its readers, as plain rows. */
import { planScan, readDataFiles } from '../../iceberg/index.ts'
import type { Store } from '../../worker/openStore.ts'

/**
 * Rows of `main` without the run's id, ordered, as text: equal text is equal to the bit.
 * @param columns SQL of what is shown of a row
 */
export async function publishedRows(
  store: Store,
  group: string,
  ref = 'main',
  columns = '* EXCLUDE (run_id)',
): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const { files, schema } = await planScan(table, { ref })
  const rows = readDataFiles({ schema, files, localPath: (location) => store.fileIO.localPath(location) })
  const connection = await store.duckdb.connect()
  try {
    const reader = await connection.runAndReadAll(`SELECT ${columns} FROM ${rows} ORDER BY ALL`)
    return reader.getRowsJson().map((row) => JSON.stringify(row))
  } finally {
    connection.closeSync()
  }
}

/** Names of the table's refs. */
export async function tableRefs(store: Store, group: string): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  return table
    .refs()
    .map(({ name }) => name)
    .sort()
}

/** Files that lie below the table's data, run and ledger folders and that no snapshot of `main` or of a branch refers to. */
export async function orphanFiles(store: Store, group: string): Promise<string[]> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  const live = new Set<string>()
  for (const snapshot of table.ancestorsOf('main')) {
    const { files } = await planScan(table, { snapshotId: snapshot.snapshotId })
    for (const { filePath } of files) live.add(filePath)
  }
  for (const { summary } of table.ancestorsOf('main')) live.add(summary['asof.ledger'] ?? '')
  const orphans: string[] = []
  for (const folder of ['data', 'runs', 'ledger']) {
    for await (const location of store.fileIO.list(`${table.location}/${folder}`)) {
      if (!live.has(location)) orphans.push(location)
    }
  }
  return orphans
}
