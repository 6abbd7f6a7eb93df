/** By how much fractions that are added up may vary: whatever the order of events, never by more than is said (rule 8). */
import { expect, test } from 'vitest'
import { mean, parquet, parseInstant, standardDeviation, sum, variance, max } from '../../model/index.ts'
import { bindGroup, bindSources, computeRows, query, toleranceColumn, type Row } from '../../offline/index.ts'
import { filesOf, groupOn, workbench } from './workbench.ts'

const bench = workbench()
const over = '1d' as const
const features = {
  total: sum('v', { over }),
  average: mean('v', { over }),
  spread: variance('v', { over }),
  deviation: standardDeviation('v', { over }),
}
const exact = { whole: sum('n', { over }), greatest: max('v', { over }) }
const names = Object.keys(features)

/** Great numbers that cancel out, and small ones beside them, in an order of their own. */
async function computed(order: number): Promise<Row[]> {
  const path = await bench.writeParquet(
    `tolerance-${order}.parquet`,
    `SELECT TIMESTAMP '2001-01-01' + INTERVAL 1 SECOND * (hash(n, ${order}) % 86400) AS t, CAST(n % 5 AS VARCHAR) AS k, n,
       CASE WHEN n % 3 = 0 THEN 1e12 / (1 + n // 15) WHEN n % 3 = 1 THEN -1e12 / (1 + n // 15) ELSE 1.0 / (1 + n) END AS v
     FROM range(3000) AS numbers(n) ORDER BY hash(n, ${order})`,
  )
  const source = parquet({
    name: 'events',
    path,
    timestamp: 't',
    timeZone: 'UTC',
    completeFrom: '2001-01-01',
  })
  const group = groupOn(source, { ...features, ...exact })
  const files = await filesOf(source)
  const bound = await bindGroup(bench.connection, group, files)
  const relations = await bindSources(bench.connection, group.sources, files)
  const from = parseInstant('2001-01-01')
  await computeRows(bench.connection, {
    ...{ bound, relations, range: { from, to: from + 864e5 }, runId: 'run', into: 'sums' },
    withTolerances: true,
  })
  const rows = await query(bench.connection, 'SELECT * FROM sums ORDER BY k')
  await query(bench.connection, 'DROP TABLE sums')
  return rows
}

test('sums in other orders differ by less than their tolerance, and by more than any share of themselves', async () => {
  const first = await computed(0)
  expect(first).toHaveLength(5)
  let differing = 0
  for (let order = 1; order <= 6; order++) {
    const again = await computed(order)
    for (const [at, row] of again.entries()) {
      for (const name of names) {
        const [left, right] = [Number(first[at]?.[name]), Number(row[name])]
        const apart = Math.abs(left - right)
        expect(apart, name).toBeLessThanOrEqual(Number(row[toleranceColumn(name)]))
        if (apart > 1e-9 * Math.max(Math.abs(left), Math.abs(right))) differing++
      }
      for (const name of Object.keys(exact)) expect(row[name]).toEqual(first[at]?.[name])
    }
  }
  // Without the sums of magnitudes these would have been taken for changes.
  expect(differing).toBeGreaterThan(0)
})

test('what is the same to the bit has no tolerance', async () => {
  const [row] = await computed(0)
  expect(Object.keys(row ?? {}).filter((name) => name.includes(' '))).toEqual(names.map(toleranceColumn))
})
