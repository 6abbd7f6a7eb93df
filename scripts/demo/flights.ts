/** The demo's source: vega-datasets' three million flights, laid out as a folder with a file a day. */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { quoteLiteral } from '../../iceberg/index.ts'
import { InputError } from '../../model/index.ts'
import { query, type DuckDb } from '../../offline/index.ts'

export const flightsFolder = (home: string) => join(home, 'flights')
export const dayFile = (home: string, day: string) => join(flightsFolder(home), `flights-${day}.parquet`)

/** Lays the folder out once; a later run finds it. Returns how many files and rows there are. */
export async function layOutFlights(duckdb: DuckDb, home: string): Promise<{ files: number; rows: number }> {
  const folder = flightsFolder(home)
  restoreDay(home)
  const connection = await duckdb.connect()
  try {
    if (!existsSync(folder)) {
      const partial = `${folder}.partial`
      rmSync(partial, { recursive: true, force: true })
      mkdirSync(partial, { recursive: true })
      // One file a day: beyond 100 open files DuckDB would close some and begin others for the same day.
      await connection.run('SET partitioned_write_max_open_files = 1000')
      await connection.run(
        `COPY (SELECT *, CAST(date AS DATE) AS day FROM read_parquet(${quoteLiteral(originalFile())}))
         TO ${quoteLiteral(partial)} (FORMAT parquet, PARTITION_BY (day), OVERWRITE_OR_IGNORE)`,
      )
      flatten(partial)
      renameSync(partial, folder)
    }
    const [counted] = await query(
      connection,
      `SELECT count(*) AS rows FROM read_parquet(${quoteLiteral(join(folder, '*.parquet'))})`,
    )
    return { files: readdirSync(folder).length, rows: Number(counted?.['rows']) }
  } finally {
    connection.closeSync()
  }
}

/** `day=2001-01-08/data_0.parquet` becomes `flights-2001-01-08.parquet`; several pieces of a day keep a number. */
function flatten(folder: string): void {
  for (const partition of readdirSync(folder)) {
    const day = partition.replace('day=', '')
    readdirSync(join(folder, partition)).forEach((piece, at) => {
      const name = at === 0 ? `flights-${day}.parquet` : `flights-${day}-${at}.parquet`
      renameSync(join(folder, partition, piece), join(folder, name))
    })
    rmSync(join(folder, partition), { recursive: true })
  }
}

/** The package exports its code only, so its data are looked for where Node would look for the package. */
function originalFile(): string {
  const folders = createRequire(import.meta.url).resolve.paths('vega-datasets') ?? []
  const files = folders.map((folder) => join(folder, 'vega-datasets', 'data', 'flights-3m.parquet'))
  const file = files.find((path) => existsSync(path))
  if (file !== undefined) return file
  throw new InputError(
    'The demo needs the npm package vega-datasets. In a clone of Asof `npm run demo` installs it; elsewhere: npm install vega-datasets.',
  )
}

const keptAsidePattern = /^kept-aside-(\d{4}-\d{2}-\d{2})\.parquet$/

/** Swaps a day's file for a copy whose delays are in seconds, as if somebody had changed a unit upstream. */
export async function ruinDay(duckdb: DuckDb, home: string, day: string): Promise<void> {
  const file = dayFile(home, day)
  const ruined = join(home, 'ruined.parquet')
  const connection = await duckdb.connect()
  try {
    await connection.run(
      `COPY (SELECT * REPLACE (delay * 60 AS delay) FROM read_parquet(${quoteLiteral(file)})) TO ${quoteLiteral(ruined)} (FORMAT parquet)`,
    )
  } finally {
    connection.closeSync()
  }
  renameSync(file, join(home, `kept-aside-${day}.parquet`))
  renameSync(ruined, file)
}

/** Puts a day's own file back; also after a demo that was stopped half way. Returns whether there was one. */
export function restoreDay(home: string): boolean {
  const [kept] = readdirSync(home).flatMap((name) => keptAsidePattern.exec(name) ?? [])
  const day = kept === undefined ? undefined : keptAsidePattern.exec(kept)?.[1]
  if (kept === undefined || day === undefined) return false
  renameSync(join(home, kept), dayFile(home, day))
  return true
}
