/** Reading over HTTP: the reader's process, as users run it, against a hand-written one over the same Redis. */
import {
  measured,
  measuredFigure,
  median,
  type FigureRow,
  type Measured,
  type MeasuredFigure,
  type Row,
  type Turn,
} from './measure.ts'
import { runOpenLoop } from './openLoad.ts'
import { refuseDifferentAnswers } from './sameAnswers.ts'
import { askingOf, firstStranger, inServedWorld, json, messagePack, type ServedWorld } from './servedWorld.ts'
import type { Subject } from './subject.ts'
import { capacityOf, type Asking } from './wrk.ts'

/** Short and many: others use the machine, too. */
const [turns, secondsATurn] = [9, 2]
const [openLoopTurns, openLoopSeconds] = [3, 10]

const byHand = 'fastify, ioredis with auto-pipelining and msgpackr'

const oneEntity: Row = {
  what: 'read one entity of ten doubles over HTTP from Redis, no cache',
  floor: byHand,
  goal: { atLeast: 0.9 },
}
const oneHotEntity: Row = {
  what: 'read one of a hundred hot entities over HTTP, kept exact in memory by tracking',
  floor: byHand,
  goal: { atLeast: 1 },
}
const hundredAsJson: Row = {
  what: 'read 100 entities over HTTP from Redis, JSON',
  floor: byHand,
  goal: { atLeast: 1 },
}
const hundredAsMessagePack: Row = {
  what: 'read 100 entities over HTTP from Redis, MessagePack',
  floor: `${byHand}, in JSON`,
  goal: { atLeast: 2 },
}
const slowest: FigureRow = {
  what: 'read 100 entities over HTTP from Redis, JSON: p99 at half of the capacity, open loop',
  unit: 'ms',
  goal: { below: 10 },
}

export const reader: Subject = {
  rows: [oneEntity, oneHotEntity, hundredAsJson, hundredAsMessagePack, slowest],
  measure: (bench) =>
    inServedWorld(bench, async (world) => {
      await refuseDifferentAnswers(
        askingOf(world, world.ours, 1),
        askingOf(world, world.floor, 1),
        firstStranger,
      )
      await refuseDifferentAnswers(
        askingOf(world, world.ours, 1, messagePack),
        askingOf(world, world.floor, 1),
        firstStranger,
      )
      const hundred = await besideTheFloor(world, hundredAsJson, 100, json)
      return [
        await besideTheFloor(world, oneEntity, 1, json),
        await besideTheFloor({ ...world, ids: world.hotIds, ours: world.cached }, oneHotEntity, 1, json),
        hundred,
        await besideTheFloor(world, hundredAsMessagePack, 100, messagePack),
        await atHalf(world, hundred.figures.ours),
      ]
    }),
}

async function besideTheFloor(
  world: ServedWorld,
  row: Row,
  entities: number,
  accept: string,
): Promise<Measured> {
  const ours = askingOf(world, world.ours, entities, accept)
  return measured(row, 'requests/s', await takeTurns(world.wrk, ours, askingOf(world, world.floor, entities)))
}

/** The two sides of a turn are asked the same; a turn of each does not count. */
export async function takeTurns(wrk: string, ours: Asking, floor: Asking): Promise<Turn[]> {
  const taken: Turn[] = []
  for (let turn = -1; turn < turns; turn++) {
    const capacity = (asking: Asking) => capacityOf(wrk, asking, secondsATurn, turn + 2)
    const both = { floor: await capacity(floor), ours: await capacity(ours) }
    if (turn >= 0) taken.push(both)
  }
  return taken
}

async function atHalf(world: ServedWorld, capacity: number): Promise<MeasuredFigure> {
  const requestsPerSecond = Math.round(capacity / 2)
  const asking = askingOf(world, world.ours, 100)
  const taken = []
  for (let turn = 0; turn < openLoopTurns; turn++) {
    taken.push(await runOpenLoop({ ...asking, requestsPerSecond, seconds: openLoopSeconds }))
  }
  const p50 = median(taken.map(({ p50Ms }) => p50Ms)).toFixed(2)
  return measuredFigure(
    slowest,
    taken.map(({ p99Ms }) => p99Ms),
    `p50 ${p50} ms at ${requestsPerSecond} requests/s`,
  )
}
