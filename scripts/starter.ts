/** What `asof init` writes: definitions over a small CSV file, a test that runs, and how to go on. */

const definitions = `/** What sensors have been saying. One definition file per subject; this index exports them all. */
import { count, csv, entity, featureGroup, featureService, inRange, mean, notEmpty, uniqueRows } from 'asof'

export const sensor = entity({ name: 'sensor', keys: { sensor: 'int64' } })

export const readings = csv({
  name: 'readings',
  description: 'One row a reading',
  path: './data/readings.csv',
  timestamp: 'read_at',
  completeFrom: '2024-03-01',
})

export const sensorState = featureGroup({
  name: 'sensor_state',
  version: 1,
  owner: 'you@example.com',
  description: 'What a sensor has been saying',
  entity: sensor,
  source: readings,
  every: '1h',
  ttl: '1d',
  features: {
    readings_2h: count({ over: '2h' }),
    mean_celsius_2h: mean('celsius', { over: '2h', description: 'Degrees' }),
  },
  gates: [notEmpty(), uniqueRows(), inRange('mean_celsius_2h', -60, 60)],
})

export const sensorModel = featureService({
  name: 'sensor_model_v1',
  features: [sensorState.pick('readings_2h', 'mean_celsius_2h')],
})
`

function readingsCsv(): string {
  const lines = ['sensor,read_at,celsius']
  for (let hour = 0; hour < 48; hour++) {
    const at = new Date(Date.UTC(2024, 2, 1, hour, 20)).toISOString()
    for (const sensor of [1, 2, 3]) lines.push(`${sensor},${at},${(sensor * 5 + (hour % 24) / 4).toFixed(2)}`)
  }
  return `${lines.join('\n')}\n`
}

const test = `/** Run with \`npm test\`: the definitions load, fit the data and mean what was last committed. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

const asof = (...args) => {
  const { status, stdout, stderr } = spawnSync('asof', args, { encoding: 'utf8' })
  return { status, stdout, said: stdout + stderr }
}

test('the definitions mean what features/compiled says', () => {
  const { status, said } = asof('check')
  assert.equal(status, 0, said)
})

test('the group has the features that the model takes', () => {
  const { status, stdout, said } = asof('plan', '-o', 'json')
  assert.equal(status, 0, said)
  const [group] = JSON.parse(stdout).groups
  assert.deepEqual(
    group.features.map(({ name, type }) => [name, type]),
    [
      ['readings_2h', 'int64'],
      ['mean_celsius_2h', 'float64'],
    ],
  )
})
`

const readme = `# A feature store of your own

- \`features/\`: what is computed. \`data/\`: what it is computed from. \`features/compiled/\`: what the definitions mean,
  written by \`npx asof check --write\` and committed, so that a review shows every change of meaning.
- \`npm test\` checks both. In CI, \`npx asof check\` is enough: it ends with 4 where something has changed.

\`\`\`sh
npm install
npx asof check --write    # compile the definitions
npx asof plan             # what registering them would do
npx asof apply            # do it
npx asof dev              # Temporal, worker and reader, until stopped; then, in another terminal:
npx asof backfill sensor_state_v1 --from 2024-03-01T02:00:00Z --to 2024-03-03
npx asof get sensor_state_v1 1 2 3
\`\`\`

The data end in March 2024, so a store on today's clock serves them as OUTSIDE_MAX_AGE. Make the store with
\`ASOF_CLOCK=2024-03-03T00:30:00Z\` to see it as it was then.
`

const packageJson = (version: string) =>
  `${JSON.stringify(
    {
      name: 'my-features',
      private: true,
      type: 'module',
      scripts: { test: 'node --test test/*.test.js', check: 'asof check' },
      dependencies: { asof: `^${version}` },
    },
    null,
    2,
  )}\n`

/** By path inside the new folder. @param version of Asof that the store asks for */
export const starterFiles = (version: string): Readonly<Record<string, string>> => ({
  'features/index.ts': definitions,
  'data/readings.csv': readingsCsv(),
  'test/features.test.js': test,
  'package.json': packageJson(version),
  '.gitignore': 'node_modules/\n.asof/\n',
  'README.md': readme,
})
