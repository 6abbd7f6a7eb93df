import { expect, test } from 'vitest'
import { InputError, queryGate } from '../../model/index.ts'
import { bindQueryGates } from '../../quality/bindQueryGates.ts'
import { contextOf, gateBench, relation } from './bench.ts'

const { judge, judgeIn, query } = gateBench()

test('passes where no row comes out', async () => {
  expect(await judge(queryGate('none_below', 'SELECT * FROM staged WHERE value < 0'), ['1'])).toMatchObject({
    name: 'query(none_below)',
    verdict: 'pass',
    sentence: 'query(none_below): the query found no row.',
    figures: { violations: 0 },
  })
})

test('blocks or warns with the rows that come out, as text, whatever their columns', async () => {
  const sql = `WITH low AS (SELECT * FROM staged WHERE value < 0)
    SELECT origin, value * 2 AS "twice; as much", [1, 2] AS list, NULL AS nothing FROM low ORDER BY value -- the lowest`
  const report = await judge(queryGate('none_below', sql), ['1', '-1', '-2'])
  expect(report).toMatchObject({
    verdict: 'block',
    violationCount: 2,
    sentence: 'query(none_below): the query found 2 rows.',
  })
  expect(report.violations).toEqual([
    { origin: 'k001', 'twice; as much': '-2.0', list: '[1, 2]', nothing: null },
    { origin: 'k002', 'twice; as much': '-4.0', list: '[1, 2]', nothing: null },
  ])
  const warning = queryGate('all', 'FROM staged', { onViolation: 'warn' })
  expect((await judge(warning, ['1', '2'])).verdict).toBe('warn')
})

test('compares with what was published, as far back as it says', async () => {
  const gate = queryGate(
    'no_halving',
    `SELECT origin, staged.value AS now, published.value AS before
     FROM staged JOIN published USING (origin) WHERE staged.value < published.value / 2`,
    { last: 3 },
  )
  const context = contextOf(relation(['10', '4', '7']), {
    published: (last) => ({ relation: relation(['10', '10', '10'].slice(0, last)), intervals: last }),
  })
  expect(await judgeIn(gate, context)).toMatchObject({
    violationCount: 1,
    violations: [{ origin: 'k001', now: '4.0', before: '10.0' }],
  })
  expect(await judgeIn(gate, contextOf(relation(['4'])))).toMatchObject({ verdict: 'pass' })
})

test('is bound at registration: what does not fit the table is refused in the name of the gate', async () => {
  const group = (sql: string) => ({ id: 'readings_v1', gates: [queryGate('mine', sql)] })
  const empty = relation([])
  await bindQueryGates(group('SELECT origin FROM staged JOIN published USING (origin)'), empty, query)
  await expect(bindQueryGates(group('SELECT nobody FROM staged'), empty, query)).rejects.toThrow(
    /^feature group readings_v1: gate query\(mine\): its query does not fit the table\. .*nobody/s,
  )
  for (const sql of ['SELECT 1 FROM elsewhere', 'SELECT 1); DROP TABLE staged; SELECT (1']) {
    await expect(bindQueryGates(group(sql), empty, query), sql).rejects.toThrow(InputError)
  }
})
