/** Planning a scan of 2,000 data files, against PyIceberg's `plan_files` on the same table. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  encodeBound,
  icebergSchema,
  localFileIO,
  openSqlite,
  planScan,
  sqlCatalog,
  type Catalog,
  type CatalogTables,
  type DataFile,
  type Table,
} from '../iceberg/index.ts'
import { say } from '../scripts/output.ts'
import { ensurePyIceberg, pyIcebergPython } from '../scripts/tools.mjs'
import { measured, secondsOf, type Row, type Turn } from './measure.ts'
import type { Subject } from './subject.ts'

const fileCount = 2_000
const turns = 15
const wanted = 'SFO'

const rows = [
  { what: 'plan a scan of 2,000 files, appended in one commit', commits: 1 },
  { what: 'plan a scan of 2,000 files, appended in 500 commits', commits: 500 },
].map(({ what, commits }) => ({
  commits,
  row: {
    what,
    floor: "PyIceberg's plan_files on the same table, kept open",
    goal: { below: 1 },
  } satisfies Row,
}))

const features = Array.from({ length: 10 }, (_, at) => ({ name: `f${at}`, type: 'double' as const }))
const schema = icebergSchema([
  { name: 'origin', type: 'string', required: true },
  { name: 'event_timestamp', type: 'timestamptz', required: true },
  { name: 'run_id', type: 'string', required: true },
  ...features,
])
const day = { 'source-id': 2, 'field-id': 1000, name: 'event_timestamp_day', transform: 'day' }

export const planning: Subject = {
  rows: rows.map(({ row }) => row),
  async measure({ scratch }) {
    await ensurePyIceberg(say)
    const database = join(scratch, 'catalog.db')
    const warehouse = `file://${join(scratch, 'warehouse')}`
    const db = await openSqlite<CatalogTables>(database)
    const catalog = await sqlCatalog({ name: 'bench', db, fileIO: localFileIO(), warehouse })
    await catalog.createNamespace('bench')
    const python = startPyIceberg(['bench', `sqlite:///${database}`, warehouse])
    try {
      const all = []
      for (const { commits, row } of rows) {
        const name = `files_in_${commits}`
        const table = await makeTable(catalog, name, commits)
        await python.open(`bench.${name}`)
        const taken: Turn[] = []
        await takeTurn(table, python)
        for (let turn = 0; turn < turns; turn++) taken.push(await takeTurn(table, python))
        all.push(measured(row, 's', taken))
      }
      return all
    } finally {
      await python.close()
      await db.destroy()
    }
  },
}

async function takeTurn(table: Table, python: PyIceberg): Promise<Turn> {
  const theirs = await python.plan('origin', wanted)
  let found: readonly DataFile[] = []
  const ours = await secondsOf(async () => {
    found = (await planScan(table, { filter: { column: 'origin', op: 'eq', value: wanted } })).files
  })
  const sorted = (paths: readonly string[]) => [...paths].sort().join('\n')
  if (found.length === 0 || sorted(found.map(({ filePath }) => filePath)) !== sorted(theirs.files)) {
    throw new Error(`We plan ${found.length} files, PyIceberg ${theirs.files.length}, not the same ones.`)
  }
  return { ours, floor: theirs.seconds }
}

/** Two files a day, of which every other one may hold the entity; they are in manifests only, for no plan opens them. */
async function makeTable(catalog: Catalog, name: string, commits: number): Promise<Table> {
  const spec = { 'spec-id': 0, fields: [day] }
  const table = await catalog.createTable({ namespace: 'bench', name }, { schema, spec })
  const perCommit = fileCount / commits
  for (let first = 0; first < fileCount; first += perCommit) {
    const files = Array.from({ length: perCommit }, (_, at) => dataFile(table, first + at))
    await table.append({ ref: 'main', files })
  }
  return table
}

function dataFile(table: Table, number: number): DataFile {
  const day = 19_000 + (number >> 1)
  const start = BigInt(day) * 86_400_000_000n
  const [least, greatest] = number % 2 === 0 ? ['ABE', 'MSY'] : ['MSP', 'YUM']
  const bounds = (origin: string, instant: bigint, double: number) =>
    new Map([
      [1, encodeBound('string', origin)],
      [2, encodeBound('timestamptz', instant)],
      [3, encodeBound('string', 'run')],
      ...features.map((_, at) => [4 + at, encodeBound('double', double + at)] as const),
    ])
  const counts = (count: bigint) => new Map(schema.fields.map(({ id }) => [id, count]))
  return {
    filePath: `${table.location}/data/day=${day}/${String(number).padStart(5, '0')}.parquet`,
    partition: { event_timestamp_day: day },
    specId: 0,
    recordCount: 6_000n,
    fileSizeInBytes: 300_000n,
    columnSizes: counts(20_000n),
    valueCounts: counts(6_000n),
    nullValueCounts: counts(0n),
    nanValueCounts: new Map(features.map((_, at) => [4 + at, 0n])),
    lowerBounds: bounds(least, start, -number),
    upperBounds: bounds(greatest, start + 86_399_999_999n, number),
  }
}

interface PyIceberg {
  open(table: string): Promise<void>
  plan(column: string, value: string): Promise<{ seconds: number; files: string[] }>
  close(): Promise<void>
}

function startPyIceberg(catalog: readonly string[]): PyIceberg {
  const script = fileURLToPath(new URL('floors/planFiles.py', import.meta.url))
  const python = spawn(pyIcebergPython(), ['-I', '-W', 'ignore', script, ...catalog], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => python.once('exit', () => resolve()))
  const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]()
  const ask = async (request: object): Promise<unknown> => {
    python.stdin.write(`${JSON.stringify(request)}\n`)
    const { done, value } = (await lines.next()) as IteratorResult<string, undefined>
    if (done) throw new Error('PyIceberg ended before it answered.')
    return JSON.parse(value)
  }
  return {
    async open(table) {
      await ask({ table })
    },
    plan: async (column, value) =>
      (await ask({ equals: [column, value] })) as { seconds: number; files: string[] },
    async close() {
      python.stdin.end()
      await ended
    },
  }
}
