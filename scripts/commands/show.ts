/** `asof show`: a feature group with its table, or a run with its gate reports. */
import { formatInstant, InputError } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import { databasePath, warehousePath, type Store } from '../../worker/openStore.ts'
import { bold, print, table, type Format } from '../output.ts'
import { withStore } from './withStore.ts'

export async function show(config: Config, what: string, format: Format): Promise<void> {
  const shown = await withStore(
    config,
    async (store) => (await showGroup(config, store, what)) ?? (await showRun(store, what)),
  )
  if (shown === null) {
    throw new InputError(
      `There is no registered feature group and no run ${what}. \`asof status\` lists both.`,
    )
  }
  print(format, shown.data, shown.text)
}

interface Shown {
  data: unknown
  text: string
}

/** Everything that an Iceberg engine needs to open the table, and what stands in it. */
async function showGroup(config: Config, store: Store, id: string): Promise<Shown | null> {
  const registered = await store.registry.group(id)
  if (registered === null) return null
  const iceberg = await store.catalog.loadTable({ namespace: store.store, name: id })
  const { location, metadataLocation } = iceberg
  const refs = iceberg.refs().map(({ name, snapshotId }) => ({ name, snapshotId: String(snapshotId) }))
  const snapshots = iceberg.snapshots().map(({ snapshotId, sequenceNumber, timestampMs, summary }) => ({
    snapshotId: String(snapshotId),
    sequenceNumber: Number(sequenceNumber),
    committedAt: formatInstant(timestampMs),
    summary,
  }))
  const data = {
    group: registered,
    published: await store.registry.ledgerSummary(id),
    catalog: {
      type: 'sql',
      name: config.store,
      uri: `sqlite:///${databasePath(config)}`,
      warehouse: `file://${warehousePath(config)}`,
    },
    table: { identifier: `${store.store}.${id}`, location, metadataLocation, refs, snapshots },
  }
  const text = [
    `${bold(id)}  fingerprint ${registered.fingerprint.slice(0, 12)}, ${data.published.intervals} intervals published`,
    table(
      ['feature', 'type'],
      registered.features.map(({ name, type }) => [name, type]),
    ),
    '',
    `catalog   ${data.catalog.uri} (name ${data.catalog.name})`,
    `table     ${data.table.identifier}`,
    `location  ${location}`,
    '',
    table(
      ['ref', 'snapshot'],
      refs.map(({ name, snapshotId }) => [name, snapshotId]),
    ),
    '',
    table(
      ['snapshot', 'sequence', 'committed', 'operation', 'rows'],
      snapshots.map(({ snapshotId, sequenceNumber, committedAt, summary }) => [
        snapshotId,
        String(sequenceNumber),
        committedAt,
        summary['operation'] ?? '',
        summary['total-records'] ?? '',
      ]),
    ),
  ]
  return { data, text: text.join('\n') }
}

async function showRun({ registry }: Store, runId: string): Promise<Shown | null> {
  const run = await registry.run(runId)
  if (run === null) return null
  const gates = await registry.gateReports(runId)
  const lines = gates.flatMap(({ verdict, sentence, violations, violationCount }) => [
    `${verdict.padEnd(5)} ${sentence}`,
    ...(violations.length === 0
      ? []
      : [violationTable(violations), `(${violations.length} of ${violationCount})`]),
  ])
  const head = `${bold(run.runId)}  ${run.group} ${run.mode} ${formatInstant(run.range.from)}..${formatInstant(run.range.to)}: ${run.status}${run.reason === null ? '' : ` (${run.reason})`}`
  return { data: { run, gates }, text: [head, ...lines].join('\n') }
}

/** The sample of offending rows. */
export function violationTable(violations: readonly Readonly<Record<string, string | null>>[]): string {
  const header = Object.keys(violations[0] ?? {})
  return table(
    header,
    violations.map((row) => header.map((name) => row[name] ?? 'null')),
  )
}
