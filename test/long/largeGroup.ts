/** A process of its own that computes, writes and reads the winners of a large group, and says how much memory it took. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { icebergSchema, readDataFiles, writeDataFiles } from '../../iceberg/index.ts'
import { count, entity, featureGroup, max, mean, parquet, tableColumns } from '../../model/index.ts'
import {
  bindGroup,
  bindSource,
  computeRange,
  listSourceFiles,
  openDuckDb,
  planChunks,
  query,
} from '../../offline/index.ts'
import { icebergType } from '../../activities/groupTable.ts'

const [folder = '', days = '30'] = process.argv.slice(2)
const eventsPerDay = 400_000
const entities = 50_000
const dayMs = 864e5
const start = Date.parse('2024-01-01T00:00:00Z')
const events = join(folder, 'events')
mkdirSync(events, { recursive: true })

const duckdb = await openDuckDb({ memoryLimit: '400MB', threads: 2, tempDirectory: join(folder, 'spill') })
const connection = await duckdb.connect()
for (let day = 0; day < Number(days); day++) {
  await query(
    connection,
    `COPY (SELECT make_timestamptz(${(start + day * dayMs) * 1000} + n * ${(dayMs * 1000) / eventsPerDay}) AS at,
             CAST(hash(n, ${day}) % ${entities} AS BIGINT) AS id, CAST(hash(n) % 1000 AS DOUBLE) / 8 AS value
           FROM range(${eventsPerDay}) AS numbers(n)) TO '${join(events, `${day}.parquet`)}' (FORMAT parquet)`,
  )
}

const source = parquet({ name: 'events', path: events, timestamp: 'at' })
const group = featureGroup({
  name: 'large',
  version: 1,
  owner: 'test',
  description: 'A group that is larger than what DuckDB may hold',
  entity: entity({ name: 'thing', keys: { id: 'int64' } }),
  source,
  every: '6h',
  features: {
    events_7d: count({ over: '7d' }),
    mean_7d: mean('value', { over: '7d' }),
    max_1d: max('value', { over: '1d' }),
  },
})
const files = await listSourceFiles(source, events)
const bound = await bindGroup(connection, group, files)
const relation = await bindSource(connection, source, files)
const schema = icebergSchema(
  tableColumns(bound).map((column) => ({ ...column, type: icebergType(column.type) })),
)
const range = { from: start + 7 * dayMs, to: start + Number(days) * dayMs }
let rows = 0
for (const [index, chunk] of planChunks([range], dayMs / 4, 7 * dayMs, { targetMs: 7 * dayMs }).entries()) {
  const job = await duckdb.connect()
  rows += (await computeRange(job, { bound, relation, range: chunk, runId: 'large', into: 'chunk' })).rows
  const written = await writeDataFiles(job, {
    schema,
    spec: { 'spec-id': 0, fields: [{ 'source-id': 2, 'field-id': 1000, name: 'day', transform: 'day' }] },
    relation: 'chunk',
    orderBy: ['id', 'event_timestamp'],
    directory: `file://${join(folder, 'data', String(index))}`,
    localPath: (location) => location.replace('file://', ''),
  })
  const localPath = (location: string) => location.replace('file://', '')
  await query(
    job,
    `SELECT id, arg_max(mean_7d, event_timestamp) FROM ${readDataFiles({ schema, files: written, localPath })} GROUP BY id LIMIT 1`,
  )
  job.closeSync()
}
connection.closeSync()
await duckdb.close()
rmSync(folder, { recursive: true, force: true })
process.stdout.write(
  JSON.stringify({ rows, peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024) }),
)
