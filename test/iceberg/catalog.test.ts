import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSqlite } from '../../iceberg/catalog/sqlite.ts'
import {
  CommitConflict,
  FileExists,
  NoSuchFile,
  NoSuchNamespace,
  NoSuchTable,
  TableExists,
  UnknownOutcome,
  Unsupported,
} from '../../iceberg/errors.ts'
import { localFileIO } from '../../iceberg/fileio/local.ts'
import { InvalidInput } from '../../iceberg/singleValue.ts'
import { dayFile, daySpec, openCatalogAt, openTestCatalog, schema, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
beforeEach(async () => {
  lake = await openTestCatalog()
})
afterEach(() => lake.close())

describe('the SQL catalog', () => {
  test('creates, lists, loads and drops tables', async () => {
    const table = await lake.createTable('b', { owner: 'me' })
    await lake.createTable('a')
    expect(table.location).toBe(`file://${lake.home}/warehouse/lake/b`)
    expect(table.metadataLocation).toMatch(/\/lake\/b\/metadata\/00000-[0-9a-f-]{36}\.metadata\.json$/)
    expect((await lake.catalog.listTables('lake')).map(({ name }) => name)).toEqual(['a', 'b'])
    const loaded = await lake.catalog.loadTable({ namespace: 'lake', name: 'b' })
    expect(loaded.metadata).toEqual(table.metadata)
    expect([loaded.schema, loaded.spec, loaded.metadata.properties]).toEqual([
      schema,
      daySpec,
      { owner: 'me' },
    ])
    await lake.catalog.dropTable(table.identifier)
    expect(await lake.catalog.tableExists(table.identifier)).toBe(false)
    expect(await lake.fileIO.exists(table.metadataLocation)).toBe(true)
    await expect(lake.catalog.dropTable(table.identifier)).rejects.toThrow(NoSuchTable)
    await expect(lake.catalog.loadTable(table.identifier)).rejects.toThrow(NoSuchTable)
    await expect(table.append({ ref: 'main', files: [] })).rejects.toThrow(NoSuchTable)
  })

  test('gives a name once, and leaves nothing of the second table behind', async () => {
    const table = await lake.createTable('t')
    await expect(lake.createTable('t')).rejects.toThrow(TableExists)
    expect(await lake.metadataFiles(table)).toHaveLength(1)
  })

  test('wants the namespace first, and names that can be folders', async () => {
    const definition = { schema, spec: daySpec }
    await expect(lake.catalog.createTable({ namespace: 'sea', name: 't' }, definition)).rejects.toThrow(
      NoSuchNamespace,
    )
    await lake.catalog.createNamespace('lake')
    for (const name of ['', '..', 'a/b', 'x'.repeat(256)]) {
      await expect(lake.catalog.createTable({ namespace: 'lake', name }, definition)).rejects.toThrow(
        InvalidInput,
      )
    }
    await expect(lake.catalog.createNamespace('a..b')).rejects.toThrow(InvalidInput)
  })

  test('has the tables of PyIceberg and JdbcCatalog, and shares them with other catalogs', async () => {
    const table = await lake.createTable('t')
    await table.append({ ref: 'main', files: [dayFile('a', 1)] })
    const rows = await sql<Record<string, string>>`select * from iceberg_tables`.execute(lake.db)
    expect(rows.rows).toEqual([
      {
        catalog_name: 'test',
        table_namespace: 'lake',
        table_name: 't',
        metadata_location: table.metadataLocation,
        previous_metadata_location: table.metadata['metadata-log'][0]?.['metadata-file'],
        iceberg_type: 'TABLE',
      },
    ])
    const namespaces = await sql`select * from iceberg_namespace_properties`.execute(lake.db)
    expect(namespaces.rows).toEqual([
      { catalog_name: 'test', namespace: 'lake', property_key: 'exists', property_value: 'true' },
    ])
    await sql`update iceberg_tables set iceberg_type = null`.execute(lake.db)
    await table.append({ ref: 'main', files: [dayFile('b', 1)] })
    await sql`update iceberg_tables set iceberg_type = 'VIEW'`.execute(lake.db)
    expect(await lake.catalog.tableExists(table.identifier)).toBe(false)
    expect(await lake.catalog.listTables('lake')).toEqual([])
    await sql`update iceberg_tables set iceberg_type = 'TABLE', catalog_name = 'other'`.execute(lake.db)
    expect(await lake.catalog.tableExists(table.identifier)).toBe(false)
  })

  test('lets one of two commits on the same state through, and deletes the metadata of the other', async () => {
    const table = await lake.createTable('t')
    const base = await lake.catalog.currentState(table.identifier, null)
    const note = (key: string) =>
      lake.catalog.commit(table.identifier, base, [], [{ action: 'set-properties', updates: { [key]: '1' } }])
    const outcomes = await Promise.allSettled([note('a'), note('b')])
    const lost = outcomes.filter((outcome) => outcome.status === 'rejected')
    expect(lost).toHaveLength(1)
    expect(lost[0]?.reason).toBeInstanceOf(CommitConflict)
    expect(await lake.metadataFiles(table)).toHaveLength(2)
    expect(Object.keys((await table.refresh()).metadata.properties)).toHaveLength(1)
  })

  test('writes nothing where a requirement does not hold', async () => {
    const table = await lake.createTable('t')
    const base = await lake.catalog.currentState(table.identifier, null)
    const requirement = { type: 'assert-table-uuid', uuid: 'another' } as const
    await expect(lake.catalog.commit(table.identifier, base, [requirement], [])).rejects.toThrow(
      CommitConflict,
    )
    expect(await lake.metadataFiles(table)).toHaveLength(1)
  })

  test('deletes metadata files that the log no longer names', async () => {
    const table = await lake.createTable('t', { 'write.metadata.previous-versions-max': '3' })
    for (let count = 0; count < 8; count++) await table.append({ ref: 'main', files: [] })
    const kept = (await lake.metadataFiles(table)).filter((name) => name.endsWith('.json'))
    expect(kept.map((name) => name.slice(0, 5)).sort()).toEqual(['00005', '00006', '00007', '00008'])
  })

  test('says that the outcome is unknown where the database fails while it commits', async () => {
    const table = await lake.createTable('t')
    const base = await lake.catalog.currentState(table.identifier, null)
    await sql`alter table iceberg_tables rename to elsewhere`.execute(lake.db)
    const commit = lake.catalog.commit(table.identifier, base, [], [])
    await expect(commit).rejects.toThrow(UnknownOutcome)
    expect(await lake.metadataFiles(table)).toHaveLength(2)
  })
})

describe('SQLite', () => {
  const increment = sql`update counter set value = value + 1`

  test('waits for a writer of the same process, and then really writes', async () => {
    const path = join(lake.home, 'shared.db')
    const [one, two] = [await openSqlite<object>(path), await openSqlite<object>(path)]
    await sql`create table counter (value integer)`.execute(one)
    await sql`insert into counter values (0)`.execute(one)
    let waited: Promise<unknown> | undefined
    await one.transaction().execute(async (transaction) => {
      await increment.execute(transaction)
      waited = increment.execute(two)
      await new Promise((resolve) => setTimeout(resolve, 400))
    })
    await waited
    await increment.execute(two)
    const three = await openSqlite<object>(path)
    expect((await sql`select value from counter`.execute(three)).rows).toEqual([{ value: 3n }])
    await Promise.all([one, two, three].map((db) => db.destroy()))
  })

  test('gives up after its time, without having written and without being stuck', async () => {
    const path = join(lake.home, 'shared.db')
    const one = await openSqlite<object>(path)
    const two = await openSqlite<object>(path, { lockTimeoutMs: 150 })
    await sql`create table counter (value integer)`.execute(one)
    await sql`insert into counter values (0)`.execute(one)
    await one.transaction().execute(async (transaction) => {
      await increment.execute(transaction)
      await expect(increment.execute(two)).rejects.toMatchObject({
        code: expect.stringMatching(/^SQLITE_BUSY/) as string,
      })
    })
    await increment.execute(two)
    await increment.execute(one)
    expect((await sql`select value from counter`.execute(one)).rows).toEqual([{ value: 3n }])
    await Promise.all([one.destroy(), two.destroy()])
  })

  test('rolls back what fails, in a transaction and by itself', async () => {
    const db = await openSqlite<object>(join(lake.home, 'rolled.db'))
    await sql`create table counter (value integer unique)`.execute(db)
    await sql`insert into counter values (1)`.execute(db)
    await expect(sql`insert into counter values (2), (1)`.execute(db)).rejects.toThrow(/UNIQUE/)
    const failing = db.transaction().execute(async (transaction) => {
      await sql`insert into counter values (5)`.execute(transaction)
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect((await sql`select value from counter`.execute(db)).rows).toEqual([{ value: 1n }])
    await db.destroy()
  })

  test('serves many callers of one connection in turn', async () => {
    const db = await openSqlite<object>(join(lake.home, 'turns.db'))
    await sql`create table counter (value integer)`.execute(db)
    await sql`insert into counter values (0)`.execute(db)
    const raise = () =>
      db.transaction().execute(async (transaction) => {
        const { rows } = await sql<{ value: bigint }>`select value from counter`.execute(transaction)
        await new Promise((resolve) => setTimeout(resolve, 1))
        await sql`update counter set value = ${(rows[0]?.value ?? 0n) + 1n}`.execute(transaction)
      })
    await Promise.all(Array.from({ length: 20 }, raise))
    expect((await sql`select value from counter`.execute(db)).rows).toEqual([{ value: 20n }])
    await db.destroy()
  })

  test('opens one catalog from many connections at once', async () => {
    const home = await mkdtemp(join(tmpdir(), 'iceberg-open-'))
    const opened = await Promise.all(Array.from({ length: 6 }, () => openCatalogAt(home)))
    await Promise.all(opened.map(({ catalog }) => catalog.createNamespace('lake')))
    await Promise.all(opened.map(({ db }) => db.destroy()))
    await rm(home, { recursive: true })
  })
})

describe('local files', () => {
  const fileIO = localFileIO()
  const bytes = (text: string) => new TextEncoder().encode(text)

  test('are written once, whole: of many writers one wins', async () => {
    const location = `file://${lake.home}/deep/folder/file`
    const writes = Array.from({ length: 12 }, (_, at) =>
      fileIO.writeExclusive(location, bytes(String(at).repeat(100_000))).then(() => String(at)),
    )
    const outcomes = await Promise.allSettled(writes)
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
    expect(won).toHaveLength(1)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(FileExists)
    }
    expect(new TextDecoder().decode(await fileIO.read(location))).toBe(won[0]?.repeat(100_000))
    expect(await readdir(join(lake.home, 'deep/folder'))).toEqual(['file'])
  })

  test('are the same under every spelling, and percent signs mean themselves', async () => {
    const path = `${lake.home}/a b%20c='ü'.parquet`
    await writeFile(path, 'x')
    for (const location of [path, `file:${path}`, `file://${path}`]) {
      expect(fileIO.localPath(location)).toBe(path)
      expect(await fileIO.size(location)).toBe(1)
    }
    for (const location of ['s3://bucket/x', 'file://host/x', 'relative/x', 'file:x', '//x']) {
      expect(() => fileIO.localPath(location), location).toThrow(Unsupported)
    }
  })

  test('are listed below a folder, and deleted where they are', async () => {
    const folder = `file://${lake.home}/listed`
    await mkdir(join(lake.home, 'listed-beside'))
    await writeFile(join(lake.home, 'listed-beside/z'), '')
    for (const name of ['a', 'deep/b', 'deep/er/c'])
      await fileIO.writeExclusive(`${folder}/${name}`, bytes(name))
    const list = async (location: string) => {
      const found: string[] = []
      for await (const each of fileIO.list(location)) found.push(each)
      return found.sort()
    }
    expect(await list(`${folder}/`)).toEqual([`${folder}/a`, `${folder}/deep/b`, `${folder}/deep/er/c`])
    await fileIO.delete(`${folder}/deep/b`)
    await fileIO.delete(`${folder}/deep/b`)
    expect(await fileIO.exists(`${folder}/deep/b`)).toBe(false)
    expect(await list(folder)).toEqual([`${folder}/a`, `${folder}/deep/er/c`])
    expect(await list(`${folder}/nowhere`)).toEqual([])
    await expect(fileIO.read(`${folder}/nowhere`)).rejects.toThrow(NoSuchFile)
    await expect(fileIO.size(`${folder}/nowhere`)).rejects.toThrow(NoSuchFile)
  })
})
