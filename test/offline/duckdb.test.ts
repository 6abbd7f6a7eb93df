import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openDuckDb, type DuckDb } from '../../offline/index.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('duckdb')
let duckdb: DuckDb

beforeAll(async () => {
  duckdb = await openDuckDb({ memoryLimit: '100MB', threads: 1, tempDirectory: join(folder, 'spill') })
})

afterAll(() => duckdb?.close())

test('what may take all of the memory runs one after the other, also behind one that fails', async () => {
  let running = 0
  const ended: number[] = []
  const job = (number: number) => async () => {
    expect(++running).toBe(1)
    await setTimeout(5)
    running--
    ended.push(number)
    if (number === 1) throw new Error('broken')
    return number
  }
  const ends = await Promise.allSettled([0, 1, 2].map((number) => duckdb.alone(job(number))))
  expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(ended).toEqual([0, 1, 2])
  expect(await duckdb.alone(job(3))).toBe(3)
})
