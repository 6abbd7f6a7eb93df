/**
 * The demo: the whole path on three million real flights, told as it happens.
 *
 * It uses what a user has: the definitions in `features/`, the workflows, the reader. A second run finds everything
 * done and changes nothing.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Client } from '@temporalio/client'
import { applyRegistration, finishedSet, planRegistration } from '../../activities/index.ts'
import { resultOf, startTrainingSet } from '../../client/index.ts'
import { InputError, type FeatureGroup } from '../../model/index.ts'
import { readConfig, type Config } from '../../worker/config.ts'
import { openStore, type Store } from '../../worker/openStore.ts'
import { updateNames } from '../../workflows/names.ts'
import type { GateDecision } from '../../workflows/resolveGate.ts'
import { describeResult } from '../commands/backfill.ts'
import { followRun } from '../followRun.ts'
import { askReader } from '../askReader.ts'
import { describeStack } from '../commands/dev.ts'
import { planText } from '../commands/plan.ts'
import { violationTable } from '../commands/showRun.ts'
import { bold, dim, say, table } from '../output.ts'
import { readStack, startStack, stopStack, type StackFile } from '../stack.ts'
import { connectClient, startBackfill, startFormLink, workflowLink } from '../temporal.ts'
import { compareServed, servedFingerprint, tableFingerprint, type Ask } from './evidence.ts'
import { flightsFolder, layOutFlights, restoreDay, ruinDay } from './flights.ts'
import { Story } from './story.ts'
import { labelCount, trainingEvidence, trainingRequest } from './training.ts'
import { askedFlight, askVector } from './vector.ts'

const demoClock = '2001-07-01T01:00:00Z'
const firstWholeWeek = '2001-01-08'
const lastDay = '2001-07-01'
const ruinedDay = '2001-06-15'
const afterRuinedDay = '2001-06-16'
/** The groups of the story; the example store has others to look at. */
const groupIds = ['airport_delays_v1', 'route_punctuality_v1']

interface Scene {
  readonly story: Story
  readonly config: Config
  readonly store: Store
  readonly stack: StackFile
  readonly client: Client
}

const askOf =
  ({ config, stack }: Scene): Ask =>
  (path) =>
    askReader(config, stack.reader.url, path)

export async function demo(given: Config, keep: boolean): Promise<void> {
  const story = new Story()
  const config = demoConfig(given)
  const store = await openStore(config)
  const wasRunning = readStack(config.home) !== null
  const cleanUp = async () => {
    restoreDay(config.home)
    if (!keep && !wasRunning) await stopStack(config.home)
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void cleanUp().finally(() => process.exit(130)))
  }
  try {
    const stack = await story.tell('The source and the embedded stack', async () => {
      const { rows, files } = await layOutFlights(store.duckdb, config.home)
      story.claim(
        rows === 3_000_000,
        `${rows} flights lie in ${files} files below ${flightsFolder(config.home)}`,
      )
      const started = await startStack(config, (sentence) => say(`   ${sentence}`))
      describeStack(config, started)
      say(
        `${bold('clock')}       ${new Date(await store.now()).toISOString()} (a set clock, kept with the store)`,
      )
      return started
    })
    const client = await connectClient(config, stack)
    try {
      await tellAll({ story, config, store, stack, client })
      tellNext(config, stack, keep || wasRunning)
    } finally {
      await client.connection.close()
    }
  } finally {
    await store.close()
    await cleanUp()
  }
  story.end()
}

/** The example store on its own data and its own clock, whatever else the environment says of sources. */
function demoConfig(given: Config): Config {
  const environment = {
    ...process.env,
    FLIGHTS_PATH: flightsFolder(given.home),
    // A store that is there keeps its clock.
    ...(existsSync(join(given.home, 'store.db')) ? {} : { ASOF_CLOCK: demoClock }),
  }
  return readConfig(environment, given.baseFolder)
}

