/**
 * Opens a SQLite database for kysely, fit for several processes and several connections of one process at once.
 *
 *     const db = await openSqlite<CatalogTables>('catalog.db')
 *
 * Every write lock is taken first and by itself: libsql 0.5 leaves a prepared statement that failed with SQLITE_BUSY in
 * progress (tursodatabase/libsql-js, pull request 237), after which writes of that connection are reported as done and
 * never committed. And SQLite waits for a lock synchronously, so a holder in this very process could never let go;
 * therefore it waits a moment only, and the rest of the wait is left to the event loop.
 */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import {
  Kysely,
  SelectQueryNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  type QueryResult,
} from 'kysely'
import Database from 'libsql'

export interface SqliteOptions {
  /** How long a write waits for another one, of whatever process, before it fails with SQLITE_BUSY. */
  readonly lockTimeoutMs?: number
}

/** Makes the file where it is missing. Integers come back as bigints. */
export async function openSqlite<Tables>(
  path: string,
  { lockTimeoutMs = 30_000 }: SqliteOptions = {},
): Promise<Kysely<Tables>> {
  await mkdir(dirname(path), { recursive: true })
  const database = new Database(path)
  database.exec(`PRAGMA busy_timeout = ${synchronousWaitMs}`)
  await waitingForLock(lockTimeoutMs, () => database.exec('PRAGMA journal_mode = WAL'))
  database.defaultSafeIntegers(true)
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new LibsqlDriver(database, lockTimeoutMs),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  })
}

const synchronousWaitMs = 100
const pauseMs = 25

async function waitingForLock(timeoutMs: number, call: () => void): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ;) {
    try {
      call()
      return
    } catch (error) {
      if (!isBusy(error) || Date.now() >= deadline) throw error
      await wait(pauseMs * (0.5 + Math.random()))
    }
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('SQLITE_BUSY')
}

/** One connection, handed to one caller after the other. */
class LibsqlDriver implements Driver {
  readonly #database: Database.Database
  readonly #connection: LibsqlConnection
  readonly #waiting: (() => void)[] = []
  #taken = false

  constructor(database: Database.Database, lockTimeoutMs: number) {
    this.#database = database
    this.#connection = new LibsqlConnection(database, lockTimeoutMs)
  }

  init = () => Promise.resolve()

  async acquireConnection(): Promise<DatabaseConnection> {
    if (this.#taken) await new Promise<void>((turn) => this.#waiting.push(turn))
    this.#taken = true
    return this.#connection
  }

  releaseConnection(): Promise<void> {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#taken = false
    return Promise.resolve()
  }

  beginTransaction = () => this.#connection.begin()
  commitTransaction = () => this.#connection.command('commit')
  rollbackTransaction = () => this.#connection.command('rollback')

  destroy(): Promise<void> {
    this.#database.close()
    return Promise.resolve()
  }
}

class LibsqlConnection implements DatabaseConnection {
  readonly #database: Database.Database
  readonly #lockTimeoutMs: number

  constructor(database: Database.Database, lockTimeoutMs: number) {
    this.#database = database
    this.#lockTimeoutMs = lockTimeoutMs
  }

  begin(): Promise<void> {
    return waitingForLock(this.#lockTimeoutMs, () => this.#database.exec('begin immediate'))
  }

  command(sql: string): Promise<void> {
    this.#database.exec(sql)
    return Promise.resolve()
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    if (/^\s*begin\b/i.test(query.sql)) return this.begin().then(() => ({ rows: [] }))
    if (/^\s*(commit|rollback)\s*;?\s*$/i.test(query.sql)) {
      return this.command(query.sql).then(() => ({ rows: [] }))
    }
    if (this.#database.inTransaction || isRead(query)) return this.#run(query)
    await this.begin()
    try {
      const result = this.#run<Row>(query)
      this.#database.exec('commit')
      return result
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('rollback')
      throw error
    }
  }

  async *streamQuery<Row>(query: CompiledQuery): AsyncIterableIterator<QueryResult<Row>> {
    yield await this.executeQuery<Row>(query)
  }

  #run<Row>({ sql, parameters }: CompiledQuery): QueryResult<Row> {
    const statement = this.#database.prepare(sql)
    if (statement.reader) return { rows: statement.all([...parameters]) as Row[] }
    const { changes, lastInsertRowid } = statement.run([...parameters])
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }
}

/** What is not known to be a read takes the lock. */
function isRead({ query, sql }: CompiledQuery): boolean {
  return SelectQueryNode.is(query) || /^\s*(select|pragma|explain)\b/i.test(sql)
}
