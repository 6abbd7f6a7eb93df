/** The table of changes over published intervals: the verdict, what `asof plan` prints, what a backfill then does. */
import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { DuckDBInstance } from '@duckdb/node-api'
import { beforeAll, describe, expect, test } from 'vitest'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { readJsonFile, type RunPlan } from '../../activities/runFiles.ts'
import {
  collectDefinitions,
  durationMs,
  intervalCount,
  type FeatureGroup,
  type FeatureService,
} from '../../model/index.ts'
import { changeKinds } from '../../registry/changes.ts'
import { definitionJson, serviceJson, type JsonFields } from '../../registry/definition.ts'
import type { ChangeVerdict } from '../../registry/index.ts'
import { planText } from '../../scripts/commands/plan.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { joined, maps, queries, served, sums, texts } from '../fixtures/changeBases.ts'
import {
  changeCases,
  constantFields,
  refusedByWorker,
  type Backfill,
  type ChangeCase,
} from '../fixtures/changeCases.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('change-table')
const [home, pristine] = [join(folder, 'home'), join(folder, 'pristine')]
const range = { from: '2024-01-02T00:00:00Z', to: '2024-01-02T04:00:00Z' }
const reason = 'it was computed wrongly'
const nobody = join(folder, 'nothing.ts')

const files = {
  ORDERS_PATH: 'orders.parquet',
  OTHER_PATH: 'other.parquet',
  NARROW_PATH: 'narrow.parquet',
  CSV_PATH: 'orders.csv',
}

async function withStore<T>(
  defined: readonly (FeatureGroup | FeatureService)[],
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const paths = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(folder, file)]))
  const config = readConfig(
    {
      ...{ ASOF_HOME: home, ASOF_FEATURES: nobody, ASOF_CLOCK: '2024-01-02T06:30:00Z' },
      ...{ ASOF_MEMORY_LIMIT: '500MB', ASOF_THREADS: '2', ...paths },
    },
    folder,
  )
  const store = await openStore(config)
  try {
    return await use({ ...store, definitions: collectDefinitions({ defined }) })
  } finally {
    await store.close()
  }
}

