/** Configuration: one schema over the environment, read once, by the one room that opens connections. */
import { cpus, totalmem } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { InputError, parseInstant } from '../model/index.ts'
import { parseOnlineStores, type OnlineStoreConfig } from './onlineConfig.ts'
import { checkReaderCache, parseReaderCache, type ReaderCacheConfig } from './readerCacheConfig.ts'
import { readerConfigOf, readerVariables, type ReaderConfig } from './readerConfig.ts'

const text = z.string().min(1)
const wholeNumber = z
  .string()
  .regex(/^[1-9]\d*$/, 'not a whole number')
  .transform(Number)

/** Half of the machine's memory for DuckDB, at most 4 GB: the worker shares the machine. */
const defaultMemoryLimit = `${Math.min(4096, Math.floor(totalmem() / 2 / 2 ** 20))}MB`

const schema = z.object({
  ASOF_HOME: text.default('.asof'),
  ASOF_FEATURES: text.default('./features'),
  ASOF_STORE: text
    .regex(/^[a-z][a-z0-9_]*$/, 'not a name of lower-case letters, digits and underscores')
    .default('asof'),
  ASOF_CLOCK: text.transform((value) => parseInstant(value, 'ASOF_CLOCK')).optional(),
  ASOF_MEMORY_LIMIT: text
    .regex(/^\d+(MB|GB)$/, 'not a size such as 512MB or 4GB')
    .default(defaultMemoryLimit),
  ASOF_THREADS: wholeNumber.default(cpus().length),
  ASOF_READER_CACHE: text.default('off').transform(parseReaderCache),
  ASOF_ONLINE: text.default('lmdb').transform(parseOnlineStores),
  TEMPORAL_ADDRESS: text.optional(),
  TEMPORAL_NAMESPACE: text.default('default'),
  ASOF_TASK_QUEUE: text.default('asof'),
  ...readerVariables,
})

export interface Config {
  /** State of the embedded store: an absolute folder. */
  readonly home: string
  /** The definitions module: an absolute file or folder. */
  readonly features: string
  /** The store's name: Iceberg's catalog and namespace, and the prefix of online keys. */
  readonly store: string
  /** What the clock of a new store is set to; null for the real time. */
  readonly setClockMs: number | null
  readonly duckdbMemoryLimit: string
  readonly duckdbThreads: number
  readonly reader: ReaderConfig
  /** What the reader keeps in memory of its online store; null for nothing. */
  readonly readerCache: ReaderCacheConfig | null
  /** All are loaded; the reader serves from the first. */
  readonly onlineStores: readonly OnlineStoreConfig[]
  /** Null where the embedded development server is used. */
  readonly temporalAddress: string | null
  readonly temporalNamespace: string
  readonly taskQueue: string
  /** For paths of sources that name a variable. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Relative paths of sources start here. */
  readonly baseFolder: string
}

/** @throws InputError that names the variable, its value and what was expected. */
export function readConfig(
  environment: Readonly<Record<string, string | undefined>>,
  folder: string,
): Config {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const result = schema.safeParse(present)
  if (!result.success) {
    const [issue] = result.error.issues
    const name = String(issue?.path[0])
    throw new InputError(
      `${name}=${environment[name] ?? ''}: ${issue?.message ?? 'invalid'}. Set it right or unset it.`,
    )
  }
  const values = result.data
  checkReaderCache(values.ASOF_READER_CACHE, values.ASOF_ONLINE[0])
  return {
    home: resolve(folder, values.ASOF_HOME),
    features: resolve(folder, values.ASOF_FEATURES),
    store: values.ASOF_STORE,
    setClockMs: values.ASOF_CLOCK ?? null,
    duckdbMemoryLimit: values.ASOF_MEMORY_LIMIT,
    duckdbThreads: values.ASOF_THREADS,
    reader: readerConfigOf(values, folder),
    readerCache: values.ASOF_READER_CACHE,
    onlineStores: values.ASOF_ONLINE,
    temporalAddress: values.TEMPORAL_ADDRESS ?? null,
    temporalNamespace: values.TEMPORAL_NAMESPACE,
    taskQueue: values.ASOF_TASK_QUEUE,
    environment,
    baseFolder: folder,
  }
}
