/** The packed package in an empty folder, with a definition and a CSV file of somebody's own: from plan to get. */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
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
