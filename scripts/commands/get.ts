/** `asof get`: reads online values through the reader, as any model would. */
import { parseJson } from '../../iceberg/index.ts'
import { InputError, UnavailableError, type FeatureService } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import { loadDefinitions } from '../../worker/definitions.ts'
import { askReader } from '../askReader.ts'
import { print, table, toJson, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'
import { exampleOf, isColumn, questionOf, readColumn } from './serviceQuestion.ts'

/** @param asked entities of a feature group, or columns of a service: `origin=ATL,JFK` */
export async function get(
  config: Config,
  what: string,
  asked: readonly string[],
  format: Format,
): Promise<void> {
  const { reader } = requireStack(config.home)
  const service = asked.every(isColumn) ? await serviceOf(config, what) : null
  const answer =
    service === null
      ? await askGroup(config, reader.url, what, asked)
      : await answerOf(config, reader.url, '/online', JSON.stringify(questionOf(service, asked)))
  if (format !== 'text') {
    // As it came: a program wants every digit of an int64.
    process.stdout.write(`${answer}\n`)
    return
  }
  const text = service === null ? groupTable(answer) : vectorTable(answer, asked)
  print(format, null, text)
}

/** Null for a group, whose entities may hold an equals sign. */
async function serviceOf(config: Config, what: string): Promise<FeatureService | null> {
  const { services, groups } = await loadDefinitions(config.features)
  const service = services.get(what)
  if (service !== undefined) return service
  if (groups.has(what)) return null
  const known = [...services.keys()].sort().join(', ') || 'none'
  throw new InputError(
    `There is no feature service ${JSON.stringify(what)}. The definitions have ${known}.`,
    {
      service: what,
    },
  )
}

async function askGroup(
  config: Config,
  url: string,
  group: string,
  entities: readonly string[],
): Promise<string> {
  const ids = entities.map(encodeURIComponent).join(',')
  try {
    const path = `/feature-groups/${encodeURIComponent(group)}/online?entity_ids=${ids}`
    return await answerOf(config, url, path)
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    const { services } = await loadDefinitions(config.features).catch(() => ({ services: noServices }))
    const service = services.get(group)
    if (service === undefined) throw error
    throw new InputError(`${group} is a feature service. Ask it by its columns: ${exampleOf(service)}`)
  }
}

const noServices: ReadonlyMap<string, FeatureService> = new Map()

/** The body as it came. @throws InputError or UnavailableError with the reader's own sentence */
async function answerOf(config: Config, url: string, path: string, question?: string): Promise<string> {
  const { status, body } = await askReader(config, url, path, question)
  if (status === 200) return body
  const { error } = JSON.parse(body) as { error: { message: string } }
  throw status < 500 ? new InputError(error.message) : new UnavailableError(error.message)
}

interface GroupAnswer {
  results: {
    entity_id: string
    event_timestamp: string | null
    features: Record<string, ShownFeature>
  }[]
}

function groupTable(answer: string): string {
  const { results } = parseJson(answer) as GroupAnswer
  const names = Object.keys(results[0]?.features ?? {})
  const rows = results.map(({ entity_id: id, event_timestamp: at, features }) => [
    id,
    at ?? '-',
    ...names.map((name) => shownFeature(features[name])),
  ])
  return table(['entity', 'event_timestamp', ...names], rows)
}

interface VectorAnswer {
  features: { name: string }[]
  results: { values: unknown[]; statuses: string[] }[]
}

/** What was asked stands before what was found. */
function vectorTable(answer: string, asked: readonly string[]): string {
  const { features, results } = parseJson(answer) as VectorAnswer
  const columns = asked.map(readColumn)
  const rows = results.map(({ values, statuses }, row) => [
    ...columns.map(({ values: given }) => given[row] ?? '-'),
    ...values.map((value, at) => shownFeature({ value, status: statuses[at] ?? '' })),
  ])
  return table([...columns.map(({ name }) => name), ...features.map(({ name }) => name)], rows)
}

interface ShownFeature {
  readonly value: unknown
  readonly status: string
}

export function shownFeature(feature: ShownFeature | undefined): string {
  if (feature === undefined) return ''
  const value = Array.isArray(feature.value) ? toJson(feature.value) : String(feature.value)
  if (feature.status === 'PRESENT') return value
  // A default, which stands there although nothing was found.
  return feature.value === null ? feature.status : `${value} (${feature.status})`
}
