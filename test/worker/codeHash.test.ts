/** The hash of a function's code: what the function reaches changes it, and nothing else does. */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { codeHash } from '../../worker/codeHash.ts'
import { loadDefinitions } from '../../worker/definitions.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('code-hash')
const model = fileURLToPath(new URL('../../model/index.ts', import.meta.url))

const definitions = `
import { count, entity, feature, featureGroup, featureService, mapGroup, notEmpty, onDemand, parquet } from '${model}'
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
const hidden = onDemand({
  name: 'hidden',
  description: 'how it is',
  reads: [other.pick('n')],
  features: { half: feature('float64', { description: 'of it' }) },
  compute: ({ features }) => ({ half: late({ v: features.n }) ? Number(features.n) / factor : (names.get('a') ?? 0) }),
})
export const service = featureService({
  name: 's',
  features: [mapped.pick('out'), other.pick('n')],
  onDemand: [
  hidden,
  onDemand({
    name: 'listed',
    features: { b: feature('float64') },
    compute() {
      return { b: 0 }
    },
  }),
  onDemand({
    name: 'inline',
    reads: [other.pick('n')],
    features: { whole: feature('float64') },
    compute: ({ features }) => {
      return { whole: late({ v: features.n }) ? factor : (names.get('a') ?? 0) }
    },
  }),
  ],
})
export const alone = featureService({
  name: 'alone',
  features: [other.pick('n')],
  onDemand: [onDemand({
    name: 'only',
    features: { only: feature('float64') },
    compute: () => ({ only: late({ v: 1 }) ? factor : (names.get('a') ?? 0) }),
  })],
})
`
const late = `
import { limit } from './limit.ts'
export const late = ({ v }: { v?: unknown }) => Number(v) > limit
export const early = ({ v }: { v?: unknown }) => Number(v) < limit
`

type Changes = readonly (readonly [file: string, from: string, to: string])[]

async function hashWith(
  changes: Changes = [],
  exported: string | null = 'mapped',
  onDemandName?: string,
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
  return codeHash(join(folder, 'index.ts'), exported, onDemandName)
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

describe.each(['hidden', 'inline', 'only'])('of on-demand features that are not exported (%s)', (name) => {
  const functions: Record<string, string> = { hidden: '({ half:', inline: '{ whole:', only: '({ only:' }
  const hash = (...changes: Changes) => hashWith(changes, null, name)

  test.each<[string, string, string, string]>([
    ['the function', 'index.ts', functions[name] ?? '', `${functions[name]} 1 + `],
    ['a constant of its module', 'index.ts', 'factor = 2', 'factor = 3'],
    ['what fills a table that it reads', 'index.ts', "set('a', 1)", "set('a', 2)"],
    ['a function that it imports', 'late.ts', 'Number(v) > limit', 'Number(v) >= limit'],
    ['a constant that this imports', 'limit.ts', '15', '16'],
  ])('%s counts', async (_, ...change) => {
    expect(await hash(change)).not.toBe(await hash())
  })

  test.each<[string, string, string, string]>([
    ['prose', 'index.ts', 'how it is', 'how it was'],
    ["a feature's prose", 'index.ts', 'of it', 'of that'],
    ['the function of a map group', 'index.ts', 'values.length', 'values.length + 1'],
    ['that of other on-demand features', 'index.ts', '{ b: 0 }', '{ b: 1 }'],
    ['a group', 'index.ts', "count({ over: '1d' })", "count({ over: '2d' })"],
    ['the service', 'index.ts', "name: 's'", "name: 't'"],
    ['what nobody uses', 'index.ts', 'unused = 3', 'unused = 4'],
  ])('%s does not count', async (_, ...change) => {
    expect(await hash(change)).toBe(await hash())
  })

  test('the name under which it is exported does not count, nor whether it is', async () => {
    const exported = ['index.ts', 'const hidden', 'export const hidden'] as const
    expect(await hash(exported)).toBe(await hash())
    if (name === 'hidden') expect(await hashWith([exported], 'hidden', name)).toBe(await hash())
  })
})

test('on-demand features that a function makes count with all of the bundle', async () => {
  const made = [
    'index.ts',
    'const hidden = onDemand({',
    "const make = (factor: number) => onDemand({\n  name: 'made', features: { m: feature('float64') }, compute: () => ({ m: factor }) })\nexport const made = make(1)\nconst hidden = onDemand({",
  ] as const
  const two = ['index.ts', 'make(1)', 'make(2)'] as const
  expect(await hashWith([made, two], null, 'made')).not.toBe(await hashWith([made], null, 'made'))
})

test('a second module that calls the constructor is told from the first', async () => {
  const second = (over: string) =>
    [
      'late.ts',
      "import { limit } from './limit.ts'",
      `import { limit } from './limit.ts'
import { entity, feature, mapGroup, onDemand, parquet } from '${model}'
const events = parquet({ name: 'events', path: 'e', timestamp: 't' })
export const second = mapGroup({
  name: 'second', version: 1, owner: 'o', description: 'd', every: '1d', over: '${over}', columns: [], source: events,
  entity: entity({ name: 'thing', keys: { k: 'string' } }),
  features: { out: feature('int32') },
  map: () => ({ out: limit }),
})
export const third = onDemand({
  name: 'third',
  features: { t: feature('int32') },
  compute: () => ({ t: limit }),
})`,
    ] as const
  const both = ['index.ts', '// A comment.', "export { second, third } from './late.ts'"] as const
  const factor = ['index.ts', 'factor = 2', 'factor = 3'] as const
  const limit = ['limit.ts', '15', '16'] as const
  const cases = [['second'], ['third'], [null, 'third'], ['mapped'], [null, 'inline']] as const
  for (const [exported, name] of cases) {
    const hash = await hashWith([both, second('1d')], exported, name)
    expect(await hashWith([both, second('2d')], exported, name)).toBe(hash)
    expect(await hashWith([both, second('1d'), limit], exported, name)).not.toBe(hash)
    const isOfFirst = exported === 'mapped' || name === 'inline'
    expect((await hashWith([both, second('1d'), factor], exported, name)) === hash).toBe(!isOfFirst)
  }
})

test('the loader fills it in, and it is the same in every folder', async () => {
  const hash = await hashWith()
  const { groups, onDemand } = await loadDefinitions(join(folder, 'index.ts'))
  expect(groups.get('mapped_v1')?.compute).toMatchObject({ kind: 'map', codeHash: hash })
  const named = async (name: string) => [name, await codeHash(join(folder, 'index.ts'), null, name)]
  expect([...onDemand].map(([name, one]) => [name, one.codeHash])).toEqual(
    await Promise.all(['hidden', 'listed', 'inline', 'only'].map(named)),
  )
  const elsewhere = join(folder, 'else', 'where')
  mkdirSync(elsewhere, { recursive: true })
  for (const name of ['index.ts', 'late.ts', 'limit.ts']) cpSync(join(folder, name), join(elsewhere, name))
  expect(await codeHash(join(elsewhere, 'index.ts'), 'mapped')).toBe(hash)
  // Without a name of its own all of the bundle counts: too much, never too little.
  expect(await codeHash(join(folder, 'index.ts'), null)).not.toBe(hash)
})
