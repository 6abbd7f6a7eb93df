/** The folder of an LMDB store and the tables in it: what must hold before LMDB may touch a file. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import { open, type Database, type RootDatabase } from 'lmdb'
import { UnavailableError } from '../model/index.ts'

export interface LmdbOptions {
  /** The folder. A writer makes it; a reader wants it to be there, but not yet written to. */
  readonly path: string
  /** The store's name, the first part of every key. */
  readonly store: string
  readonly readOnly?: boolean
}

export type Table = Database<Buffer, Buffer>

export interface Tables {
  readonly root: RootDatabase
  readonly cards: Table
  readonly schemas: Table
  readonly values: Table
}

export interface KeyRange {
  readonly start: Buffer
  readonly end: Buffer
  readonly exclusiveStart?: boolean
}

export function makeFolder(options: LmdbOptions): void {
  try {
    mkdirSync(options.path, { recursive: true })
    accessSync(options.path, constants.R_OK | constants.W_OK | constants.X_OK)
  } catch (error) {
    throw unavailable(options, 'cannot be written to', error)
  }
}

export function checkFolder(options: LmdbOptions): void {
  try {
    accessSync(options.path, constants.R_OK | constants.X_OK)
  } catch (error) {
    throw unavailable(options, 'cannot be read', error)
  }
}

export function unavailable({ path }: LmdbOptions, what: string, cause: unknown): UnavailableError {
  const reason = cause instanceof Error ? `: ${cause.message}` : ''
  return new UnavailableError(
    `online store ${path} ${what}${reason}. Check that the folder is there, that this user may read and write it, that the disk has room and that ASOF_HOME is the right one.`,
    { path },
    { cause },
  )
}

/** LMDB itself ends the whole process over a file that is none of its own. */
function checkDatabase(path: string): void {
  const file = join(path, 'data.mdb')
  if (!existsSync(file)) return
  const header = Buffer.alloc(databaseMark.length)
  const descriptor = openSync(file, 'r')
  const length = readSync(descriptor, header, 0, header.length, databaseMarkAt)
  closeSync(descriptor)
  const isNew = statSync(file).size === 0
  if (!isNew && !(length === header.length && header.equals(databaseMark))) {
    throw new Error(`${file} is no LMDB database, or a torn one; remove the folder and load the groups again`)
  }
}

/** LMDB's magic number, 0xBEEFC0DE, behind the header of the first page. */
const databaseMark = Buffer.from([0xde, 0xc0, 0xef, 0xbe])
const databaseMarkAt = 24

/** Null for a reader where no writer has made the tables yet. @throws Error as LMDB words it */
export function openTables({ path, readOnly = false }: LmdbOptions): Tables | null {
  checkDatabase(path)
  const root: RootDatabase = open({ path, noSubdir: false, readOnly })
  // A reader gets undefined for a table that no writer has made yet, whatever the type says.
  const table = (name: string): Table | undefined =>
    root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' })
  const cards = table('cards')
  const schemas = table('schemas')
  const values = table('values')
  if (cards !== undefined && schemas !== undefined && values !== undefined)
    return { root, cards, schemas, values }
  void root.close()
  return null
}

/** An environment that is one table. @throws Error as LMDB words it */
export function openRoot({ path, readOnly = false }: LmdbOptions): RootDatabase<Buffer, Buffer> {
  checkDatabase(path)
  return open<Buffer, Buffer>({ path, noSubdir: false, readOnly, encoding: 'binary', keyEncoding: 'binary' })
}