async function tellAll(scene: Scene): Promise<void> {
  const { story, store } = scene
  await story.tell('Plan and apply the definitions in features/', async () => {
    const plan = await planRegistration(store)
    say(indented(planText(plan)))
    const written = await applyRegistration(store, plan)
    say(`   ${written.length === 0 ? 'registered already' : `registered ${written.join(', ')}`}`)
  })
  const groups = groupIds.map((id) => exampleGroup(store, id))
  await story.tell(
    `Backfill ${groups.map(({ id }) => id).join(' and ')} from 8 January to the end of June 2001`,
    async () => {
      for (const group of groups) await backfillGroup(scene, group)
    },
  )
  const [first] = groups
  if (first !== undefined) {
    await story.tell('A bad batch cannot get out', () => refuseBadBatch(scene, first))
  }
  const routes = groups[1]
  if (routes !== undefined) {
    await story.tell('A training set: will this flight leave late?', () => trainOnFlights(scene, routes))
  }
  await story.tell("One flight's vector, as a model asks for it", () => serveVector(scene))
  await story.tell('Every served value against its newest published row', async () => {
    for (const group of groups) {
      const found = await compareServed(store, group, askOf(scene))
      for (const difference of found.differences.slice(0, 10)) say(`     ${difference}`)
      story.claim(
        found.differences.length === 0 && found.entities > 0,
        `${group.id}: ${found.values} values of all ${found.entities} entities are served bit for bit as published (${found.outsideMaxAge} entities are older than the ttl of ${group.ttl ?? 'none'}, and the reader says so)`,
      )
    }
  })
}

/** The demo tells the story of the example store; with other definitions it has nothing to tell. */
function exampleGroup({ definitions }: Store, id: string): FeatureGroup {
  const group = definitions.groups.get(id)
  if (group !== undefined) return group
  throw new InputError(
    `The demo is about the example store, but the definitions have no ${id}. Unset ASOF_FEATURES.`,
  )
}

async function backfillGroup(scene: Scene, group: FeatureGroup): Promise<void> {
  const { story, store } = scene
  const result = await runBackfill(scene, group.id, { from: firstWholeWeek, to: lastDay, rewrite: false })
  if (result === 'waiting') {
    story.claim(false, `${group.id}: no gate blocks the real data`)
    return
  }
  say(`   ${describeResult(result)}`)
  const { intervals } = await store.registry.ledgerSummary(group.id)
  const asked = result.intervals + result.alreadyPublished
  story.claim(intervals === asked, `${group.id}: the ledger has all ${asked} intervals, each once`)
}

async function runBackfill(
  scene: Scene,
  group: string,
  range: { from: string; to: string; rewrite: boolean },
) {
  const { config, store, stack, client } = scene
  const registered = await store.registry.group(group)
  const handle = await startBackfill(client, config, { group, ...range }, registered?.fingerprint ?? '')
  const link = workflowLink(config, stack, handle.workflowId)
  if (link !== null) say(dim(`   ${link}`))
  return followRun(handle)
}

/** One day's file is swapped for a copy in seconds; its day is rewritten; a gate holds the run. */
async function refuseBadBatch(scene: Scene, group: FeatureGroup): Promise<void> {
  const { story, config, store, client } = scene
  const before = await tableFingerprint(store, group.id)
  const servedBefore = await servedFingerprint(store, group, askOf(scene))
  await ruinDay(store.duckdb, config.home, ruinedDay)
  say(`   the delays of ${ruinedDay} are in seconds now, as if somebody had changed a unit upstream`)
  const outcome = await runBackfill(scene, group.id, { from: ruinedDay, to: afterRuinedDay, rewrite: true })
  story.claim(outcome === 'waiting', 'a gate holds the run')
  const [run] = await store.registry.runs({ group: group.id, limit: 1 })
  if (run === undefined) throw new Error('the registry does not know the run')
  const blocked = (await store.registry.gateReports(run.runId)).filter(({ verdict }) => verdict === 'block')
  for (const { violations } of blocked) say(indented(violationTable(violations.slice(0, 5))))

  const during = await tableFingerprint(store, group.id)
  story.claim(
    during.hash === before.hash && during.rows === before.rows,
    `the published table is unchanged while it waits: the same ${before.rows} rows, hash ${before.hash.slice(-12)}`,
  )
  story.claim(
    (await servedFingerprint(store, group, askOf(scene))) === servedBefore,
    `all served values are unchanged: hash ${servedBefore.slice(0, 12)}`,
  )
  const handle = client.workflow.getHandle(run.workflowId)
  await handle.executeUpdate<string, [GateDecision]>(updateNames.resolveGate, {
    args: [{ decision: 'abort', name: 'demo', reason: 'delays are in seconds' }],
  })
  await resultOf(handle.result())
  story.claim(restoreDay(config.home), 'the file is restored')
  const after = await tableFingerprint(store, group.id)
  const leftovers = await runFiles(store, group.id, run.runId)
  story.claim(
    after.refs.join() === before.refs.join() && leftovers === 0 && after.hash === before.hash,
    'the run is aborted: its branch and its files are gone, the table is as it was',
  )
}

