/** Ten years of hourly intervals: whatever Temporal carries of them is small, and the worst plan is made in seconds. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { defaultPayloadConverter } from '@temporalio/common'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { intervalCount, type IntervalRange } from '../../model/index.ts'
import { query } from '../../offline/index.ts'
import { queryNames } from '../../workflows/names.ts'
import { payloadLimitInBytes, payloadSizeInBytes } from '../../workflows/payloadLimit.ts'
import { payloadsOf, type FoundPayload } from '../support/payloads.ts'
import { runStore, startTemporal, type RunningStore } from '../support/temporal.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const group = 'sensor_readings_v1'
const hour = 36e5
const asked = { from: '2014-01-01', to: '2024-01-01' }
const range: IntervalRange = { from: Date.parse(asked.from), to: Date.parse(asked.to) }
const hours = intervalCount(range, hour)
const folder = temporaryFolder('ten-years')
let temporal: TestWorkflowEnvironment
const running: RunningStore[] = []

beforeAll(async () => {
  temporal = await startTemporal()
})
afterAll(async () => {
  for (const store of running) await store.stop()
  await temporal?.teardown()
})

/** One reading every six days or so, of three sensors in turn. */
async function sensorStore(name: string): Promise<RunningStore> {
  const readings = join(folder, name, 'readings')
  mkdirSync(readings, { recursive: true })
  const started = await runStore(
    temporal,
    {
      ASOF_HOME: join(folder, name, 'home'),
      ASOF_FEATURES: fileURLToPath(new URL('../fixtures/tenYears.ts', import.meta.url)),
      ASOF_CLOCK: '2024-01-01T01:00:00Z',
      READINGS_PATH: readings,
    },
    folder,
  )
  running.push(started)
  const connection = await started.store.duckdb.connect()
  await query(
    connection,
    `COPY (SELECT TIMESTAMPTZ '2014-01-01 00:30:00+00' + to_hours(CAST(n * 146 AS INTEGER)) AS at,
             CAST(n % 3 AS BIGINT) AS sensor, CAST(hash(n) % 100 AS DOUBLE) AS value FROM range(600) AS numbers(n))
     TO '${join(readings, 'readings.parquet')}' (FORMAT parquet)`,
  )
  connection.closeSync()
  await applyRegistration(started.store, await planRegistration(started.store))
  return started
}

/** Payloads of the run's descriptions: the heartbeats of its activities show nowhere else. */
async function payloadsUntilEnded({ client }: RunningStore, workflowId: string): Promise<FoundPayload[]> {
  const found: FoundPayload[] = []
  for (;;) {
    const description = await client.workflowService.describeWorkflowExecution({
      namespace: client.options.namespace,
      execution: { workflowId },
    })
    found.push(...payloadsOf(description))
    if (description.workflowExecutionInfo?.closeTime != null) return found
    await sleep(100)
  }
}

test('a backfill of ten years gives Temporal nothing large', async () => {
  const store = await sensorStore('run')
  const handle = await store.client.workflow.start('backfill', {
    taskQueue: store.taskQueue,
    workflowId: 'ten-years',
    args: [{ group, ...asked }],
  })
  const described = await payloadsUntilEnded(store, handle.workflowId)
  // A reading is in the windows of two hours, and its sensor leaves a last row behind.
  expect(await handle.result()).toMatchObject({ outcome: 'published', intervals: hours, rows: 1_800 })

  const found = [...payloadsOf(await handle.fetchHistory()), ...described]
  const kinds = [/StartedEvent.*input/, /ScheduledEvent.*input/, /CompletedEvent.*result/, /searchAttributes/]
  for (const kind of [...kinds, /userMetadata\.summary/, /pendingActivities.*heartbeatDetails/]) {
    expect(found.filter(({ path }) => kind.test(path)).length, String(kind)).toBeGreaterThan(0)
  }
  const answers = [queryNames.progress, '__temporal_workflow_metadata']
  for (const name of answers) {
    const payload = defaultPayloadConverter.toPayload(await handle.query(name))
    found.push({ path: name, sizeInBytes: payloadSizeInBytes([payload]) })
  }
  const largest = found.toSorted((left, right) => right.sizeInBytes - left.sizeInBytes)[0]
  console.log(`${found.length} payloads, the largest of ${largest?.sizeInBytes} bytes: ${largest?.path}`)
  expect(largest?.sizeInBytes).toBeLessThan(payloadLimitInBytes)
}, 180_000)

test('the plan of ten years of which every other hour is published is a large file, made in seconds', async () => {
  const { store } = await sensorStore('plan')
  const registered = await store.registry.group(group)
  if (registered === null) throw new Error('the group was not registered')
  const published = Array.from({ length: hours / 2 }, (_, at) => {
    const from = range.from + 2 * at * hour
    return { from, to: from + hour }
  })
  const table = await store.catalog.loadTable({ namespace: store.store, name: group })
  await store.registry.openLedger(group, table.metadata.properties['asof.incarnation'] ?? '')
  await store.registry.recordPublished({
    ...{
      group,
      runId: 'another',
      fingerprint: registered.fingerprint,
      features: registered.featureFingerprints,
    },
    ...{ ranges: published, filled: [], reread: [], corrected: [], cadenceMs: hour },
    ...{ readAt: range.to, knownFrom: null, liveFrom: null, letThrough: false },
    ...{ snapshotId: '1', sequenceNumber: 1, publishedAt: range.to },
  })

  const started = performance.now()
  const input = { group, ...asked, runId: 'run', workflowId: 'workflow' }
  const plan = await createActivities(store).planBackfill(input)
  const seconds = (performance.now() - started) / 1e3
  // Passes of four weeks, as where all of it is missing: a pass for each hour would read every window again.
  expect(plan).toMatchObject({ intervals: hours / 2, alreadyPublished: hours / 2, chunks: 126 })
  const { byteLength } = await store.fileIO.read(plan.planPath)
  const carried = payloadSizeInBytes([input, plan].map((each) => defaultPayloadConverter.toPayload(each)))
  console.log(
    `${published.length} ranges planned in ${seconds.toFixed(2)} s: ${byteLength} bytes of file, ${carried} carried`,
  )
  expect(byteLength).toBeGreaterThan(payloadLimitInBytes)
  expect(carried).toBeLessThan(payloadLimitInBytes)
  expect(seconds).toBeLessThan(10)
})
