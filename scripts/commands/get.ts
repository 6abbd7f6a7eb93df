/** `asof get`: reads online values through the reader, as any model would. */
import { InputError, UnavailableError } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import { askReader } from '../askReader.ts'
import { print, table, type Format } from '../output.ts'
import { requireStack } from '../stack.ts'

interface Answer {
  results: {
    entity_id: string
    event_timestamp: string | null
    features: Record<string, { value: unknown; status: string }>
  }[]
}

export async function get(
  config: Config,
  group: string,
  entities: readonly string[],
  format: Format,
): Promise<void> {
  const { reader } = requireStack(config.home)
  const ids = entities.map(encodeURIComponent).join(',')
  const path = `/feature-groups/${encodeURIComponent(group)}/online?entity_ids=${ids}`
  const { status, body } = await askReader(config, reader.url, path)
  if (status !== 200) {
    const { error } = JSON.parse(body) as { error: { message: string } }
    throw status < 500 ? new InputError(error.message) : new UnavailableError(error.message)
  }
  if (format !== 'text') {
    // As it came: a program wants every digit of an int64.
    process.stdout.write(`${body}\n`)
    return
  }
  const { results } = JSON.parse(body) as Answer
  const names = Object.keys(results[0]?.features ?? {})
  const rows = results.map(({ entity_id: id, event_timestamp: at, features }) => [
    id,
    at ?? '-',
    ...names.map((name) => shown(features[name])),
  ])
  print(format, null, table(['entity', 'event_timestamp', ...names], rows))
}

function shown(feature: { value: unknown; status: string } | undefined): string {
  if (feature === undefined) return ''
  const value = String(feature.value)
  if (feature.status === 'PRESENT') return value
  // A default, which stands there although nothing was found.
  return feature.value === null ? feature.status : `${value} (${feature.status})`
}
