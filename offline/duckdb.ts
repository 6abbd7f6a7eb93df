/**
 * DuckDB, opened once a process and connected to once a job.
 *
 * Nothing is read in the machine's time zone (rule 1), and no extension is fetched from the network behind anyone's back.
 *
 * @example
 * const duckdb = await openDuckDb({ memoryLimit: '2GB', threads: 2, tempDirectory: '.asof/spill' })
 * const connection = await duckdb.connect()
 */
import { mkdir } from 'node:fs/promises'
import {
  DuckDBInstance,
  type DuckDBConnection,
  type DuckDBDataChunk,
  type DuckDBResult,
  type DuckDBValue,
} from '@duckdb/node-api'
import { InputError, IntegrityError, UnavailableError } from '../model/errors.ts'

export interface DuckDbOptions {
  /** What DuckDB may hold before it spills, such as `2GB`. */
  readonly memoryLimit: string
  readonly threads: number
  /** Where it spills to; made if it is missing. */
  readonly tempDirectory: string
  /** Whether rows keep the order in which they lie in files, which takes memory; they do not unless it is asked for. */
  readonly keepsOrder?: boolean
}

export interface DuckDb {
  /** A connection of a job's own, in UTC. Temporary tables live as long as it does: close it with `closeSync()`. */
  connect(): Promise<DuckDBConnection>
  /**
   * Runs what may take all of the memory limit, one after the other: two of that kind at once make each other spill, and
   * take longer than one after the other.
   */
  alone<Result>(run: () => Promise<Result>): Promise<Result>
  close(): Promise<void>
}

export type Row = Record<string, DuckDBValue>

export async function openDuckDb(options: DuckDbOptions): Promise<DuckDb> {
  const { memoryLimit, threads, tempDirectory, keepsOrder = false } = options
  await mkdir(tempDirectory, { recursive: true })
  const instance = await DuckDBInstance.create(':memory:', {
    memory_limit: memoryLimit,
    threads: String(threads),
    temp_directory: tempDirectory,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    preserve_insertion_order: String(keepsOrder),
  })
  let last: Promise<unknown> = Promise.resolve()
  return {
    alone(run) {
      const mine = last.then(run)
      last = mine.catch(() => undefined)
      return mine
    },
    async connect() {
      const connection = await instance.connect()
      await query(connection, "SET TimeZone = 'UTC'")
      await query(connection, 'SET enable_progress_bar = false')
      return connection
    },
    close() {
      instance.closeSync()
      return Promise.resolve()
    },
  }
}

/**
 * Runs one statement to its end and returns its rows.
 *
 * @param parameters by name, without their `$`; exactly those that the statement has
 * @throws what DuckDB says as the error class that fits it, with the SQL in its context and DuckDB's error as its cause;
 * the signal's reason where it was aborted.
 */
export async function query(
  connection: DuckDBConnection,
  sql: string,
  signal?: AbortSignal,
  parameters?: Record<string, DuckDBValue>,
): Promise<Row[]> {
  signal?.throwIfAborted()
  const interrupt = () => connection.interrupt()
  signal?.addEventListener('abort', interrupt, { once: true })
  try {
    return (await connection.runAndReadAll(sql, parameters)).getRowObjects()
  } catch (error) {
    signal?.throwIfAborted()
    throw asError(error, sql)
  } finally {
    signal?.removeEventListener('abort', interrupt)
  }
}

/** Runs something on a connection of its own, and closes it. */
export async function withConnection<Result>(
  duckdb: DuckDb,
  run: (connection: DuckDBConnection) => Promise<Result>,
): Promise<Result> {
  const connection = await duckdb.connect()
  try {
    return await run(connection)
  } finally {
    connection.closeSync()
  }
}

/** The chunks of a stream, each read from DuckDB while the one before it is worked on. */
export async function* chunksAhead(result: DuckDBResult): AsyncGenerator<DuckDBDataChunk> {
  let next = result.fetchChunk()
  try {
    for (;;) {
      const chunk = await next
      if (chunk === null || chunk.rowCount === 0) return
      next = result.fetchChunk()
      yield chunk
    }
  } finally {
    // Whoever stops early does not hear how the last one ended.
    await next.catch(() => null)
  }
}

/** DuckDB names the class of an error before its first colon; anything unknown is a fault of ours. */
const errorClasses: Readonly<Record<string, typeof InputError | typeof UnavailableError>> = {
  'Conversion Error': InputError,
  'Out of Range Error': InputError,
  'Invalid Input Error': InputError,
  'Invalid Type Error': InputError,
  'Mismatch Type Error': InputError,
  'IO Error': UnavailableError,
  'Out of Memory Error': UnavailableError,
  'INTERRUPT Error': UnavailableError,
}

function asError(cause: unknown, sql: string): Error {
  const text = cause instanceof Error ? cause.message : String(cause)
  const ErrorClass = errorClasses[text.slice(0, text.indexOf(':'))] ?? IntegrityError
  return new ErrorClass(`DuckDB: ${text}`, { sql }, { cause })
}
