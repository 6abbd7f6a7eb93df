/** Arrival columns beside the windows' oracle: what queries and functions see, arrivals that are missing, and their zones. */
import { describe, expect, test } from 'vitest'
import { count, entity, feature, mapGroup, parquet, queryGroup, type FileSource } from '../../model/index.ts'
import { bindGroup } from '../../offline/index.ts'
import { computeDays, filesOf, groupOn, inputError, workbench } from './workbench.ts'

const bench = workbench()
const thing = entity({ name: 'thing', keys: { k: 'string' } })
const named = { name: 'seen', version: 1, owner: 'o@example.com', description: 'd', entity: thing }

/** Three events of the first day: one in time, one at the very moment at which the day is due, one a microsecond late. */
async function source(
  more: Partial<FileSource> = {},
  last = "'2001-01-02 01:00:00.000001'",
): Promise<FileSource> {
  const path = await bench.writeParquet(
    `arrivals-${last.length}.parquet`,
    `SELECT 'a' AS k, TIMESTAMPTZ '2001-01-01 12:00:00+00' AS t, CAST(unnest(['2001-01-01 12:00:00', '2001-01-02 01:00:00', ${last}]) AS TIMESTAMP) AS came, 'soon' AS note`,
  )
  return parquet({ name: 'events', path, timestamp: 't', timeZone: 'UTC', arrival: 'came', ...more })
}

describe('a row sees what had arrived when its interval was due, at 01:00 on the next day', () => {
  const seen = [2n, 3n]
  const every = { every: '1d', availableAfter: '1h' } as const

  test('aggregates', async () => {
    const group = { ...groupOn(await source(), { events: count({ over: '2d' }) }), ...every }
    expect((await computeDays(bench, group, 2)).map((row) => row['events'])).toEqual(seen)
  })

  test('functions', async () => {
    const group = mapGroup({
      ...{ ...named, ...every, source: await source(), over: '2d', columns: ['came'] },
      features: { events: feature('int64') },
      map: ({ events }) => ({ events: BigInt(events.length) }),
    })
    expect((await computeDays(bench, group, 2)).map((row) => row['events'])).toEqual(seen)
  })

  test('queries', async () => {
    const group = queryGroup({
      ...{ ...named, ...every, sources: [await source()], features: { events: feature('int64') } },
      sql: 'SELECT k, $to AS event_timestamp, count(*) AS events FROM events GROUP BY k',
    })
    expect((await computeDays(bench, group, 2)).map((row) => row['events'])).toEqual(seen)
  })
})

test('an arrival that is null, is no time, is not there or has no zone is refused', async () => {
  const bound = async (one: FileSource) =>
    inputError(bindGroup(bench.connection, groupOn(one), await filesOf(one)))
  expect(await bound(await source({}, 'NULL'))).toBe(
    'source events: 1 events have no time of arrival: column came is null. Remove them or fill in their times.',
  )
  expect(await bound(await source({ arrival: 'note' }))).toMatch(
    /column note has 3 values that are not times, such as 'soon'/,
  )
  expect(await bound(await source({ arrival: 'arrived' }))).toMatch(
    /there is no arrival column "arrived"\. The columns are k, t, came, note/,
  )
  const zoneless = await source()
  expect(await bound({ ...zoneless, timeZone: undefined })).toMatch(
    /column came is TIMESTAMP, without a time zone, and the source names none/,
  )
})
