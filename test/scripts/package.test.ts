/** The packed package in an empty folder, with a definition and a CSV file of somebody's own: from plan to get. */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const folder = temporaryFolder('package')
const project = join(folder, 'project')
const execute = promisify(execFile)

const definitions = `
import { count, csv, entity, featureGroup, mean, notEmpty } from 'asof'

const sensor = entity({ name: 'sensor', keys: { sensor: 'int64' } })
const readings = csv({ name: 'readings', path: './readings.csv', timestamp: 'at', completeFrom: '2024-03-01' })

export const sensorState = featureGroup({
  name: 'sensor_state',
  version: 1,
  owner: 'me@example.com',
  description: 'What a sensor has been saying',
  entity: sensor,
  source: readings,
  every: '1h',
  features: {
    readings_2h: count({ over: '2h' }),
    mean_celsius_2h: mean('celsius', { over: '2h' }),
  },
  gates: [notEmpty()],
})
`

async function asof(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const environment = { ...process.env, ASOF_FEATURES: './features.ts', ASOF_CLOCK: '2024-03-02T00:00:00Z' }
  for (const name of ['ASOF_HOME', 'TEMPORAL_ADDRESS', 'NODE_OPTIONS', 'VITEST'])
    Reflect.deleteProperty(environment, name)
  try {
    const { stdout, stderr } = await execute(join(project, 'node_modules', '.bin', 'asof'), args, {
      cwd: project,
      env: environment,
    })
    return { code: 0, stdout, stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

let dev: Promise<unknown> | undefined

beforeAll(async () => {
  mkdirSync(project)
  await execute('npm', ['pack', '--pack-destination', folder], { cwd: root })
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  writeFileSync(
    join(project, 'package.json'),
    JSON.stringify({ name: 'project', private: true, type: 'module' }),
  )
  await execute(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', join(folder, tarball ?? '')],
    { cwd: project },
  )
  writeFileSync(join(project, 'features.ts'), definitions)
}, 600_000)

afterAll(async () => {
  await asof('stop')
  await dev
})

test('a definition and a CSV file of one’s own go from plan to get', async () => {
  const missing = await asof('plan')
  expect(missing).toMatchObject({ code: 2 })
  expect(missing.stderr).toMatch(/source readings.*readings\.csv/i)
  expect(missing.stderr).not.toMatch(/\n\s+at /)

  writeFileSync(
    join(project, 'readings.csv'),
    [
      'at,sensor,celsius',
      '2024-03-01T04:10:00Z,7,20.5',
      '2024-03-01T04:50:00Z,7,21.5',
      '2024-03-01T05:00:00Z,8,3',
      '',
    ].join('\n'),
  )
  const planned = await asof('plan', '-o', 'json')
  expect(planned).toMatchObject({ code: 0 })
  expect(JSON.parse(planned.stdout)).toMatchObject({
    groups: [
      {
        id: 'sensor_state_v1',
        verdict: 'new',
        features: [
          { name: 'readings_2h', type: 'int64' },
          { name: 'mean_celsius_2h', type: 'float64' },
        ],
      },
    ],
  })
  expect(await asof('apply')).toMatchObject({ code: 0 })
  expect((await asof('plan')).stderr).toMatch(/Nothing to apply/)

  const early = await asof(
    'backfill',
    'sensor_state_v1',
    '--from',
    '2024-03-01T02:00:00Z',
    '--to',
    '2024-03-01T06:00:00Z',
  )
  expect(early.stderr).toMatch(/asof dev/)
  dev = asof('dev')
  for (
    let tries = 0;
    tries < 200 && (await asof('get', 'sensor_state_v1', '7')).stderr.includes('asof dev');
    tries++
  ) {
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const backfilled = await asof(
    ...[
      'backfill',
      'sensor_state_v1',
      '--from',
      '2024-03-01T02:00:00Z',
      '--to',
      '2024-03-01T06:00:00Z',
      '-o',
      'json',
    ],
  )
  expect(backfilled).toMatchObject({ code: 0 })
  expect(JSON.parse(backfilled.stdout)).toMatchObject({ outcome: 'published', intervals: 4, entities: 2 })
  const got = await asof('get', 'sensor_state_v1', '8', '7', '9', '-o', 'json')
  expect(JSON.parse(got.stdout)).toMatchObject({
    results: [
      {
        entity_id: '8',
        features: {
          readings_2h: { value: 1, status: 'PRESENT' },
          mean_celsius_2h: { value: 3, status: 'PRESENT' },
        },
      },
      { entity_id: '7', features: { readings_2h: { value: 2 }, mean_celsius_2h: { value: 21 } } },
      { entity_id: '9', features: { readings_2h: { value: null, status: 'NOT_FOUND' } } },
    ],
  })
  expect(await asof('backfill', 'nobody_v1', '--from', '2024-03-01', '--to', '2024-03-02')).toMatchObject({
    code: 2,
  })
  expect(await asof('frobnicate')).toMatchObject({ code: 2 })
}, 600_000)

/** What an application of one's own does, with nothing but the package and Temporal's client. */
const application = `
import { Client, Connection } from '@temporalio/client'
import { startTrainingSet, taskQueue } from 'asof/client'
import { readFileSync } from 'node:fs'

const { temporal } = JSON.parse(readFileSync('.asof/stack.json', 'utf8'))
const connection = await Connection.connect({ address: temporal.address })
const request = JSON.parse(readFileSync('request.json', 'utf8'))
const { plan, result } = await startTrainingSet(new Client({ connection }), { taskQueue }, request)
const { contentHash } = await result()
console.log(JSON.stringify({ state: plan.state, id: plan.id, contentHash }))
const refused = { ...request, features: ['sensor_state_v1:nothing'] }
console.log(await startTrainingSet(new Client({ connection }), { taskQueue }, refused).catch((error) => error.message))
await connection.close()
`

test('a training set goes from labels to diff and drop', async () => {
  const labels = ['at,place,label', '2024-03-01T05:30:00Z,7,a', '2024-03-01T05:00:00Z,8,b', '']
  writeFileSync(join(project, 'labels.csv'), labels.join('\n'))
  const features = 'sensor_state_v1:readings_2h,sensor_state_v1:mean_celsius_2h'
  const asked = ['--features', features, '--labels', 'labels.csv', '--time', 'at', '--key', 'sensor=place']
  const built = await asof('train', 'build', '--name', 'hot', ...asked, '--model', 'heat', '-o', 'json')
  expect(built, built.stderr).toMatchObject({ code: 0 })
  expect(built.stderr).toMatch(
    /hot_[0-9a-f]{16}: 2 labels in one part, 2 columns of features\n {2}sensor_state_v1: snapshot \d+\n.*\/workflows\/training%2Fhot%2F/,
  )
  const set = JSON.parse(built.stdout) as { id: string; contentHash: string; manifestPath: string }
  expect(set).toMatchObject({ rows: 2, groups: [{ name: 'sensor_state_v1', matchRate: 0.5 }] })

  const listed = await asof('train', 'list', '-o', 'jsonl')
  expect(JSON.parse(listed.stdout)).toMatchObject({ id: set.id, status: 'finished', rows: 2 })
  const shown = await asof('train', 'show', set.id)
  expect(shown.stdout).toMatch(/sensor_state_v1 +\d+ +50\.0 %[^]*readings_2h +BIGINT +50\.0 % +2 +2/)
  expect(shown.stderr).not.toMatch(/outdated/)
  expect((await asof('show', 'sensor_state_v1')).stdout).toMatch(/readings_2h .* heat\n/)

  // The JSON itself, and an application: the same job on the same state is the same set.
  const request = {
    name: 'hot',
    features: features.split(','),
    labels: { path: 'labels.csv', time: 'at', keys: { sensor: 'place' } },
  }
  writeFileSync(join(project, 'request.json'), JSON.stringify(request))
  const again = await asof('train', 'build', '--request', 'request.json')
  expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining(set.contentHash) as string })
  expect(again.stderr).toMatch(/it is there already/)
  writeFileSync(join(project, 'application.mjs'), application)
  const { stdout } = await execute(process.execPath, ['application.mjs'], { cwd: project })
  const [told = '', refusal] = stdout.trim().split('\n')
  expect(JSON.parse(told)).toEqual({ state: 'finished', id: set.id, contentHash: set.contentHash })
  expect(refusal).toMatch(/feature group sensor_state: there is no feature "nothing"/)

  expect(await asof('train', 'verify', set.id)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining(`built again with the same content ${set.contentHash}`) as string,
  })
  writeFileSync(join(project, 'labels.csv'), labels.slice(0, 2).join('\n'))
  const fewer = await asof('train', 'build', '--name', 'hot', ...asked, '-o', 'json')
  const { id: other } = JSON.parse(fewer.stdout) as { id: string }
  expect((await asof('train', 'diff', set.id, set.id)).stdout).toBe('nothing\n')
  expect((await asof('train', 'diff', set.id, other)).stdout).toMatch(/^labels\n {2}rows: 2 → 1\n/)
  expect(JSON.parse((await asof('train', 'diff', set.id, other, '-o', 'json')).stdout)).toContainEqual({
    aspect: 'labels',
    what: 'rows',
    before: 2,
    after: 1,
  })

  const { files } = JSON.parse(readFileSync(fileURLToPath(set.manifestPath), 'utf8')) as { files: string[] }
  writeFileSync(fileURLToPath(files[0] ?? ''), '')
  const found = await asof('train', 'verify', set.id)
  expect(found).toMatchObject({ code: 4, stderr: expect.stringMatching(/parquet cannot be read/) as string })
  expect(await asof('train', 'drop', set.id)).toMatchObject({ code: 0 })
  expect(await asof('train', 'show', set.id)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/no training set hot_.*asof train list/) as string,
  })
  const refused = await asof('train', 'build', '--name', 'hot', ...asked.slice(0, -2))
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/no column "sensor"/) as string })
  expect(await asof('train', 'build', '--request', 'request.json', '--strict')).toMatchObject({ code: 2 })
}, 600_000)
