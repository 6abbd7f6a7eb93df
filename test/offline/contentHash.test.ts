/** The content hash: the same whoever wrote the file and how, another for whatever it says otherwise, and no secret of ours. */
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { quoteIdentifier, quoteLiteral } from '../../iceberg/duckdb/quote.ts'
import { blockDigests, contentHash, query } from '../../offline/index.ts'
import { pythonPath } from '../iceberg/pyiceberg.ts'
import { workbench } from './workbench.ts'

const bench = workbench()

/** A block and a part of another. */
const rows = 70_001
const columns = {
  number: `CASE WHEN i % 11 = 0 THEN NULL ELSE (i - 35000) / 7.0 END`,
  special: `CAST(['0', '-0', 'NaN', 'inf', '-inf', '5e-324', NULL][1 + i % 7] AS DOUBLE)`,
  small: `CAST(CASE WHEN i % 13 = 0 THEN NULL ELSE i / 3 END AS FLOAT)`,
  big: `CASE WHEN i % 5 = 0 THEN NULL ELSE 9007199254740993 + i END`,
  whole: `CAST(-i AS INTEGER)`,
  flag: `CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN true ELSE false END`,
  said: `CASE WHEN i % 7 = 0 THEN NULL WHEN i % 7 = 1 THEN '' ELSE 'Äpfel ' || i || chr(128512) END`,
  long: `CASE WHEN i % 6 = 0 THEN NULL ELSE repeat('Ärger ', i % 20) || i END`,
  edge: `CASE WHEN i % 23 = 0 THEN NULL ELSE left('0123456789abcdefghijklmnopqrstuvwxyz0123456789ABCDEF', i % 49) END`,
  moment: `CASE WHEN i % 17 = 0 THEN NULL ELSE make_timestamptz(i * 1000003 - 86400000000) END`,
  many: `CASE WHEN i % 19 = 0 THEN NULL ELSE [i, NULL, -i] END`,
  nothing: `CAST(NULL AS VARCHAR)`,
}
const select = (changed: Partial<Record<keyof typeof columns, string>> = {}, count = rows) =>
  `SELECT ${Object.entries({ ...columns, ...changed })
    .map(([name, sql]) => `${sql} AS ${quoteIdentifier(name)}`)
    .join(', ')} FROM range(${count}) AS numbers(i) ORDER BY i`

let made = 0
/** Dictionaries would make zeros of both signs one. */
async function written(sql: string, options = 'COMPRESSION zstd'): Promise<string> {
  const path = join(bench.folder, `written-${(made += 1)}.parquet`)
  await query(
    bench.connection,
    `COPY (${sql}) TO ${quoteLiteral(path)} (FORMAT parquet, DICTIONARY_SIZE_LIMIT 0, ${options})`,
  )
  return path
}

async function hashOf(path: string): Promise<string> {
  const file = `read_parquet(${quoteLiteral(path)})`
  const described = await query(bench.connection, `DESCRIBE SELECT * FROM ${file}`)
  const found = described.map((row) => ({
    name: String(row['column_name']),
    type: String(row['column_type']),
  }))
  const [counted] = await query(bench.connection, `SELECT count(*) AS rows FROM ${file}`)
  const { digests } = await blockDigests(bench.duckdb, path, found, Number(counted?.['rows']))
  return contentHash(digests)
}

/** How many different ones files of these rows have. */
async function hashesOf(selects: readonly string[]): Promise<number> {
  const hashes = new Set<string>()
  for (const one of selects) hashes.add(await hashOf(await written(one)))
  return hashes.size
}

