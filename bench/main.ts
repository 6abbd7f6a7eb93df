/** `npm run bench`: every row against its floor, as a table on the terminal and with `--json` as JSON. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDuckDb } from '../offline/index.ts'
import { layOutFlights, flightsFolder } from '../scripts/demo/flights.ts'
import { print, say, table } from '../scripts/output.ts'
import { hourlyBackfill } from './backfill.ts'
import { measure, type Measured } from './measure.ts'

const turns = 7
const scratch = mkdtempSync(join(tmpdir(), 'asof-bench-'))
const duckdb = await openDuckDb({ memoryLimit: '2GB', threads: 2, tempDirectory: join(scratch, 'spill') })
try {
  await layOutFlights(duckdb, scratch)
  const measured: Measured[] = []
  for (const prepare of [hourlyBackfill]) {
    const pair = await prepare(duckdb, flightsFolder(scratch), scratch)
    say(`${pair.what}: ${turns} turns each`)
    measured.push(await measure(pair, turns))
  }
  const number = (value: number) => value.toFixed(2)
  const text = table(
    ['what', 'floor', 'ratio (min, median, max)', 'goal', 'seconds (ours, floor)'],
    measured.map(({ what, floor, ratio, goal, seconds }) => [
      what,
      floor,
      [ratio.min, ratio.median, ratio.max].map(number).join(', '),
      `at most ${goal}`,
      [seconds.ours, seconds.floor].map(number).join(', '),
    ]),
  )
  print(process.argv.includes('--json') ? 'json' : 'text', measured, text)
} finally {
  await duckdb.close()
  rmSync(scratch, { recursive: true, force: true })
}
