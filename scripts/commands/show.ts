/** `asof show`: a feature group with its table, a feature service with its features, or a run with its gate reports. */
import { formatInstant, InputError } from '../../model/index.ts'
import {
  lineageOf,
  preJoinedGroups,
  serviceColumns,
  type FeatureUse,
  type Lineage,
} from '../../registry/index.ts'
import type { Config } from '../../worker/config.ts'
import type { Store } from '../../worker/openStore.ts'
import { databasePath, warehousePath } from '../../worker/paths.ts'
import { bold, print, table, type Format } from '../output.ts'
import { showRun, type Shown } from './showRun.ts'
import { withStore } from './withStore.ts'

export async function show(config: Config, what: string, format: Format): Promise<void> {
  const shown = await withStore(
    config,
    async (store) =>
      (await showGroup(config, store, what)) ??
      (await showService(store, what)) ??
      (await showRun(store, what)),
  )
  if (shown === null) {
    throw new InputError(
      `There is no registered feature group or service and no run ${what}. \`asof status\` lists groups and runs.`,
    )
  }
  print(format, shown.data, shown.text)
}

async function showService({ registry }: Store, name: string): Promise<Shown | null> {
  const service = (await registry.services()).find((one) => one.name === name)
  if (service === undefined) return null
  const owners = new Map((await registry.groups()).map((group) => [group.id, lineageOf(group, [])]))
  const features = serviceColumns(service.definition).map(({ name: column, from }) => {
    if (from.kind === 'on_demand') {
      const { onDemand, type } = from
      return { column, group: null, feature: null, onDemand, type, owner: '', sources: [] }
    }
    const { group, feature } = from
    const lineage = owners.get(group)
    const type = lineage?.features.find((one) => one.name === feature)?.type ?? ''
    const sources = lineage?.sources.map((source) => source.name) ?? []
    return { column, group, feature, onDemand: null, type, owner: lineage?.owner ?? '', sources }
  })
  const rows = features.map(({ column, group, feature, onDemand, type, owner, sources }) => [
    column,
    onDemand === null ? `${group}.${feature}` : `on demand: ${onDemand}`,
    type,
    owner,
    sources.join(', '),
  ])
  const preJoined = preJoinedGroups(service.definition) !== null
  const head = `${bold(name)}${preJoined ? ', pre-joined' : ''}`
  const text = `${head}\n${table(['column', 'from', 'type', 'owner', 'sources'], rows)}`
  return { data: { service: name, preJoined, features }, text }
}

function hindsightSentence({ sources }: Lineage): string {
  const silent = sources.filter(({ arrival }) => arrival === null).map(({ name }) => name)
  return silent.length === 0
    ? 'history sees only what had arrived when it was due'
    : `history may have hindsight: ${silent.join(', ')} ${silent.length === 1 ? 'names' : 'name'} no arrival column`
}

/** Models that were trained on a feature; a set is named by none unless its request says for whom it is. */
const modelsOf = (usage: readonly FeatureUse[], name: string): string =>
  [...new Set(usage.filter(({ feature }) => feature === name).map(({ model }) => model))].join(', ')

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
  const lineage = lineageOf(registered, await store.registry.services())
  const usage = await store.registry.usage(id)
  const data = {
    group: registered,
    lineage,
    usage: usage.map(({ usedAt, ...use }) => ({ ...use, usedAt: formatInstant(usedAt) })),
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
    `${bold(id)}  fingerprint ${registered.fingerprint.slice(0, 12)}, ${data.published.intervals} intervals published${registered.retiredAt === null ? '' : `, retired at ${formatInstant(registered.retiredAt)}`}`,
    `from ${lineage.sources.map(({ name }) => name).join(', ')}, about ${lineage.entity}, by ${lineage.owner}`,
    hindsightSentence(lineage),
    '',
    table(
      ['feature', 'type', 'fingerprint', 'services', 'models'],
      lineage.features.map(({ name, type, fingerprint, services }) => [
        name,
        type,
        fingerprint.slice(0, 12),
        services.join(', '),
        modelsOf(usage, name),
      ]),
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
