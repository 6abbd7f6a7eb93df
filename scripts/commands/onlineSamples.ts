/** `asof online samples`: what the reader has served lately of a feature group or service, as it kept it. */
import { parseJson } from '../../iceberg/index.ts'
import { InputError, UnavailableError, type FeatureType } from '../../model/index.ts'
import {
  decodeSample,
  formatMicros,
  judgeSample,
  scalarJson,
  valueJson,
  type FeatureValue,
  type GroupFound,
  type GroupSample,
  type OnlineStore,
  type SampleStore,
  type ServiceSample,
} from '../../online/index.ts'
import type { Config } from '../../worker/config.ts'
import { openOnlineStore, openSampleStore } from '../../worker/openOnline.ts'
import { print, table, type Format } from '../output.ts'
import { shownFeature } from './get.ts'

export async function onlineSamples(
  config: Config,
  what: string,
  limit: number,
  format: Format,
): Promise<void> {
  const [serving] = config.onlineStores
  if (serving === undefined) throw new InputError('ASOF_ONLINE names no online store to serve from.')
  const samples = openSampleStore(config, serving, true)
  const store = openOnlineStore(config, serving, { readOnly: true })
  try {
    const subject = await subjectOf(samples, what)
    const kept = []
    for await (const bytes of samples.read(subject)) if (kept.push(decodeSample(bytes)) === limit) break
    if (subject.startsWith('group/')) {
      const found = await groupFound(store, subject.slice('group/'.length))
      printGroup(kept as GroupSample[], found, format)
    } else printService(kept as ServiceSample[], format)
  } finally {
    await Promise.all([samples.close(), store.close()])
  }
}

async function subjectOf(samples: SampleStore, what: string): Promise<string> {
  const subjects = await samples.subjects()
  const subject = [what, `group/${what}`, `service/${what}`].find((one) => subjects.includes(one))
  if (subject !== undefined) return subject
  throw new InputError(
    subjects.length === 0
      ? `${samples.name} has no served samples. The reader writes them while it serves, unless ASOF_READER_SAMPLES=off.`
      : `${samples.name} has no served samples of ${JSON.stringify(what)}. It has some of ${subjects.join(', ')}.`,
  )
}

/** Values say which schema they have, and the store keeps the schemas. */
async function groupFound(store: OnlineStore, group: string): Promise<GroupFound> {
  const [found = null] = await store.fetch([{ group, keys: () => [] }])
  if (found !== null) return found
  throw new UnavailableError(
    `${store.name} knows nothing of feature group ${group} any more, so its samples cannot be read. Load it, or drop them: asof online drop ${group}.`,
    { group },
  )
}

function printGroup(kept: readonly GroupSample[], found: GroupFound, format: Format): void {
  const readings = kept.map((sample) => ({ sample, reading: judgeSample(found, sample) }))
  const data = readings.map(({ sample, reading }) => ({
    as_of: formatMicros(sample.atMicros),
    entity_id: sample.key,
    event_timestamp: instant(reading.eventTimestampMicros),
    snapshot_id: sample.snapshotId,
    features: Object.fromEntries(
      reading.features.map(({ name, type, value, status }) => [name, { value: plain(type, value), status }]),
    ),
  }))
  const names = readings[0]?.reading.features.map(({ name }) => name) ?? []
  const rows = data.map((row) => [
    ...[row.as_of, row.entity_id, row.event_timestamp ?? '-', row.snapshot_id],
    ...names.map((name) => shownFeature(row.features[name])),
  ])
  print(format, data, table(['served at', 'entity', 'event_timestamp', 'snapshot', ...names], rows))
}

function printService(kept: readonly ServiceSample[], format: Format): void {
  const data = kept.map((sample) => ({
    ...{ service: sample.service, as_of: formatMicros(sample.atMicros) },
    entities: mapped(sample.entities, plainScalar),
    request: mapped(sample.request, (value) => plainScalar(value as ScalarRequest)),
    groups: sample.lookups.map(({ group, role, key, eventTimestampMicros, snapshotId }) => ({
      ...{ feature_group: group, role, entity_id: key },
      ...{ event_timestamp: instant(eventTimestampMicros), snapshot_id: snapshotId },
    })),
    features: sample.features.map(({ name, type, lookup }) => ({ name, type, group: lookup })),
    values: sample.values.map((value, at) => plain(sample.features[at]?.type ?? 'string', value)),
    statuses: sample.statuses,
  }))
  // A service that was changed has other columns in its older samples.
  const columns = [...new Set(kept.flatMap(columnsOf))]
  const rows = data.map((row, at) => {
    const cells = new Map(
      columnsOf(kept[at] as ServiceSample).map((name, place) => {
        return [name, shownFeature({ value: row.values[place], status: row.statuses[place] ?? '' })]
      }),
    )
    const asked = [...Object.values(row.entities), ...Object.values(row.request)]
    return [row.as_of, ...asked.map(String), ...columns.map((name) => cells.get(name) ?? '')]
  })
  const [first] = data
  const asked = [...Object.keys(first?.entities ?? {}), ...Object.keys(first?.request ?? {})]
  print(format, data, table(['served at', ...asked, ...columns], rows))
}

const columnsOf = ({ features, lookups }: ServiceSample) =>
  features.map(({ name, lookup }) => {
    const role = lookup === null ? null : lookups[lookup]?.role
    return typeof role === 'string' ? `${role}__${name}` : name
  })

type ScalarRequest = Exclude<FeatureValue, readonly unknown[]>

/** As answers write it, so that every digit is there. */
const plain = (type: FeatureType, value: FeatureValue): unknown => parseJson(valueJson(type, value))
const plainScalar = (value: ScalarRequest): unknown => (value === null ? null : parseJson(scalarJson(value)))
const instant = (micros: bigint | null) => (micros === null ? null : formatMicros(micros))

const mapped = <From, To>(
  record: Readonly<Record<string, From>>,
  map: (one: From) => To,
): Record<string, To> => Object.fromEntries(Object.entries(record).map(([name, one]) => [name, map(one)]))