function python(...args: string[]): string[] {
  const script = join(import.meta.dirname, 'contentHash.py')
  const { status, stdout, stderr } = spawnSync(pythonPath(), ['-I', script, ...args], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return stdout.split('\n').filter((line) => line !== '')
}

let original: string
let hash: string
beforeAll(async () => {
  original = await written(select())
  hash = await hashOf(original)
})

describe('is the same', () => {
  test('whoever wrote the file, in which row groups and however compressed', async () => {
    const byPyArrow = join(bench.folder, 'by-pyarrow.parquet')
    python('rewrite', original, byPyArrow)
    const others = [
      await written(select(), 'COMPRESSION uncompressed, ROW_GROUP_SIZE 2048'),
      await written(
        `SELECT * FROM read_parquet(${quoteLiteral(original)})`,
        'COMPRESSION gzip, PARQUET_VERSION v2',
      ),
      byPyArrow,
    ]
    for (const path of others) expect(await hashOf(path), path).toBe(hash)
  })

  test('when Python computes it from its description', async () => {
    const empty = await written(select({}, 0))
    const one = await written(select({}, 65_536))
    expect(python('hash', original, empty, one)).toEqual([hash, await hashOf(empty), await hashOf(one)])
  })
})

describe('is another', () => {
  const at = (place: number, sql: string, column: keyof typeof columns) => ({
    [column]: `CASE WHEN i = ${place} THEN ${sql} ELSE ${columns[column]} END`,
  })
  const changes: Record<string, string> = {
    'for one bit of a double': select(at(69_000, `${columns.number} + 5e-13`, 'number')),
    'for a zero with a sign': select(at(7, `'-0'::DOUBLE`, 'special')),
    'for a zero instead of a null': select(at(11, '0', 'number')),
    'for an integer beyond 2^53': select(at(1, '9007199254740992 + i', 'big')),
    'for a false instead of a null': select(at(3, 'false', 'flag')),
    'for an empty text instead of a null': select(at(7, `''`, 'said')),
    'for a letter of a long text': select(at(1, `replace(${columns.long}, '1', '2')`, 'long')),
    'for the last of 48 letters': select(
      at(48, `'0123456789abcdefghijklmnopqrstuvwxyz0123456789AB_'`, 'edge'),
    ),
    'for a microsecond': select(at(1, `${columns.moment} + INTERVAL 1 MICROSECOND`, 'moment')),
    'for an element of a list': select(at(1, '[i, NULL, NULL]', 'many')),
    'for a null list instead of an empty one': select({
      many: `CASE WHEN i % 19 = 0 THEN [] ELSE [i, NULL, -i] END`,
    }),
    'for a type of the same values': select({ whole: `CAST(-i AS BIGINT)` }),
    'for two rows in the other order': select().replace(
      'ORDER BY i',
      'ORDER BY CASE i WHEN 100 THEN 101 WHEN 101 THEN 100 ELSE i END',
    ),
    'for another name': `SELECT * RENAME (said AS told) FROM (${select()})`,
    'for another order of columns': `SELECT * EXCLUDE (number), number FROM (${select()})`,
    'for a column less': `SELECT * EXCLUDE (nothing) FROM (${select()})`,
    'for a row less': select({}, rows - 1),
  }
  test.each(Object.keys(changes))('%s', async (what) => {
    expect(await hashOf(await written(changes[what] ?? ''))).not.toBe(hash)
  })

  test('where a text ends elsewhere, or a null stands elsewhere', async () => {
    const lists = [
      `['ab', 'c', NULL]`,
      `['a', 'bc', NULL]`,
      `['ab', NULL, 'c']`,
      `[NULL, 'ab', 'c']`,
      `['ab', 'c', '']`,
    ]
    expect(await hashesOf(lists.map((list) => `SELECT unnest(${list}) AS x`))).toBe(lists.length)
  })

  test('for lists of texts that read alike', async () => {
    const lists = [
      `['a, b']`,
      `['a', 'b']`,
      `[NULL]`,
      `['NULL']`,
      `['']`,
      `[]::VARCHAR[]`,
      `['[a]']`,
      `['''a''']`,
      `['a']`,
    ]
    expect(await hashesOf(lists.map((list) => `SELECT ${list}::VARCHAR[] AS x`))).toBe(lists.length)
  })

  test('for a value of a column that is called as the place of a row is', async () => {
    const named = ['row', 'ROW', 'place', 'c0', 'c1'].flatMap((name) => [
      `SELECT 'x' AS "${name}", 1 AS other`,
      `SELECT 'y' AS "${name}", 1 AS other`,
    ])
    expect(await hashesOf(named)).toBe(named.length)
  })

  test('for other columns without rows', async () => {
    const columnLists = ['1 AS a', '1 AS b', '1::BIGINT AS a', '1 AS a, 2 AS b']
    expect(await hashesOf(columnLists.map((one) => `SELECT ${one} LIMIT 0`))).toBe(4)
  })
})

test('every NaN is one, with whatever bits it was written', async () => {
  const one = await hashOf(await written(`SELECT 'NaN'::DOUBLE AS x`))
  expect(await hashOf(await written(`SELECT -'NaN'::DOUBLE AS x`))).toBe(one)
})
