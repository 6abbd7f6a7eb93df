/**
 * Training sets over ten million feature rows (100,000 entities, a hundred hourly values of ten doubles), workflow included,
 * against one bare ASOF statement: where no row was ever corrected, and where one in a hundred was.
 */
import { withConnection } from '../offline/index.ts'
import { say } from '../scripts/output.ts'
import { ensureTemporal } from '../scripts/tools.mjs'
import { trainingSetFloor } from './floors/trainingSet.ts'
import { keptTrainingSetFloor } from './floors/trainingSetKept.ts'
import { measured, secondsOf, type Row } from './measure.ts'
import type { Bench, Subject } from './subject.ts'
import { inWorld, takeTurns, type Other } from './trainingWorld.ts'

const mostMegabytes = 3_000
const floor = 'one bare ASOF statement of DuckDB by hand, Parquet to Parquet'

const row = (labels: string, rows: string, atMost: number): Row => ({
  what: `training set of ${labels} labels over 10,000,000 rows, ${rows}, the whole workflow`,
  floor,
  goal: { atMost },
})

interface Rows {
  readonly plain: Row
  readonly corrected: Row
  readonly memory: Row
}

const rowsOf = (labels: string): Rows => ({
  plain: row(labels, 'none corrected', 1.3),
  corrected: row(labels, 'one in a hundred corrected', 2.5),
  memory: {
    what: `worker memory over a training set of ${labels} labels, ASOF_MEMORY_LIMIT=2GB`,
    floor: '3 GB',
    goal: { atMost: 1 },
  },
})

export const trainingSet = subjectOf(1_000_000, rowsOf('1,000,000'))

/** What of the distance is what a set promises, and what is ours. */
const kept: Row = {
  what: 'training set of 10,000,000 labels over 10,000,000 rows, none corrected, beside what its hash takes',
  floor: `${floor}, with labels kept, rows in order and a SHA-256 of every column`,
  goal: { atMost: 1.3 },
}

export const largeTrainingSet = subjectOf(10_000_000, rowsOf('10,000,000'), kept)

function subjectOf(labels: number, { plain, corrected, memory }: Rows, beside?: Row): Subject {
  return {
    rows: [plain, corrected, memory, ...(beside === undefined ? [] : [beside])],
    async measure(bench) {
      await ensureTemporal(say)
      return inWorld(bench, labels, async (world) => {
        const [byHand, byHandKept] = [bare(bench, trainingSetFloor), bare(bench, keptTrainingSetFloor)]
        const one = await takeTurns(bench, world, world.plain, byHand)
        const other = await takeTurns(bench, world, world.corrected, byHand)
        const third = beside === undefined ? null : await takeTurns(bench, world, world.plain, byHandKept)
        const peaks = [...one.peaks, ...other.peaks]
        return [
          measured(plain, 's', one.taken),
          measured(corrected, 's', other.taken),
          measured(
            memory,
            'MB',
            peaks.map((peak) => ({ ours: peak, floor: mostMegabytes })),
          ),
          ...(beside === undefined || third === null ? [] : [measured(beside, 's', third.taken)]),
        ]
      })
    },
  }
}

const bare = ({ duckdb }: Bench, floorOf: typeof trainingSetFloor): Other => ({
  seconds: (files) => withConnection(duckdb, (connection) => secondsOf(() => floorOf(connection, files))),
})