/** Two airports of one group, and what a function makes of both: the very function that training runs. */
async function serveVector({ story, stack }: Scene): Promise<void> {
  const { names, values, statuses } = await askVector(stack.reader.url)
  say(
    indented(
      table(
        ['feature', 'value', 'status'],
        names.map((name, at) => [name, String(values[at]), statuses[at] ?? '']),
      ),
    ),
  )
  const value = (name: string) => Number(values[names.indexOf(name)])
  story.claim(
    statuses.every((status) => status === 'PRESENT') &&
      value('delay_difference_24h') === value('arrival__mean_delay_24h') - value('mean_delay_24h'),
    `${askedFlight.service} answers for a flight from ATL to ORD in one call: ${names.length} features, three of them computed as it was asked`,
  )
}

/** The labels are half a million flights; a leaky join beside it shows what the set must not show. */
async function trainOnFlights(scene: Scene, routes: FeatureGroup): Promise<void> {
  const { story, config, store, stack, client } = scene
  const { plan, jobId, result } = await startTrainingSet(client, config, trainingRequest)
  const link = workflowLink(config, stack, jobId)
  if (link !== null) say(dim(`   ${link}`))
  say(`   ${plan.id}: ${plan.labels} labels, ${plan.columns} features, ${plan.parts} parts`)
  const set = await result()
  const { manifest } = await finishedSet(store, set.id)
  const evidence = await trainingEvidence(store, manifest.files, routes)
  story.claim(
    set.rows === labelCount && evidence.labels === labelCount,
    `${set.rows} labels have come back, each once (${set.groups.map(({ name, matchRate }) => `${((matchRate ?? 0) * 100).toFixed(1)} % found ${name}`).join(', ')})`,
  )
  story.claim(
    evidence.fromTheFuture === 0,
    'no label sees its own flight: every row it was joined with was complete a quarter of an hour before it, or earlier',
  )
  const [honest, leaky] = [evidence.served, evidence.leaky].map((one) => one.toFixed(3))
  story.claim(
    Math.abs(evidence.leaky) > Math.abs(evidence.served),
    `being late goes with the route's punctuality by ${honest} as it was served, and by ${leaky} in a join that lets flights see their own day: a model would be trained on what it is never given`,
  )
}

async function runFiles(store: Store, group: string, runId: string): Promise<number> {
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  let files = 0
  for (const folder of ['data', 'runs']) {
    for await (const location of store.fileIO.list(`${table.location}/${folder}/${runId}`))
      files += location === '' ? 0 : 1
  }
  return files
}

function tellNext(config: Config, stack: StackFile, running: boolean): void {
  say()
  say(bold('What to try next'))
  if (!running) say('  npm run asof -- dev     (starts the stack again, on the same ports)')
  say(`  curl '${stack.reader.url}/feature-groups/airport_delays_v1/online?entity_ids=ATL,JFK'`)
  say(`  curl '${stack.reader.url}/feature-groups/route_punctuality_v1/online?entity_ids=ATL%7CJFK'`)
  say(
    `  curl '${stack.reader.url}/online' -H 'content-type: application/json' -d '${JSON.stringify(askedFlight)}'`,
  )
  const form = startFormLink(config, stack, 'backfill')
  if (form !== null) say(`  ${form}`)
  say('  npm run asof -- status')
  say('  npm run asof -- show airport_delays_v1')
  if (running) say('  npm run asof -- stop')
}

const indented = (text: string) =>
  text
    .split('\n')
    .map((line) => `   ${line}`)
    .join('\n')
