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
import type { Goal, Measured, MeasuredFigure, Spread } from './measure.ts'
import { workerMemory } from './memory.ts'
import { feastReader } from './peers/feastReader.ts'
import { feastTrainingSet } from './peers/feastTrainingSet.ts'
import { planning } from './planScan.ts'
import { preJoined } from './preJoined.ts'
import { reader } from './reader.ts'
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
  reader,
  preJoined,
]
const subjects = process.argv.includes('--peers') ? [...own, feastTrainingSet, feastReader] : own

const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))
const isWanted = ({ what }: { what: string }) =>
  wanted.length === 0 || wanted.some((part) => what.toLowerCase().includes(part.toLowerCase()))

async function measureWanted(): Promise<(Measured | MeasuredFigure)[]> {
  const folder = mkdtempSync(join(tmpdir(), 'asof-bench-'))
  const duckdb = await openDuckDb({ ...duckdbLimits, tempDirectory: join(folder, 'spill') })
  const flights = async () => {
    await layOutFlights(duckdb, folder)
    return flightsFolder(folder)
  }
  const all: (Measured | MeasuredFigure)[] = []
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
const spreadText = ({ min, median, max }: Spread) => [min, median, max].map(number).join(', ')

function goalText(goal: Goal): string {
  if ('below' in goal) return `below ${goal.below}`
  return 'atMost' in goal ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`
}

function cells(one: Measured | MeasuredFigure): string[] {
  const { what, turns, goal } = one
  if ('figure' in one) {
    const { figure, unit, beside } = one
    return [what, '', String(turns), `${spreadText(figure)} ${unit}`, `${goalText(goal)} ${unit}`, beside]
  }
  const { floor, ratio, figures } = one
  const both = `${number(figures.ours)}, ${number(figures.floor)} ${figures.unit}`
  return [what, floor, String(turns), spreadText(ratio), goalText(goal), both]
}

const measured = await measureWanted()
const heads = ['what', 'floor', 'turns', 'ratio (min, median, max)', 'goal', 'ours, floor']
const text = table(heads, measured.map(cells))
print(process.argv.includes('--json') ? 'json' : 'text', measured, text)
