/** Text sources that declare the types of their columns: each value must be one, as it is written. */
import { describe, expect, test } from 'vitest'
import {
  count,
  csv,
  json,
  max,
  min,
  parquet,
  sum,
  type ColumnType,
  type FileSource,
} from '../../model/index.ts'
import { bindGroup, bindSource } from '../../offline/index.ts'
import { computeDays, filesOf, groupOn, inputError, workbench } from './workbench.ts'

const bench = workbench()
const kinds = { csv, json }
const formats = ['csv', 'json'] as const
const over = '1d' as const
let written = 0

/** One event for each value of `v`, written as it stands; `null` is left out. */
async function declared(
  format: (typeof formats)[number],
  values: readonly (string | null)[],
  type: ColumnType,
): Promise<FileSource> {
  const t = '2001-01-01T01:00:00Z'
  const text =
    format === 'csv'
      ? ['t,k,v', ...values.map((v) => `${t},007,${v === null ? '' : v.replaceAll('"', '')}`)]
      : values.map((v) => `{"t":"${t}","k":"007"${v === null ? '' : `,"v":${v}`}}`)
  const path = await bench.write(`declared-${(written += 1)}.${format}`, text.join('\n'))
  return kinds[format]({ name: 'events', path, timestamp: 't', columns: { v: type, k: 'string' } })
}

describe.each(formats)('%s', (format) => {
  test.each([
    ['float64', ['1', '2', null], { least: 1, most: 2 }, 'DOUBLE'],
    ['float32', ['0.1', '2'], { least: Math.fround(0.1), most: 2 }, 'FLOAT'],
    ['int64', ['9007199254740993', '-1'], { least: -1n, most: 9007199254740993n }, 'BIGINT'],
    ['int32', ['1', '2'], { least: 1, most: 2 }, 'INTEGER'],
    ['boolean', ['true', 'false'], { least: false, most: true }, 'BOOLEAN'],
    ['string', ['"10"', '"9"'], { least: '10', most: '9' }, 'VARCHAR'],
  ] as const)('%s', async (type, values, expected, duckdbType) => {
    const source = await declared(format, values, type)
    const relation = await bindSource(bench.connection, source, await filesOf(source))
    expect(relation.columns.find(({ name }) => name === 'v')?.type).toBe(duckdbType)
    const group = groupOn(source, {
      least: min('v', { over }),
      most: max('v', { over }),
      rows: count({ over }),
    })
    expect(await computeDays(bench, group)).toMatchObject([
      { k: '007', ...expected, rows: BigInt(values.length) },
    ])
  })

  test.each([
    ['int64', ['1', '1.5', '2.5'], /column v is declared as int64, but 2 values are not, such as '1\.5'/],
    [
      'int32',
      ['1', '3000000000'],
      /column v is declared as int32, but 1 values are not, such as '3000000000'/,
    ],
    ['float64', ['1', '"n/a"'], /column v is declared as float64, but 1 values are not, such as 'n\/a'/],
    ['boolean', ['true', '1'], /column v is declared as boolean, but 1 values are not, such as '1'/],
  ] as const)('%s of something else is refused', async (type, values, sentence) => {
    const source = await declared(format, values, type)
    const bound = bindGroup(bench.connection, groupOn(source), await filesOf(source))
    expect(await inputError(bound)).toMatch(sentence)
  })

  test('a column without values has a type all the same', async () => {
    const source = await declared(format, [null, null], 'float64')
    const rows = await computeDays(bench, groupOn(source, { total: sum('v', { over }) }))
    expect(rows).toMatchObject([{ total: null }])
  })
})

test('a declared column that a CSV does not have is named', async () => {
  const source: FileSource = { ...(await declared('csv', ['1'], 'int64')), columns: { price: 'float64' } }
  expect(await inputError(bindSource(bench.connection, source, await filesOf(source)))).toMatch(
    /source events: columns: there is no column "price"\. The columns are t, k, v/,
  )
})

test('columns of times and of Parquet are not declared', () => {
  const columns = { t: 'string' } as const
  expect(() => csv({ name: 'events', path: 'x', timestamp: 't', columns })).toThrow(
    /columns: t is an instant already\. Leave it out/,
  )
  const parquetWithColumns: object = { name: 'events', path: 'x', timestamp: 'at', columns }
  expect(() => parquet(parquetWithColumns as Parameters<typeof parquet>[0])).toThrow(
    /Parquet says the types of its columns itself/,
  )
})