async function writeEvents(): Promise<void> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
  const connection = await instance.connect()
  const events = `SELECT TIMESTAMP '2024-01-01 20:00:00' + to_seconds(n * 97) AS "at", "at" + INTERVAL 1 MINUTE AS entered,
      "at" + INTERVAL 2 MINUTE AS arrived, ['at', 'de'][1 + n % 2] AS country, CAST(n % 3 AS BIGINT) AS shop,
      CAST(n % 7 AS INTEGER) AS items, (n * 37 % 200 - 50)::DOUBLE AS price FROM range(400) AS numbers(n)`
  try {
    for (const file of [files.ORDERS_PATH, files.OTHER_PATH])
      await connection.run(`COPY (${events}) TO '${join(folder, file)}' (FORMAT parquet)`)
    await connection.run(
      `COPY (SELECT * REPLACE (shop::INTEGER AS shop) FROM (${events})) TO '${join(folder, files.NARROW_PATH)}' (FORMAT parquet)`,
    )
    await connection.run(`COPY (${events}) TO '${join(folder, files.CSV_PATH)}' (FORMAT csv, HEADER)`)
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

/** What the workflow `backfill` does, step by step, without a server. */
async function publish(store: Store, group: string): Promise<void> {
  const steps = createActivities(store)
  const run = await steps.planBackfill({ group, ...range, runId: `first-${group}`, workflowId: 'first' })
  for (let chunk = 0; chunk < run.chunks; chunk++) await steps.computeChunk({ ...run, chunk })
  const staged = await steps.stageRun(run)
  expect(await steps.judgeRun({ ...run, staged })).toMatchObject({ verdict: 'pass' })
  const published = await steps.publishRun({ ...run, staged })
  await steps.materializeGroup({ group })
  await steps.recordRun({ ...run, outcome: 'published', published })
}

beforeAll(async () => {
  writeFileSync(nobody, 'export {}')
  await writeEvents()
  const groups = [sums(), texts(), joined(), queries(), await maps(folder)]
  await withStore([...groups, served()], async (store) => {
    await applyRegistration(store, await planRegistration(store))
    for (const { id } of groups) await publish(store, id)
  })
  cpSync(home, pristine, { recursive: true })
})

const message = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** What a backfill of the published range does now. */
async function attempted(store: Store, group: string): Promise<string> {
  const steps = createActivities(store)
  try {
    const run = await steps.planBackfill({ group, ...range, runId: 'second', workflowId: 'second' })
    if (run.intervals === 0) return 'nothing missing'
    const { filled } = await readJsonFile<RunPlan>(store.fileIO, run.planPath)
    const fills = filled.reduce((sum, one) => sum + intervalCount(one, durationMs('1h')), 0)
    return fills === 0 ? `computes ${run.intervals}` : `fills ${fills}`
  } catch (error) {
    return message(error)
  }
}

interface Outcome {
  readonly verdict: string
  readonly lines: string[]
  readonly refusal: string | null
  readonly backfill: string
}

let isTouched = true
/** The store as it was when all was published, its folder in its own place, for tables know where they lie. */
function restore(): void {
  if (isTouched) {
    rmSync(home, { recursive: true })
    cpSync(pristine, home, { recursive: true })
  }
  isTouched = false
}

async function outcomeOf(after: FeatureGroup | FeatureService): Promise<Outcome> {
  restore()
  const isGroup = after.kind === 'feature_group'
  return withStore(isGroup ? [after] : [sums(), after], async (store) => {
    const plan = await planRegistration(store)
    const text = stripVTControlCharacters(planText(plan)).split('\n')
    const head = text.findIndex((line) => line.includes(isGroup ? after.id : `service ${after.name}`))
    const [verdict = ''] = (text[head] ?? '').split(' ')
    const lines = text.slice(head + 1).map((line) => line.trim())
    const refusal = await applyRegistration(store, plan).then(() => null, message)
    const backfill = await attempted(store, isGroup ? after.id : 'sums_v1')
    // What is refused twice has written nothing; the tests after it would tell.
    isTouched = refusal === null || !refusedByWorker.test(backfill)
    return { verdict, lines, refusal, backfill }
  })
}

/** What `asof plan` says behind the differences themselves. */
function consequences(
  verdict: ChangeVerdict,
  after: FeatureGroup | FeatureService,
  one: ChangeCase,
): string[] {
  if (after.kind === 'feature_service') return []
  const { id, version } = after
  const cure =
    one.fixed === undefined
      ? ''
      : " Where the meaning is the same and was computed wrongly, say so with fix: '<what was wrong>'."
  const lines = {
    ...{ new: null, unchanged: null, cosmetic: null },
    additive: 'is filled into 4 published intervals, whose rows keep their versions',
    fix: 'makes 4 published intervals missing: they are computed again',
    breaking: `${id} has published results that this would change. Define it as version ${version + 1}; ${id} stays as it is.${cure}`,
  }
  const line = lines[verdict]
  return line === null ? [] : [line]
}

function touched({ touches }: ChangeCase): string[] {
  return [
    ...(touches === 'both' ? ['touches gates null_rate(orders)'] : []),
    ...(touches === undefined ? [] : ['touches feature services model']),
  ]
}

async function check(one: ChangeCase, verdict: ChangeVerdict, backfill: Backfill, fix: string | null) {
  const after = await one.after(fix === null ? {} : { fix }, folder)
  const says = [...(fix === null ? [] : [`fix was null and is "${fix}" now.`]), ...one.says]
  const behind = consequences(verdict, after, one)
  const outcome = await outcomeOf(after)
  expect(outcome).toEqual({
    verdict,
    lines: [...says, ...behind, ...touched(one)],
    refusal: verdict === 'breaking' ? [...says, ...behind].join(' ') : null,
    backfill: typeof backfill === 'string' ? backfill : (expect.stringMatching(backfill) as string),
  })
}

describe('a change of', () => {
  for (const one of changeCases) {
    const title = `${one.fields.join(' and ')}${one.what && `, ${one.what}`}`
    test(`${title}: ${one.verdict}, ${String(one.backfill)}`, () =>
      check(one, one.verdict, one.backfill, null))
    const { fixed } = one
    if (fixed !== undefined)
      test(`${title}, said to be a fix: ${String(fixed)}`, () => check(one, 'fix', fixed, reason))
  }
})

test('every field of the table has a case, or is one that no definition can change', () => {
  const fields = Object.entries(changeKinds).flatMap(([thing, kinds]) =>
    Object.keys(kinds).map((field) => `${thing}.${field}`),
  )
  const covered = [...changeCases.flatMap((one) => one.fields), ...constantFields]
  expect([...new Set(covered)].sort()).toEqual(fields.sort())
  // A definition's constructor alone says what kind of thing it makes, and the registry does not keep it.
  const { entity, sources, ...group } = definitionJson(sums())
  const kept: readonly unknown[] = [entity, (sources as JsonFields)['orders'], group, serviceJson(served())]
  for (const thing of kept) expect(thing).not.toHaveProperty('kind')
})

test('each kind of change has a case, and no two cases are one', () => {
  const verdicts = new Set(changeCases.map(({ verdict }) => verdict))
  expect([...verdicts].sort()).toEqual(['additive', 'breaking', 'cosmetic', 'fix', 'new', 'unchanged'])
  const titles = changeCases.map(({ fields, what }) => `${fields.join()} ${what}`)
  expect(new Set(titles).size).toBe(titles.length)
})
