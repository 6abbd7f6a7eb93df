/** What sources look like, and everything that can be wrong with one. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  count,
  csv,
  env,
  json,
  max,
  mean,
  parquet,
  sum,
  type FileSource,
  type Source,
} from '../../model/index.ts'
import {
  bindGroup,
  bindSource,
  computeRange,
  listSourceFiles,
  query,
  resolvePath,
} from '../../offline/index.ts'
import { computeDays, filesOf, groupOn, inputError, onlySourceOf, workbench } from './workbench.ts'

const bench = workbench()
const kinds = { parquet, csv, json }

const sourceAt = (path: string, timeZone?: string): FileSource => {
  const format = path.endsWith('.parquet') ? 'parquet' : /\.csv(\.gz)?$/.test(path) ? 'csv' : 'json'
  return kinds[format]({
    name: 'events',
    path,
    timestamp: 't',
    ...(timeZone === undefined ? {} : { timeZone }),
  })
}
const bound = async (source: Source, features = { sum: sum('v', { over: '1d' }) }) =>
  bindGroup(bench.connection, groupOn(source, features), await filesOf(source))

describe('files', () => {
  test('a path comes from the definition, or from a variable with or without a default', () => {
    const at = (path: FileSource['path']) => parquet({ name: 'events', path, timestamp: 't' })
    expect(resolvePath(at('data'), {}, '/base')).toBe('/base/data')
    expect(resolvePath(at('/abs/x'), {}, '/base')).toBe('/abs/x')
    expect(resolvePath(at('file:///abs/x%20y'), {}, '/base')).toBe('/abs/x y')
    expect(resolvePath(at(env('P')), { P: 'there' }, '/base')).toBe('/base/there')
    expect(resolvePath(at(env('P', 'other')), { P: '' }, '/base')).toBe('/base/other')
    expect(() => resolvePath(at(env('P')), {}, '/base')).toThrow(
      /source events: .*variable P.*is not set\. Set it/,
    )
    expect(() => resolvePath(at('s3://bucket/x'), {}, '/base')).toThrow(
      /s3:\/\/bucket\/x is not a local path/,
    )
  })

  test('a file, a folder or a pattern', async () => {
    const root = join(bench.folder, 'listed')
    await mkdir(join(root, 'a/b'), { recursive: true })
    await mkdir(join(root, '_tmp'))
    const names = [
      'z.csv',
      'a/y.csv',
      'a/b/x.csv.gz',
      'a/b/note.txt',
      '_tmp/w.csv',
      'a/.hidden.csv',
      'a/c+1.csv',
    ]
    for (const name of names) await bench.write(join('listed', name), 't\n')
    const list = async (path: string) =>
      (await listSourceFiles(sourceAt('x.csv'), path)).map((file) => file.path.slice(root.length + 1))
    expect(await list(root)).toEqual(['a/b/x.csv.gz', 'a/c+1.csv', 'a/y.csv', 'z.csv'])
    expect(await list(join(root, 'z.csv'))).toEqual(['z.csv'])
    expect(await list(join(root, '*.csv'))).toEqual(['z.csv'])
    expect(await list(join(root, 'a/?.csv'))).toEqual(['a/y.csv'])
    expect(await list(join(root, 'a/c+?.csv'))).toEqual(['a/c+1.csv'])
    expect(await list(join(root, '*', 'b', '*'))).toEqual(['a/b/note.txt', 'a/b/x.csv.gz'])
    expect(await list(join(root, 'a/**/*.csv*'))).toEqual(['a/b/x.csv.gz', 'a/c+1.csv', 'a/y.csv'])
    const [file] = await listSourceFiles(sourceAt('x.csv'), join(root, 'z.csv'))
    expect(file).toMatchObject({ size: 2 })
    expect(Number.isFinite(file?.modifiedMs)).toBe(true)
  })

  test('no file: the error names the source, the path and the cure', async () => {
    const at = (path: string) => inputError(listSourceFiles(sourceAt('x.csv'), join(bench.folder, path)))
    await mkdir(join(bench.folder, 'nothing'))
    expect(await at('missing.csv')).toMatch(
      /source events: there is nothing at .*missing\.csv\. Put its files there/,
    )
    expect(await at('nothing')).toMatch(
      /source events: .*nothing holds no file whose name ends in \.csv, \.csv\.gz/,
    )
    expect(await at('missing/*.csv')).toMatch(/source events: no file matches .*missing\/\*\.csv/)
  })
})

