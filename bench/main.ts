/**
 * `npm run bench`: every row against its floor, as a table on the terminal and with `--json` as JSON.
 * `npm run bench -- <part of a name>` measures only the rows whose names have it; `--peers` adds rows beside other stores.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDuckDb } from '../offline/index.ts'
import { flightsFolder, layOutFlights } from '../scripts/demo/flights.ts'
import { print, say, table } from '../scripts/output.ts'
import { hourlyBackfill } from './backfill.ts'
import { materialize } from './materialize.ts'
import { materializeRedis, materializeRedisMemory } from './materializeRedis.ts'
import type { Goal, Measured, Row } from './measure.ts'
import { workerMemory } from './memory.ts'
import { feastTrainingSet } from './peers/feast.ts'
import { planning } from './planScan.ts'
import { duckdbLimits, type Bench, type Subject } from './subject.ts'
import { largeTrainingSet, trainingSet } from './training.ts'
import { wholeWorkflow } from './workflow.ts'

const own: readonly Subject[] = [
  hourlyBackfill,
  wholeWorkflow,
  materialize,
  materializeRedis,
  materializeRedisMemory,
  planning,
  workerMemory,
  trainingSet,
  largeTrainingSet,
]
const subjects = process.argv.includes('--peers') ? [...own, feastTrainingSet] : own

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const isWanted = ({ what }: Row) =>
  wanted.length === 0 || wanted.some((part) => what.toLowerCase().includes(part.toLowerCase()))

async function measureWanted(): Promise<Measured[]> {
  const folder = mkdtempSync(join(tmpdir(), 'asof-bench-'))
  const duckdb = await openDuckDb({ ...duckdbLimits, tempDirectory: join(folder, 'spill') })
  const flights = async () => {
    await layOutFlights(duckdb, folder)
    return flightsFolder(folder)
  }
  const all: Measured[] = []
  try {
    for (const subject of subjects) {
      const rows = subject.rows.filter(isWanted)
      if (rows.length === 0) continue
      rows.forEach(({ what }) => say(what))
      const scratch = join(folder, 'scratch')
      mkdirSync(scratch)
      const bench: Bench = { scratch, duckdb, flights }
      all.push(...(await subject.measure(bench)).filter(isWanted))
      rmSync(scratch, { recursive: true })
    }
  } finally {
    await duckdb.close()
    rmSync(folder, { recursive: true, force: true })
  }
  return all
}

const number = (value: number) => value.toFixed(2)
const goalText = (goal: Goal) => ('below' in goal ? `below ${goal.below}` : `at most ${goal.atMost}`)

const measured = await measureWanted()
const text = table(
  ['what', 'floor', 'turns', 'ratio (min, median, max)', 'goal', 'ours, floor'],
  measured.map(({ what, floor, turns, ratio, goal, figures }) => [
    what,
    floor,
    String(turns),
    [ratio.min, ratio.median, ratio.max].map(number).join(', '),
    goalText(goal),
    `${number(figures.ours)}, ${number(figures.floor)} ${figures.unit}`,
  ]),
)
print(process.argv.includes('--json') ? 'json' : 'text', measured, text)
