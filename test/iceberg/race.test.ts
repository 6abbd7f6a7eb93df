/** Processes of their own, committing to one table at the same time. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { planScan } from '../../iceberg/scan.ts'
import type { Snapshot } from '../../iceberg/snapshot.ts'
import { sweepMetadata } from '../../iceberg/sweepMetadata.ts'
import type { Table } from '../../iceberg/table.ts'
import { days, type Meaning } from './mixedCommits.ts'
import { dayFile, manifestsOf, namesOf, openTestCatalog, type TestCatalog } from './testCatalog.ts'

let lake: TestCatalog
let table: Table
beforeEach(async () => {
  lake = await openTestCatalog()
  table = await lake.createTable('t')
})
afterEach(() => lake.close())

/** Lets all of them go once all are ready, and gives back what each says at its end. */
async function race(tasks: readonly (readonly string[])[]): Promise<string[]> {
  const script = join(import.meta.dirname, 'raceProcess.ts')
  const racers = tasks.map((task) => fork(script, [lake.home, ...task], { execArgv: ['--import', 'tsx'] }))
  const message = async (racer: ChildProcess): Promise<string> => {
    const ended = once(racer, 'exit').then(() => ['ended without a word'])
    const [said] = (await Promise.race([once(racer, 'message'), ended])) as [string]
    return said
  }
  try {
    expect(await Promise.all(racers.map(message))).toEqual(racers.map(() => 'ready'))
    const outcomes = racers.map(message)
    racers.forEach((racer) => racer.send('go'))
    return await Promise.all(outcomes)
  } finally {
    racers.forEach((racer) => racer.kill())
  }
}

/** Lost attempts take their files with them, and nothing that is used is gone. */
async function expectNoOrphans(): Promise<void> {
  const used = new Set<string>()
  for (const snapshot of table.snapshots()) {
    used.add(snapshot.manifestList)
    for (const { manifest } of await manifestsOf(table, snapshot)) used.add(manifest.path)
  }
  used.add(table.metadataLocation)
  for (const { 'metadata-file': location } of table.metadata['metadata-log']) used.add(location)
  const there = (await lake.metadataFiles(table)).map((name) => `${table.location}/metadata/${name}`)
  expect(there.sort()).toEqual([...used].sort())
}

const names = ['p0', 'p1', 'p2', 'p3']
const each = 8

test('four processes append to main: every file is there once, every snapshot follows the one before', async () => {
  expect(await race(names.map((name) => [name, 'append', 'main', String(each)]))).toEqual(
    names.map(() => 'done'),
  )
  await table.refresh()
  const expected = names.flatMap((name) => Array.from({ length: each }, (_, at) => `${name}-${at}`))
  expect(namesOf((await planScan(table)).files)).toEqual(expected.sort())
  const line = table.ancestorsOf('main').reverse()
  expect(line.map(({ sequenceNumber }) => Number(sequenceNumber))).toEqual(expected.map((_, at) => at + 1))
  expect(line.at(-1)?.summary['total-records']).toBe(String(10 * expected.length))
  await expectNoOrphans()
})

test('four processes append to a branch each: the numbers are the table’s, the lines their own', async () => {
  const base = await table.append({ ref: 'main', files: [dayFile('base', 1)] })
  expect(await race(names.map((name) => [name, 'append', name, String(each)]))).toEqual(
    names.map(() => 'done'),
  )
  await table.refresh()
  for (const name of names) {
    const { files } = await planScan(table, { ref: name })
    expect(namesOf(files)).toEqual(
      ['base', ...Array.from({ length: each }, (_, at) => `${name}-${at}`)].sort(),
    )
    expect(table.ancestorsOf(name)).toHaveLength(each + 1)
  }
  expect(table.ref('main')).toBe(base.snapshotId)
  const numbers = table.snapshots().map(({ sequenceNumber }) => sequenceNumber)
  expect(new Set(numbers).size).toBe(names.length * each + 1)
  await expectNoOrphans()
})

test('four processes publish: one does, the others are refused because main has moved', async () => {
  await table.append({ ref: 'main', files: [dayFile('base', 1)] })
  const outcomes = await race(names.map((name) => [name, 'publish']))
  expect(outcomes.sort()).toEqual(['published', ...names.slice(1).map(() => 'refused: main')])
  await table.refresh()
  expect(table.ancestorsOf('main')).toHaveLength(2)
  expect(table.refs()).toHaveLength(names.length)
})

/** The files of each day, after a line of snapshots has done to them what it says. */
function replayed(line: readonly Snapshot[]): string[][] {
  let model: Meaning[] = []
  return line.map(({ summary }) => {
    const meaning = JSON.parse(summary['meaning'] ?? '') as Meaning
    const { replaces } = meaning
    const isReplaced = (of: number) => replaces !== null && replaces.first <= of && of <= replaces.last
    model = [...model.filter((there) => !isReplaced(there.day)), meaning]
    return model.map(({ file }) => file).sort()
  })
}

/** Of a table that several processes changed at once. */
async function expectSerialOrder(base: Snapshot, said: readonly string[]): Promise<void> {
  const reports = said.map((text) => JSON.parse(text) as { done: string[]; conflicts: number })
  expect(
    reports.reduce((sum, { conflicts }) => sum + conflicts, 0),
    'nobody was ever second: this was no race',
  ).toBeGreaterThan(0)
  await table.refresh()
  const line = table
    .ancestorsOf('main')
    .reverse()
    .filter(({ snapshotId }) => snapshotId !== base.snapshotId)
  const landed = line.map(({ summary }) => (JSON.parse(summary['meaning'] ?? '') as Meaning).file)
  expect([...landed].sort()).toEqual(reports.flatMap(({ done }) => done).sort())
  for (const [at, expected] of replayed(line).entries()) {
    const snapshotId = line[at]?.snapshotId ?? 0n
    const files = namesOf((await planScan(table, { snapshotId })).files).filter((name) => name !== 'base')
    expect(files, `after ${landed[at]}, commit ${at + 1} of ${line.length}`).toEqual(expected)
  }
  expect(table.refs().map(({ name }) => name)).toEqual(['main'])
}

test.each([2, 4])('%i processes append, replace and publish: one serial order explains it', async (count) => {
  const seed = Number(process.env['ASOF_TEST_SEED'] ?? Date.now() % 100_000)
  console.log(`ASOF_TEST_SEED=${seed}`)
  const base = await table.append({ ref: 'main', files: [dayFile('base', days)] })
  const tasks = names.slice(0, count).map((name, at) => [name, 'mixed', String(seed + at), '12'])
  await expectSerialOrder(base, await race(tasks))
  await table.removeUnreachable()
  await sweepMetadata(table, Date.now() + 1_000)
  await expectNoOrphans()
})