describe('timestamps (rule 1)', () => {
  const hours = async (path: string, zone?: string) => {
    const rows = await computeDays(
      bench,
      groupOn(sourceAt(path, zone), { first: max('t', { over: '1d' }) }),
      2,
    )
    return rows.flatMap((row) => (row['first'] === null ? [] : [String(row['first'])]))
  }

  test.each([
    ['TIMESTAMP', '2001-01-01 06:30:00.123456'],
    ['TIMESTAMP_S', '2001-01-01 06:30:00'],
    ['TIMESTAMP_MS', '2001-01-01 06:30:00.123'],
    ['TIMESTAMP_NS', '2001-01-01 06:30:00.123456789'],
    ['DATE', '2001-01-01'],
  ])('Parquet %s without a zone', async (type, text) => {
    const path = await bench.writeParquet(
      `${type}.parquet`,
      `SELECT ${type} '${text}' AS t, 'a' AS k, 1 AS v`,
    )
    expect(await inputError(bound(sourceAt(path)))).toMatch(
      /source events: column t is (TIMESTAMP|DATE)\w*, without a time zone, and the source names none\. Say which zone.*timeZone: 'UTC'/,
    )
    const micros = text.replace(/(\.\d{6})\d+/, '$1')
    const day = type === 'DATE' ? `${micros} 00:00:00` : micros
    expect((await hours(path, 'UTC'))[0]).toBe(`${day}+00`)
    const [local] = await query(
      bench.connection,
      `SELECT CAST(TIMESTAMP '${day}' AT TIME ZONE 'America/New_York' AS VARCHAR) AS t`,
    )
    expect((await hours(path, 'America/New_York'))[0]).toBe(String(local?.['t']))
  })

  test('a nanosecond before an edge stays before it', async () => {
    const path = await bench.writeParquet(
      'nanos.parquet',
      `SELECT TIMESTAMP_NS '2001-01-01 23:59:59.999999999' AS t, 'a' AS k`,
    )
    const rows = await computeDays(bench, groupOn(sourceAt(path, 'UTC')), 3)
    expect(rows.map((row) => [String(row['event_timestamp']), row['events']])).toEqual([
      ['2001-01-02 00:00:00+00', 1n],
      ['2001-01-03 00:00:00+00', 0n],
    ])
  })

  test('with a zone of its own, whatever the source says in addition', async () => {
    const path = await bench.writeParquet(
      'zoned.parquet',
      `SELECT TIMESTAMPTZ '2001-01-01 06:30:00+02' AS t, 'a' AS k, 1 AS v`,
    )
    for (const zone of [undefined, 'UTC', 'Asia/Tokyo']) {
      expect((await hours(path, zone))[0]).toBe('2001-01-01 04:30:00+00')
    }
  })

  test.each(['csv', 'json'])('text in %s: each value is looked at by itself', async (format) => {
    const file = (name: string, times: readonly string[]) =>
      bench.write(
        `${name}.${format}`,
        format === 'csv'
          ? ['t,k,v', ...times.map((t, index) => `${t},e${index},1`)].join('\n')
          : times.map((t, index) => JSON.stringify({ t, k: `e${index}`, v: 1 })).join('\n'),
      )
    const zoned = await file('text-zoned', [
      '2001-01-01T06:00:00Z',
      '2001-01-01 06:00:00.5+02:00',
      '2001-01-01T06:00-05:00',
    ])
    expect((await hours(zoned)).sort()).toEqual([
      '2001-01-01 04:00:00.5+00',
      '2001-01-01 06:00:00+00',
      '2001-01-01 11:00:00+00',
    ])
    const mixed = await file('text-mixed', ['2001-01-01T06:00:00Z', '2001-01-01T06:00:00', '2001-01-01'])
    expect(await inputError(bound(sourceAt(mixed)))).toMatch(
      /column t has 2 times such as '2001-01-01', without a time zone/,
    )
    expect((await hours(mixed, 'America/New_York')).sort()).toEqual([
      '2001-01-01 05:00:00+00',
      '2001-01-01 06:00:00+00',
      '2001-01-01 11:00:00+00',
    ])
    const wrong = await file('text-wrong', [
      '2001-01-01T06:00:00Z',
      '01/02/2001 10:00',
      '2001-02-30T00:00:00Z',
    ])
    expect(await inputError(bound(sourceAt(wrong, 'UTC')))).toMatch(
      /column t has 2 values that are not times, such as '01\/02\/2001 10:00'/,
    )
  })

  test('a number, a missing column, null values', async () => {
    const number = await bench.writeParquet('number.parquet', `SELECT 978307200 AS t, 'a' AS k, 1 AS v`)
    expect(await inputError(bound(sourceAt(number, 'UTC')))).toMatch(
      /column t is INTEGER, which is not a time/,
    )
    const epoch = await bench.write('epoch.json', '{"t":978307200000,"k":"a","v":1}')
    expect(await inputError(bound(sourceAt(epoch, 'UTC')))).toMatch(
      /values that are not times, such as '978307200000'/,
    )
    const missing = await bench.writeParquet('missing.parquet', `SELECT 1 AS time, 'a' AS k, 1 AS v`)
    expect(await inputError(bound(sourceAt(missing)))).toMatch(
      /no timestamp column "t"\. Its columns are time, k, v/,
    )
    const without = await bench.write('missing.csv', 'time,k,v\n2001-01-01,a,1\n')
    expect(await inputError(bound(sourceAt(without)))).toMatch(
      /no timestamp column "t"\. The columns are time, k, v/,
    )
    const nulls = await bench.writeParquet(
      'nulls.parquet',
      `SELECT unnest([NULL, TIMESTAMP '2001-01-01', NULL]) AS t, 'a' AS k, 1 AS v`,
    )
    expect(await inputError(bound(sourceAt(nulls, 'UTC')))).toMatch(/2 events have no time: column t is null/)
    const gaps = await bench.write('gaps.csv', 't,k,v\n2001-01-01,a,1\n,b,1\n')
    expect(await inputError(bound(sourceAt(gaps, 'UTC')))).toMatch(/1 events have no time: column t is null/)
  })

  test('null and unreadable timestamps that come after registration fail the run', async () => {
    const parquetOf = (times: string) => (name: string) =>
      bench.writeParquet(name, `SELECT unnest([${times}]) AS t, 'a' AS k`)
    const textOf = (text: string) => (name: string) => bench.write(name, text)
    for (const [name, good, bad, message] of [
      [
        'late.csv',
        textOf('t,k\n2001-01-01T01:00:00Z,a\n'),
        textOf('t,k\n2001-01-01T01:00:00Z,a\n,b\n'),
        /1 events have no time/,
      ],
      [
        'late.json',
        textOf('{"t":"2001-01-01T01:00:00Z","k":"a"}'),
        textOf('{"t":"2001-01-01T01:00:00","k":"a"}'),
        /has 1 times such as '2001-01-01T01:00:00', without a time zone/,
      ],
      [
        'late.parquet',
        parquetOf("TIMESTAMPTZ '2001-01-01 01:00:00+00'"),
        parquetOf("TIMESTAMPTZ '2001-01-01 01:00:00+00', NULL"),
        /1 events have no time/,
      ],
    ] as const) {
      const group = groupOn(sourceAt(await good(name)))
      const files = await filesOf(onlySourceOf(group))
      const registered = await bindGroup(bench.connection, group, files)
      await bad(name)
      const relation = await bindSource(bench.connection, onlySourceOf(group), files)
      const range = { from: Date.UTC(2001, 0, 1), to: Date.UTC(2001, 0, 2) }
      const run = computeRange(bench.connection, {
        bound: registered,
        relation,
        range,
        runId: 'r',
        into: 'late',
      })
      expect(await inputError(run)).toMatch(message)
    }
  })
})

