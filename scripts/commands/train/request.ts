/** From what is typed to a training request: options, or the JSON itself, as the Temporal UI takes it. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { InputError, parseTrainingRequest, type TrainingRequest } from '../../../model/index.ts'
import { isAddress } from '../../../offline/index.ts'

/** Options that say what is asked for; `request` says all of it. */
export interface RequestOptions {
  request?: string
  name?: string
  service?: string
  features?: string
  labels?: string
  time?: string
  key?: string[]
  timeZone?: string
  /** On unless `--no-knowledge-cutoff`. */
  knowledgeCutoff?: boolean
  asOf?: string
  strict?: boolean
  allowMixed?: boolean
  fullNames?: boolean
  eventTimestamps?: boolean
  unmatched?: boolean
  format?: 'parquet' | 'arrow'
  outputFolder?: string
  model?: string
}

/**
 * @param folder where relative paths of options start; those in a request's JSON start where the worker runs
 * @throws InputError for options that do not go together and for whatever is no request
 */
export async function requestOf(options: RequestOptions, folder: string): Promise<TrainingRequest> {
  const { request, ...rest } = options
  if (request === undefined) return parseTrainingRequest(fromOptions(rest, folder))
  const [other] = Object.entries(rest).filter(([name, value]) =>
    name === 'knowledgeCutoff' ? value === false : value !== undefined,
  )
  if (other !== undefined) {
    throw new InputError(
      `--request says everything, so --${dashed(other[0])} cannot stand beside it. Write it into the request.`,
    )
  }
  return parseTrainingRequest(parsed(request, await read(request, folder)))
}

const dashed = (name: string) =>
  name === 'knowledgeCutoff'
    ? 'no-knowledge-cutoff'
    : name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

function fromOptions(options: Omit<RequestOptions, 'request'>, folder: string): unknown {
  const { labels, time, key, timeZone, features, outputFolder, knowledgeCutoff, ...same } = options
  for (const [option, value] of Object.entries({ name: options.name, labels, time })) {
    if (value === undefined) {
      throw new InputError(
        `asof train build: --${option} is missing. Say --name, --service or --features, --labels and --time, or give all of it with --request.`,
      )
    }
  }
  return defined({
    ...same,
    ...(knowledgeCutoff === false ? { knowledgeCutoff } : {}),
    features: features?.split(',').map((feature) => feature.trim()),
    output: outputFolder === undefined ? undefined : from(folder, outputFolder),
    labels: defined({
      path: from(folder, labels ?? ''),
      time,
      timeZone,
      keys: key === undefined ? undefined : Object.fromEntries(key.map(keyAndColumn)),
    }),
  })
}

/** Addresses stay what they are: they are refused by name, not as a folder. */
const from = (folder: string, path: string) => (isAddress(path) ? path : resolve(folder, path))

/** A request has no fields that nobody has asked for. */
const defined = (fields: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))

function keyAndColumn(given: string): [string, string] {
  const [, key, column] = /^([^=]+)=(.+)$/.exec(given) ?? []
  if (key !== undefined && column !== undefined) return [key, column]
  throw new InputError(
    `--key ${given}: write <key of the entity>=<column of the labels>, such as --key country=land.`,
  )
}

async function read(path: string, folder: string): Promise<string> {
  if (path === '-') return text(process.stdin)
  try {
    return readFileSync(resolve(folder, path), 'utf8')
  } catch (error) {
    throw new InputError(
      `--request ${path}: there is no such file. Name one, or - for stdin.`,
      { path },
      { cause: error },
    )
  }
}

function parsed(path: string, json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new InputError(`--request ${path}: it is no JSON: ${why}.`, { path }, { cause: error })
  }
}
