/** The summary of a part's columns, against what a query over all rows says of them. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { whatIsIn } from '../../activities/training/partContent.ts'
import { query } from '../../offline/index.ts'
import { workbench } from '../offline/workbench.ts'

const bench = workbench()

/** More than a row group, so that some have no NaN, no value, or the least. */
const rows = 300_000

test('nulls and bounds are those of the values, wherever NaN, zeros with a sign and nulls stand', async () => {
  const path = join(bench.folder, 'part.parquet')
  await query(
    bench.connection,
    `COPY (SELECT
       CASE WHEN i = 5 THEN 'NaN'::DOUBLE WHEN i % 3 = 0 THEN NULL ELSE i / 7.0 END AS "some NaN",
       'NaN'::DOUBLE AS "all NaN",
       CASE WHEN i < 200000 THEN '-0'::DOUBLE ELSE 0.0 END AS zeros,
       CASE WHEN i % 2 = 0 THEN 'inf'::FLOAT ELSE '-inf'::FLOAT END AS infinite,
       CASE WHEN i = 299999 THEN -9007199254740993 ELSE i END AS big,
       NULL::BIGINT AS nothing,
       CASE WHEN i = 250000 THEN 'ÿ' ELSE 'long enough to be cut short in a footer, ' || i END AS said,
       make_timestamptz(i * 1000003) AS moment, i % 2 = 0 AS flag,
       CASE WHEN i % 4 = 0 THEN NULL ELSE [i, i] END AS "a list"
     FROM range(${rows}) AS numbers(i) ORDER BY i)
     TO '${path}' (FORMAT parquet, DICTIONARY_SIZE_LIMIT 0)`,
  )
  const { columns } = await whatIsIn(bench.duckdb, path, rows)
  expect(columns.map(({ name, nulls, min, max }) => [name, nulls, min, max])).toEqual([
    ['some NaN', 100_000, String(1 / 7), '42857.0'],
    ['all NaN', 0, null, null],
    ['zeros', 0, expect.stringMatching(/^-?0\.0$/), expect.stringMatching(/^-?0\.0$/)],
    ['infinite', 0, '-inf', 'inf'],
    ['big', 0, '-9007199254740993', '299998'],
    ['nothing', rows, null, null],
    ['said', 0, 'long enough to be cut short in a footer, 0', 'ÿ'],
    ['moment', 0, '1970-01-01 00:00:00+00', '1970-01-04 11:19:59.899997+00'],
    ['flag', 0, 'false', 'true'],
    ['a list', 75_000, null, null],
  ])
})