describe('several files', () => {
  test('lists of values are columns like any other, what is nested otherwise has no type of a feature', async () => {
    const path = await bench.writeParquet(
      'lists.parquet',
      `SELECT TIMESTAMP '2001-01-01 01:00' AS t, 'a' AS k, [1.5, NULL]::FLOAT[] AS floats, ['x'] AS texts,
              [TIMESTAMPTZ '2001-01-01 00:00:00Z'] AS instants, [[1]] AS deep, [{'a': 1}] AS structs, MAP {'a': 1} AS map`,
    )
    const source = parquet({ name: 'events', path, timestamp: 't', timeZone: 'UTC' })
    const relation = await bindSource(bench.connection, source, await filesOf(source))
    expect(relation.columns.map(({ type }) => type)).toEqual([
      ...['TIMESTAMP', 'VARCHAR', 'FLOAT[]', 'VARCHAR[]', 'TIMESTAMP WITH TIME ZONE[]'],
      ...['nested', 'nested', 'nested'],
    ])
  })

  test('columns come in the order of the files, whichever thread reads one first', async () => {
    await mkdir(join(bench.folder, 'ordered'))
    const names = Array.from({ length: 24 }, (_, index) => `c${String(index).padStart(2, '0')}`)
    for (const name of names) {
      await bench.writeParquet(
        `ordered/${name}.parquet`,
        `SELECT TIMESTAMP '2001-01-01 01:00' AS t, ['a'] AS tags, 1 AS ${name} FROM range(${name.endsWith('0') ? 200_000 : 1})`,
      )
    }
    const source = parquet({
      name: 'events',
      path: join(bench.folder, 'ordered'),
      timestamp: 't',
      timeZone: 'UTC',
    })
    const files = await filesOf(source)
    for (let turn = 0; turn < 10; turn++) {
      const { columns } = await bindSource(bench.connection, source, files)
      expect(columns.map(({ name }) => name)).toEqual(['t', 'tags', ...names])
      expect(columns[1]).toEqual({ name: 'tags', type: 'VARCHAR[]' })
    }
  })

  test('types widen without loss, columns may come later', async () => {
    await mkdir(join(bench.folder, 'wide'))
    await bench.writeParquet(
      'wide/a.parquet',
      `SELECT TIMESTAMP '2001-01-01 01:00' AS t, 'a' AS k, 1::INTEGER AS v, {'delay': 1, 't': 'x'} AS nested`,
    )
    await bench.writeParquet(
      'wide/b.parquet',
      `SELECT 'later' AS extra, 4000000000::BIGINT AS v, 'a' AS k, TIMESTAMP '2001-01-01 02:00' AS t`,
    )
    const source = parquet({
      name: 'events',
      path: join(bench.folder, 'wide'),
      timestamp: 't',
      timeZone: 'UTC',
    })
    const relation = await bindSource(bench.connection, source, await filesOf(source))
    expect(relation.columns).toEqual([
      { name: 't', type: 'TIMESTAMP' },
      { name: 'k', type: 'VARCHAR' },
      { name: 'v', type: 'BIGINT' },
      { name: 'nested', type: 'nested' },
      { name: 'extra', type: 'VARCHAR' },
    ])
    const rows = await computeDays(
      bench,
      groupOn(source, { sum: sum('v', { over: '1d' }), extras: count('extra', { over: '1d' }) }),
    )
    expect(rows).toMatchObject([{ k: 'a', sum: 4000000001n, extras: 1n }])
  })

  test('clashing types, a file without the timestamp and a torn file are named', async () => {
    const in2 = async (name: string, second: (path: string) => Promise<unknown>) => {
      await mkdir(join(bench.folder, name))
      await bench.writeParquet(
        `${name}/a.parquet`,
        `SELECT TIMESTAMP '2001-01-01 01:00' AS t, 'a' AS k, 1 AS v`,
      )
      await second(`${name}/b.parquet`)
      const source = parquet({
        name: 'events',
        path: join(bench.folder, name),
        timestamp: 't',
        timeZone: 'UTC',
      })
      return inputError(bound(source))
    }
    expect(
      await in2('clash', (path) =>
        bench.writeParquet(path, `SELECT TIMESTAMP '2001-01-01' AS t, 'a' AS k, 'one' AS v`),
      ),
    ).toMatch(
      /source events: column v is INTEGER in .*a\.parquet but VARCHAR in .*b\.parquet\. Write it with one type/,
    )
    expect(
      await in2('zones', (path) =>
        bench.writeParquet(path, `SELECT TIMESTAMPTZ '2001-01-01 00:00:00+00' AS t, 'a' AS k, 1 AS v`),
      ),
    ).toMatch(/column t is TIMESTAMP in .* but TIMESTAMP WITH TIME ZONE in/)
    expect(await in2('timeless', (path) => bench.writeParquet(path, `SELECT 'a' AS k, 1 AS v`))).toMatch(
      /b\.parquet has no timestamp column "t"/,
    )
    expect(await in2('torn', (path) => bench.write(path, 'PAR1 and then nothing that makes sense'))).toMatch(
      /source events: .*b\.parquet is not a whole Parquet file \(.+\)\. Write it again or remove it/,
    )
    expect(await in2('emptied', (path) => bench.write(path, ''))).toMatch(
      /b\.parquet is not a whole Parquet file/,
    )
  })

  test('a CSV value decides the type wherever it stands, and an empty column decides nothing', async () => {
    await mkdir(join(bench.folder, 'csvs'))
    const many = Array.from({ length: 30_000 }, () => '2001-01-01T01:00:00Z,07,1')
    await bench.write('csvs/a.csv', ['t,k,v', ...many, '2001-01-01T01:00:00Z,7,0.5'].join('\n'))
    await bench.write('csvs/b.csv', 'v,k,t\n,07,2001-01-01T01:00:00Z\n')
    await bench.write('csvs/c.csv', 't,k,v\n')
    const source = csv({ name: 'events', path: join(bench.folder, 'csvs'), timestamp: 't' })
    const rows = await computeDays(
      bench,
      groupOn(source, { sum: sum('v', { over: '1d' }), events: count({ over: '1d' }) }),
    )
    expect(rows).toMatchObject([
      { k: '07', sum: 30_000, events: 30_001n },
      { k: '7', sum: 0.5, events: 1n },
    ])
    const nothing = await bench.write('nothing.csv', 't,k,v\n2001-01-01T01:00:00Z,a,\n')
    expect(await inputError(bound(sourceAt(nothing)))).toMatch(
      /feature sum: sum of column v: .*none of its values is there yet/,
    )
  })

  test('an array of JSON objects, and text that is no CSV or JSON', async () => {
    const path = await bench.write(
      'array.json',
      '[{"t":"2001-01-01T01:00:00Z","k":"2001-01-01","v":1.5},\n{"t":"2001-01-01T01:00:00Z","k":"2001-01-01","v":2, "more":[1]}]',
    )
    expect(
      await computeDays(bench, groupOn(sourceAt(path), { mean: mean('v', { over: '1d' }) })),
    ).toMatchObject([{ k: '2001-01-01', mean: 1.75 }])
    expect(await inputError(bound(sourceAt(await bench.write('broken.json', '{"t": '))))).toMatch(
      /broken\.json cannot be read as json/,
    )
  })
})
