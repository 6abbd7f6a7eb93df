/** What is typed after `asof train build`, as the request that it stands for. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { planText } from '../../scripts/commands/train/build.ts'
import { requestOf, type RequestOptions } from '../../scripts/commands/train/request.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('train-request')
const base: RequestOptions = {
  name: 'late',
  service: 'model',
  labels: 'labels.csv',
  time: 'at',
  knowledgeCutoff: true,
}

async function refusal(options: RequestOptions): Promise<string> {
  return requestOf(options, folder).then(
    () => 'not refused',
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  )
}

test('options become a request with nothing that nobody asked for', async () => {
  const labels = { path: join(folder, 'labels.csv'), time: 'at' }
  expect(await requestOf(base, folder)).toEqual({ name: 'late', service: 'model', labels })
  const more: RequestOptions = {
    ...{ ...base, service: undefined, features: 'a_v1:x, b_v1:y', key: ['country=land', 'shop=a=b'] },
    ...{
      timeZone: 'Europe/Vienna',
      knowledgeCutoff: false,
      strict: true,
      outputFolder: 'out',
      format: 'arrow',
    },
  }
  expect(await requestOf(more, folder)).toEqual({
    name: 'late',
    features: ['a_v1:x', 'b_v1:y'],
    labels: { ...labels, timeZone: 'Europe/Vienna', keys: { country: 'land', shop: 'a=b' } },
    ...{ knowledgeCutoff: false, strict: true, output: join(folder, 'out'), format: 'arrow' },
  })
})

test('a request of JSON is taken as it stands, and alone', async () => {
  const request = { name: 'late', service: 'model', labels: { path: 'labels.csv', time: 'at' } }
  writeFileSync(join(folder, 'request.json'), JSON.stringify(request))
  expect(await requestOf({ request: 'request.json', knowledgeCutoff: true }, folder)).toEqual(request)
  expect(await refusal({ request: 'request.json', eventTimestamps: true })).toMatch(
    /--event-timestamps cannot stand beside it/,
  )
  expect(await refusal({ request: 'request.json', knowledgeCutoff: false })).toMatch(
    /--no-knowledge-cutoff cannot/,
  )
  expect(await refusal({ request: 'absent.json' })).toMatch(/--request absent\.json: there is no such file/)
  writeFileSync(join(folder, 'broken.json'), '{"name":')
  expect(await refusal({ request: 'broken.json' })).toMatch(/--request broken\.json: it is no JSON/)
})

test('what is missing or cannot be is said with its option', async () => {
  expect(await refusal({ ...base, time: undefined })).toMatch(/--time is missing/)
  expect(await refusal({ ...base, key: ['country'] })).toMatch(/--key country: write .*country=land/)
  expect(await refusal({ ...base, service: undefined })).toMatch(/either a service or a list of features/)
  expect(await refusal({ ...base, name: 'Late flights' })).toMatch(/training set: name/)
})

test('a plan says in words what a model would better know of it', () => {
  const groups = [
    { group: 'a_v1', name: 'origin', snapshotId: '12', missingIntervals: 3, mixedFeatures: ['x', 'y'] },
    { group: 'b_v1', name: 'b_v1', snapshotId: null, missingIntervals: 0, mixedFeatures: [] },
  ]
  const plan = {
    ...{ id: 'late_1', name: 'late', planPath: '', folder: '', workflowId: 'training/x', labels: 7 },
    ...{ parts: 2, columns: 3, groups },
  }
  expect(planText({ ...plan, state: 'mine' })).toBe(
    [
      'late_1: 7 labels in 2 parts, 3 columns of features',
      "  a_v1 as origin: snapshot 12; 3 intervals in the labels' range were never published; mixed definitions of x, y",
      '  b_v1: nothing is published',
    ].join('\n'),
  )
  expect(planText({ ...plan, groups: [], state: 'building' })).toBe(
    'late_1: workflow training/x builds it already',
  )
})
