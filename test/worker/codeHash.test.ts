/** The hash of a function's code: what the function reaches changes it, and nothing else does. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { codeHash } from '../../worker/codeHash.ts'
import { loadDefinitions } from '../../worker/definitions.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('code-hash')
const model = fileURLToPath(new URL('../../model/index.ts', import.meta.url))

const definitions = `
import { count, entity, feature, featureGroup, featureService, mapGroup, notEmpty, parquet } from '${model}'
import { late } from './late.ts'
// A comment.
const factor = 2
const names = new Map<string, number>()
names.set('a', 1)
const unused = 3
export const events = parquet({ name: 'events', path: 'e', timestamp: 't' })
export const thing = entity({ name: 'thing', keys: { k: 'string' } })
export const other = featureGroup({ name: 'other', version: 1, owner: 'o', description: 'd', entity: thing, source: events,
  every: '1d', features: { n: count({ over: '1d' }) } })
export const mapped = mapGroup({
  name: 'mapped',
  version: 1,
  owner: 'ada',
  description: 'how it is',
  entity: thing,
  source: events,
  every: '1d',
  over: '1d',
  columns: ['v'],
  map: ({ events }) => {
    const values = events.filter(late)
    return { out: values.length * factor + (names.get('a') ?? 0) }
  },
  features: { out: feature('float64', { description: 'of it' }) },
  gates: [notEmpty()],
})
export const service = featureService({ name: 's', features: [mapped.pick('out'), other.pick('n')] })
`
const late = `
import { limit } from './limit.ts'
export const late = ({ v }: { v?: unknown }) => Number(v) > limit
export const early = ({ v }: { v?: unknown }) => Number(v) < limit
`

async function hashWith(
  changes: readonly (readonly [file: string, from: string, to: string])[] = [],
): Promise<string> {
  const files: Record<string, string> = {
    'index.ts': definitions,
    'late.ts': late,
    'limit.ts': 'export const limit = 15\n',
  }
  for (const [file, from, to] of changes) {
    expect(files[file]).toContain(from)
    files[file] = (files[file] ?? '').replaceAll(from, to)
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return codeHash(join(folder, 'index.ts'), 'mapped')
}

test.each<[string, string, string, string]>([
  ['the function', 'index.ts', 'values.length', 'values.length + 1'],
  ['a constant of its module', 'index.ts', 'factor = 2', 'factor = 3'],
  ['what fills a table that it reads', 'index.ts', "set('a', 1)", "set('a', 2)"],
  ['a function that it imports', 'late.ts', 'Number(v) > limit', 'Number(v) >= limit'],
  ['a constant that this imports', 'limit.ts', '15', '16'],
])('%s counts', async (_, file, from, to) => {
  expect(await hashWith([[file, from, to]])).not.toBe(await hashWith())
})

test.each<[string, string, string, string]>([
  ['the owner', 'index.ts', "'ada'", "'grace'"],
  ['the prose', 'index.ts', 'how it is', 'how it was'],
  ["a feature's prose", 'index.ts', 'of it', 'of that'],
  ['a gate', 'index.ts', 'gates: [notEmpty()]', 'gates: []'],
  ['a comment', 'index.ts', 'A comment.', 'Another.'],
  ['layout', 'index.ts', 'const values = events', 'const values =\n      events'],
  ['what nobody uses', 'index.ts', 'unused = 3', 'unused = 4'],
  ['another function of an imported module', 'late.ts', 'Number(v) < limit', 'Number(v) <= limit'],
  ['another group', 'index.ts', "count({ over: '1d' })", "count({ over: '2d' })"],
])('%s does not count', async (_, file, from, to) => {
  expect(await hashWith([[file, from, to]])).toBe(await hashWith())
})

test('the loader fills it in, and it is the same in every folder', async () => {
  const hash = await hashWith()
  const { groups } = await loadDefinitions(join(folder, 'index.ts'))
  expect(groups.get('mapped_v1')?.compute).toMatchObject({ kind: 'map', codeHash: hash })
  const elsewhere = join(folder, 'else', 'where')
  mkdirSync(elsewhere, { recursive: true })
  for (const name of ['index.ts', 'late.ts', 'limit.ts']) cpSync(join(folder, name), join(elsewhere, name))
  expect(await codeHash(join(elsewhere, 'index.ts'), 'mapped')).toBe(hash)
  // Without a name of its own all of the bundle counts: too much, never too little.
  expect(await codeHash(join(folder, 'index.ts'), null)).not.toBe(hash)
})
