/**
 * `POST /get-online-features`, as Feast's feature server answers it, so that its clients can switch by changing an address.
 * A feature view is a feature group by its id; request values stand among the entities; columns that nothing needs are
 * passed over, as they are there. Instants among the values are seconds since the epoch.
 *
 * The contract is that of Feast 0.67 (docs.feast.dev, "Python feature server").
 */
import { InputError, type FeatureType } from '../model/index.ts'
import { scalarJson, valueJson, type FeatureValue } from '../online/index.ts'
import { isObject, maxRows, shown, type AskedVectors } from './body.ts'
import { NotFoundError } from './errors.ts'
import type { Wanted } from './plan.ts'
import type { Tally } from './tally.ts'
import { moveTo, type ReadLookup, type Vectors } from './vectors.ts'

export type AskedFeast = AskedVectors

const example = '{"features": ["airport_delays_v1:mean_delay_24h"], "entities": {"origin": ["ATL", "JFK"]}}'

/** @throws InputError that names the field, what is wrong with it, and an example */
export function readFeastBody(body: unknown): AskedFeast {
  if (!isObject(body)) throw new InputError(`The body is no object. Send one such as ${example}.`)
  const { feature_service: service, features, entities, full_feature_names: fullNames = false } = body
  if ((service ?? null) !== null && typeof service !== 'string') {
    throw new InputError(`feature_service: ${shown(service)} is no name.`)
  }
  const isService = typeof service === 'string'
  if (!isService && (!Array.isArray(features) || features.length === 0)) {
    throw new InputError(`Name either features or a feature_service. Such as ${example}.`)
  }
  const columns = readEntities(entities)
  const [first] = columns
  return {
    service: isService ? service : null,
    features: isService ? [] : (features as unknown[]).map(readReference),
    fullNames: fullNames === true,
    rows: { count: first?.[1].length ?? 0, entities: columns, request: new Map() },
  }
}

function readEntities(entities: unknown): Map<string, readonly unknown[]> {
  if (!isObject(entities)) throw new InputError(`entities is no object of columns. Such as ${example}.`)
  const columns = Object.entries(entities).map(([name, values]): [string, readonly unknown[]] => {
    const list = isObject(values) ? values['val'] : values
    if (Array.isArray(list)) return [name, list as readonly unknown[]]
    throw new InputError(`entities: ${JSON.stringify(name)} is ${shown(values)}, and not a list.`)
  })
  const [first] = columns
  const other = columns.find(([, values]) => values.length !== first?.[1].length)
  if (first === undefined || other !== undefined) {
    throw new InputError(
      first === undefined
        ? `entities has no column. Such as ${example}.`
        : `${first[0]} has ${first[1].length} values and ${other?.[0]} has ${other?.[1].length}. Send one value per row.`,
    )
  }
  if (first[1].length > maxRows) {
    throw new InputError(
      `There are ${first[1].length} rows, the limit is ${maxRows}. Ask in several requests.`,
    )
  }
  return new Map(columns)
}

function readReference(given: unknown): Wanted {
  const [, group, feature] = typeof given === 'string' ? (/^([^:]+):([^:]+)$/.exec(given) ?? []) : []
  if (group !== undefined && feature !== undefined) {
    return { group, role: null, keys: {}, features: [feature] }
  }
  throw new InputError(`features: ${shown(given)} names no feature. Write <view>:<feature>.`)
}

const epoch = '"1970-01-01T00:00:00Z"'

export function feastJson({ rows }: AskedFeast, vectors: Vectors, tally: Tally): string {
  const { plan, lookups } = vectors
  const made = plan.onDemand.flatMap((step) => step.made)
  const used = usedColumns(vectors)
  const entities = [...rows.entities].filter(([name]) => used.has(name))
  const results = [
    ...entities.map(([, values]) => ({ values: values.map(entityJson), statuses: present, times: noTimes })),
    ...plan.stored.map(() => newColumn()),
    ...made.map(() => newColumn()),
  ]
  for (let row = 0; row < vectors.rows; row++) {
    moveTo(lookups, row)
    tally.row()
    plan.stored.forEach(({ lookup, feature }, at) => {
      const { cursor } = lookups[lookup] as ReadLookup
      const column = results[entities.length + at] as FeastColumn
      const { type } = cursor.features[feature] as { readonly type: FeatureType }
      column.values.push(
        type.includes('timestamp') ? secondsJson(type, cursor.value(feature)) : cursor.json(feature),
      )
      column.statuses.push(`"${cursor.status(feature)}"`)
      column.times.push(cursor.eventTimestampMicros === null ? epoch : cursor.eventTimestampJson)
    })
    made.forEach(({ type, default: absent }, at) => {
      const column = results[entities.length + plan.stored.length + at] as FeastColumn
      const value = vectors.made[row]?.[at] ?? null
      column.values.push(secondsJson(type, value ?? absent))
      column.statuses.push(value === null ? '"NULL_VALUE"' : '"PRESENT"')
      column.times.push(epoch)
    })
  }
  const names = [...entities.map(([name]) => name), ...plan.stored.map(nameOf), ...made.map(nameOf)]
  const columns = results.map(({ values, statuses, times }) => {
    const all = (texts: readonly string[], fill: string) =>
      (texts.length > 0 ? texts : values.map(() => fill)).join(',')
    return `{"values":[${values.join(',')}],"statuses":[${all(statuses, '"PRESENT"')}],"event_timestamps":[${all(times, epoch)}]}`
  })
  return `{"metadata":{"feature_names":${JSON.stringify(names)}},"results":[${columns.join(',')}]}`
}

interface FeastColumn {
  readonly values: string[]
  readonly statuses: string[]
  readonly times: string[]
}

const newColumn = (): FeastColumn => ({ values: [], statuses: [], times: [] })
const present: string[] = []
const noTimes: string[] = []
const nameOf = ({ name }: { readonly name: string }) => name

function usedColumns({ plan, lookups }: Vectors): ReadonlySet<string> {
  const keys = plan.lookups.flatMap((lookup, at) =>
    (lookups[at]?.cursor.card.keys ?? []).map(({ name }) => lookup.keys[name] ?? name),
  )
  return new Set([...keys, ...plan.request.keys()])
}

const entityJson = (value: unknown) =>
  typeof value === 'bigint' || typeof value === 'number' ? scalarJson(value) : JSON.stringify(value ?? null)

/** Instants as Feast's UNIX_TIMESTAMP: seconds, with a fraction where there is one. */
function secondsJson(type: FeatureType, value: FeatureValue): string {
  if (value === null || !type.includes('timestamp')) return valueJson(type, value)
  if (Array.isArray(value)) return `[${value.map((one) => secondsOf(one as bigint | null)).join(',')}]`
  return secondsOf(value as bigint)
}

function secondsOf(micros: bigint | null): string {
  if (micros === null) return 'null'
  const [sign, all] = micros < 0n ? ['-', -micros] : ['', micros]
  const fraction = String(all % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '')
  return `${sign}${all / 1_000_000n}${fraction === '' ? '' : `.${fraction}`}`
}

/** Errors as Feast writes them: a JSON string that holds JSON. */
export function feastError(error: InputError): { readonly status: number; readonly body: string } {
  const isUnknown = error instanceof NotFoundError
  const name = isUnknown
    ? error.message.includes('feature service')
      ? 'FeatureServiceNotFoundException'
      : 'FeatureViewNotFoundException'
    : 'RequestValidationError'
  const detail = { module: 'feast.errors', class: name, message: error.message }
  return { status: isUnknown ? 404 : 422, body: JSON.stringify(JSON.stringify(detail)) }
}
