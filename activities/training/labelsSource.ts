/** Labels as a source: where a request says they are, in the words that sources have. */
import { randomUUID } from 'node:crypto'
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import {
  csv,
  InputError,
  json,
  parquet,
  sqlSource,
  type EpochMs,
  type FileFormat,
  type FileLabels,
  type InlineLabels,
  type Source,
  type SqlLabels,
  type TrainingRequest,
} from '../../model/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { entityLabels, scoringTime } from './entityLabels.ts'
import type { Pins } from './pinGroups.ts'

export interface LabelsSource {
  readonly source: Source
  /** A file that was made for this plan alone, to be deleted when the labels are kept. */
  readonly scratch: string | null
}

export interface LabelsPlace {
  /** Where files that are made for the plan go; it is there. */
  readonly folder: string
  /** Columns that the request takes from the labels. */
  readonly wanted: readonly string[]
  readonly pins: Pins
  /** From before the pins: what is not pinned came later. */
  readonly now: EpochMs
}

export async function labelsSource(
  deps: ActivityDeps,
  { labels, knowledgeCutoff = true }: TrainingRequest,
  { folder, wanted, pins, now }: LabelsPlace,
): Promise<LabelsSource> {
  if ('path' in labels) return { source: fileSource(deps, labels), scratch: null }
  if ('sql' in labels) return { source: sqlLabels(deps, labels), scratch: null }
  const scratch = resolve(folder, randomUUID())
  if ('rows' in labels) return inlineSource(labels, scratch, wanted)
  const path = `${scratch}.parquet`
  await entityLabels(deps, labels, { pins, now, knowledgeCutoff, path })
  return { source: parquet({ name: 'labels', timestamp: scoringTime, path }), scratch: path }
}

type Times = Pick<FileLabels, 'time' | 'timeZone' | 'nonexistent' | 'ambiguous'>

/** Only what is given: a source takes no undefined. */
function timesOf({ time, timeZone, nonexistent, ambiguous }: Times) {
  return {
    name: 'labels',
    timestamp: time,
    ...(timeZone === undefined ? {} : { timeZone }),
    ...(nonexistent === undefined ? {} : { nonexistent }),
    ...(ambiguous === undefined ? {} : { ambiguous }),
  }
}

const formats: Readonly<Record<string, FileFormat>> = {
  '.parquet': 'parquet',
  '.csv': 'csv',
  '.json': 'json',
  '.jsonl': 'json',
  '.ndjson': 'json',
}

function fileSource({ baseFolder }: ActivityDeps, labels: FileLabels): Source {
  const isFolder = () => {
    const path = resolve(baseFolder, labels.path)
    return existsSync(path) && statSync(path).isDirectory()
  }
  const format = labels.format ?? formats[extname(labels.path.replace(/\.gz$/, '')).toLowerCase()]
  if (format === undefined && !isFolder()) {
    throw new InputError(
      `labels: ${labels.path} does not say by its name what it is. Say so: "format": "parquet", "csv" or "json".`,
      { path: labels.path },
    )
  }
  const { columns } = labels
  const definition = { ...timesOf(labels), path: labels.path }
  if (format === 'csv' || format === 'json') {
    return (format === 'csv' ? csv : json)({ ...definition, ...(columns === undefined ? {} : { columns }) })
  }
  if (columns === undefined) return parquet(definition)
  throw new InputError('labels: Parquet says the types of its columns itself. Leave columns out.')
}

function sqlLabels({ definitions }: ActivityDeps, { sql, sources, ...labels }: SqlLabels): Source {
  const known = new Map<string, Source>()
  const note = (all: readonly Source[]) => {
    for (const source of all) {
      known.set(source.name, source)
      if (source.format === 'sql') note(source.sources)
    }
  }
  for (const group of definitions.groups.values()) note(group.sources)
  const named = sources.map((name) => {
    const source = known.get(name)
    if (source !== undefined) return source
    throw new InputError(
      `labels: there is no source ${JSON.stringify(name)}. The definitions have ${[...known.keys()].sort().join(', ') || 'none'}.`,
      { source: name },
    )
  })
  return sqlSource({ ...timesOf(labels), sources: named, sql })
}

function inlineSource(labels: InlineLabels, scratch: string, wanted: readonly string[]): LabelsSource {
  const { rows, columns } = labels
  if (rows.length === 0) return emptySource(labels, `${scratch}.csv`, wanted)
  const path = `${scratch}.jsonl`
  writeFileSync(path, rows.map((row) => JSON.stringify(row)).join('\n'))
  const definition = { ...timesOf(labels), path, ...(columns === undefined ? {} : { columns }) }
  return { source: json(definition), scratch: path }
}

/** Of columns that no row names there are those that the request declares or cannot do without. */
function emptySource(
  { time, columns = {} }: InlineLabels,
  path: string,
  wanted: readonly string[],
): LabelsSource {
  const names = new Set([time, ...Object.keys(columns), ...wanted])
  writeFileSync(path, `${[...names].map((name) => `"${name.replaceAll('"', '""')}"`).join(',')}\n`)
  return { source: csv({ name: 'labels', timestamp: time, timeZone: 'UTC', path, columns }), scratch: path }
}
