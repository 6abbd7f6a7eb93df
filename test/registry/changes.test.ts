/** The table of changes: one definition change per field and kind, with its verdict and what is said about it. */
import { describe, expect, test } from 'vitest'
import {
  asServed,
  count,
  entity,
  env,
  feature,
  featureGroup,
  gt,
  histogram,
  mapGroup,
  mean,
  notEmpty,
  nullRate,
  parquet,
  quantile,
  queryGroup,
  topK,
  type AggregateFeature,
  type BoundGroup,
  type FeatureGroup,
} from '../../model/index.ts'
import { changeKinds } from '../../registry/changes.ts'
import { registrationOf } from '../../registry/definition.ts'
import { describeChange, type ChangeVerdict } from '../../registry/describeChange.ts'
import { describeService } from '../../registry/describeService.ts'
import { duplicateFeatures } from '../../registry/duplicates.ts'
import { featureFingerprints } from '../../registry/fingerprint.ts'
import type { RegisteredGroup } from '../../registry/registry.ts'

const source = { name: 'flights', path: env('FLIGHTS'), timestamp: 'date', timeZone: 'UTC' } as const
const features = {
  departures: count({ over: '24h' }),
  mean_delay: mean('delay', { over: '24h', where: gt('distance', 100) }),
  median: quantile('delay', 0.5, { over: '24h' }),
  worst: topK('delay', 3, { over: '24h' }),
  spread: histogram('delay', [0, 15], { over: '24h' }),
}
const definition = {
  name: 'delays',
  version: 1,
  owner: 'a@example.com',
  description: 'Delays',
  entity: entity({ name: 'airport', keys: { origin: 'string' } }),
  source: parquet(source),
  every: '1h' as const,
  features: features as Record<string, AggregateFeature>,
  gates: [nullRate('mean_delay', { max: 0.05 })],
}
type Definition = typeof definition & { fix?: string }

const bind = (group: FeatureGroup): BoundGroup => ({
  group,
  keys: Object.entries(group.entity.keys).map(([name, type]) => ({ name, type })),
  features: Object.keys(group.features).map((name) => ({ name, type: 'float64' })),
})
/** As it comes back from the registry: through JSON. */
const registeredOf = (group: FeatureGroup) =>
  JSON.parse(JSON.stringify({ ...registrationOf(bind(group), 5), revision: 1 })) as RegisteredGroup
const changeOf = (before: FeatureGroup, after: FeatureGroup) =>
  describeChange(registeredOf(before), bind(after))
const changed = (changes: Partial<Definition> & object) =>
  changeOf(featureGroup(definition), featureGroup({ ...definition, ...changes }))
const withFeature = (name: string, one: AggregateFeature) => ({
  features: { ...definition.features, [name]: one },
})
const withSource = (changes: Partial<Parameters<typeof parquet>[0]>) => ({
  source: parquet({ ...source, ...changes }),
})

/** By field of the table: what is changed, the verdict where nobody says that it is a fix, and what is said. */
const groupChanges: Record<string, [Partial<Definition> & object, ChangeVerdict, RegExp]> = {
  'entity.name': [
    { entity: entity({ name: 'field', keys: { origin: 'string' } }) },
    'cosmetic',
    /entity\.name was "airport"/,
  ],
  'entity.description': [
    { entity: entity({ name: 'airport', description: 'x', keys: { origin: 'string' } }) },
    'cosmetic',
    /entity\.description was added/,
  ],
  'entity.keys': [
    { entity: entity({ name: 'airport', keys: { origin: 'int64' } }) } as object,
    'breaking',
    /entity\.keys was/,
  ],
  'source.name': [withSource({ name: 'departures' }), 'cosmetic', /source flights was removed/],
  'source.description': [
    withSource({ description: 'x' }),
    'cosmetic',
    /source flights\.description was added/,
  ],
  'source.retention': [withSource({ retention: '900d' }), 'cosmetic', /source flights\.retention/],
  'source.path': [withSource({ path: env('OTHER') }), 'breaking', /source flights\.path\.env was "FLIGHTS"/],
  'source.timestamp': [withSource({ timestamp: 'at' }), 'breaking', /source flights\.timestamp/],
  'source.timeZone': [withSource({ timeZone: 'Europe/Rome' }), 'breaking', /source flights\.timeZone/],
  'source.completeFrom': [
    withSource({ completeFrom: '2001-01-01' }),
    'breaking',
    /source flights\.completeFrom was added/,
  ],
  'source.arrival': [withSource({ arrival: 'loaded' }), 'breaking', /source flights\.arrival was added/],
  'source.nonexistent': [
    withSource({ nonexistent: 'shift-forward' }),
    'breaking',
    /source flights\.nonexistent/,
  ],
  'source.ambiguous': [withSource({ ambiguous: 'earlier' }), 'breaking', /source flights\.ambiguous/],
  'group.owner': [{ owner: 'b@example.com' }, 'cosmetic', /^owner was "a@example\.com"/],
  'group.description': [{ description: 'x' }, 'cosmetic', /^description was/],
  'group.fix': [{ fix: 'nothing else' }, 'cosmetic', /^fix was null/],
  'group.lateness': [{ lateness: '6h' } as object, 'cosmetic', /^lateness was/],
  'group.ttl': [{ ttl: '7d' } as object, 'cosmetic', /^ttl was null/],
  'group.online': [{ online: false } as object, 'cosmetic', /^online was true/],
  'group.every': [{ every: '2h' } as object, 'breaking', /^every was "1h"/],
  'group.availableAfter': [{ availableAfter: '5m' } as object, 'breaking', /^availableAfter was/],
  'group.allowPartialWindows': [
    { allowPartialWindows: true } as object,
    'breaking',
    /^allowPartialWindows was/,
  ],
  'gate added': [
    { gates: [...definition.gates, notEmpty()] as never },
    'cosmetic',
    /gate not_empty was added/,
  ],
  'gate.params': [
    { gates: [nullRate('mean_delay', { max: 0.5 })] },
    'cosmetic',
    /gate null_rate\(mean_delay\)\.params\.max/,
  ],
  'gate.onViolation': [
    { gates: [nullRate('mean_delay', { max: 0.05, onViolation: 'warn' })] },
    'cosmetic',
    /gate null_rate\(mean_delay\)\.onViolation/,
  ],
  'feature added': [withFeature('more', count({ over: '1h' })), 'additive', /feature more was added/],
  'feature removed': [
    { features: { mean_delay: features.mean_delay } },
    'breaking',
    /feature departures was removed/,
  ],
  'feature.aggregate': [
    withFeature('departures', count('delay', { over: '24h' })),
    'breaking',
    /feature departures\.column/,
  ],
  'feature.over': [withFeature('departures', count({ over: '25h' })), 'breaking', /feature departures\.over/],
  'feature.over, spelled': [
    withFeature('departures', count({ over: '1d' })),
    'cosmetic',
    /over was "24h" and is "1d"/,
  ],
  'feature.where': [
    withFeature('mean_delay', mean('delay', { over: '24h' })),
    'breaking',
    /feature mean_delay\.where/,
  ],
  'feature.q': [
    withFeature('median', quantile('delay', 0.6, { over: '24h' })),
    'breaking',
    /feature median\.q/,
  ],
  'feature.k': [withFeature('worst', topK('delay', 4, { over: '24h' })), 'breaking', /feature worst\.k/],
  'feature.edges': [
    withFeature('spread', histogram('delay', [0, 30], { over: '24h' })),
    'breaking',
    /feature spread\.edges/,
  ],
  'feature.description': [
    withFeature('departures', count({ over: '24h', description: 'x' })),
    'cosmetic',
    /feature departures\.description was added/,
  ],
  'feature.default': [
    withFeature('departures', count({ over: '24h', default: 0 })),
    'cosmetic',
    /feature departures\.default was added/,
  ],
}

describe('a change of an aggregate group', () => {
  for (const [what, [changes, verdict, sentence]] of Object.entries(groupChanges)) {
    test(`${what}: ${verdict}`, () => {
      const change = changed(changes)
      expect(change.verdict, change.sentences.join('\n')).toBe(verdict)
      expect(
        change.sentences.some((one) => sentence.test(one)),
        change.sentences.join('\n'),
      ).toBe(true)
      if (verdict === 'breaking') expect(change.sentences.at(-1)).toMatch(/Define it as version 2/)
    })
  }

  const alwaysBreaking = ['entity.keys', 'group.every', 'feature removed']
  for (const [what, [changes, verdict]] of Object.entries(groupChanges)) {
    const expected = verdict !== 'breaking' || alwaysBreaking.includes(what) ? verdict : 'fix'
    test(`${what}, said to be a fix: ${expected}`, () => {
      const change = changed({ fix: 'it was computed wrongly', ...changes })
      expect(change.verdict).toBe(expected)
    })
  }

  test('a reason covers its own feature, once', () => {
    const over = (fix?: string) => count({ over: '25h', fix })
    const once = changed(withFeature('departures', over('a day has 25 hours')))
    expect(once).toMatchObject({ verdict: 'fix', fixed: ['departures'], added: [] })
    const both = { ...withFeature('departures', over('a day has 25 hours')).features, median: over() }
    expect(changed({ features: both }).verdict).toBe('breaking')
    const before = featureGroup({ ...definition, fix: 'first' })
    const after = featureGroup({ ...definition, fix: 'first', ...withFeature('departures', over()) })
    expect(changeOf(before, after).verdict).toBe('breaking')
    expect(
      changeOf(before, featureGroup({ ...definition, fix: 'second', ...withFeature('departures', over()) })),
    ).toMatchObject({
      verdict: 'fix',
      fixed: ['departures'],
    })
  })

  test('a feature more beside a fix is both: the worse verdict, each feature named', () => {
    const { features: more } = withFeature('more', count({ over: '1h' }))
    const change = changed({ features: { ...more, departures: count({ over: '25h', fix: 'wrong' }) } })
    expect(change).toMatchObject({ verdict: 'fix', fixed: ['departures'], added: ['more'] })
  })
})

describe('a change of a query or map group', () => {
  const common = {
    name: 'delays',
    version: 1,
    owner: 'a@example.com',
    description: 'Delays',
    entity: definition.entity,
    every: '1h' as const,
    features: { delay: feature('float64') },
  }
  const query = (changes: object = {}) =>
    queryGroup({ ...common, sources: [parquet(source)], sql: 'SELECT 1', created: 'loaded', ...changes })
  const map = (changes: object = {}) =>
    mapGroup({
      ...common,
      source: parquet(source),
      over: '24h',
      columns: ['delay'],
      map: () => ({ delay: 1 }),
      ...changes,
    })

  test.each([
    ['sql', query(), query({ sql: 'SELECT 2' }), 'breaking', /compute\.sql was "SELECT 1"/],
    ['created', query(), query({ created: asServed('loaded') }), 'breaking', /compute\.created\.asServed/],
    ['over', map(), map({ over: '25h' }), 'breaking', /compute\.over/],
    ['over, spelled', map(), map({ over: '1d' }), 'cosmetic', /compute\.over/],
    ['columns', map(), map({ columns: ['delay', 'distance'] }), 'breaking', /compute\.columns/],
    ['kind', query(), map(), 'breaking', /compute\.kind was "query"/],
    ['sql as a fix', query(), query({ sql: 'SELECT 2', fix: 'off by one' }), 'fix', /compute\.sql/],
    [
      'another source name',
      query(),
      query({ sources: [parquet({ ...source, name: 'late' })] }),
      'breaking',
      /computed otherwise/,
    ],
    [
      'default of a declared feature',
      map(),
      map({ features: { delay: feature('float64', { default: 0 }) } }),
      'cosmetic',
      /feature delay\.default/,
    ],
  ] as const)('%s', (_what, before, after, verdict, sentence) => {
    const change = changeOf(before, after)
    expect(change.verdict, change.sentences.join('\n')).toBe(verdict)
    expect(change.sentences.join('\n')).toMatch(sentence)
  })
})

describe('a change of a service', () => {
  const service = (...taken: string[]) => ({ name: 'm', features: [{ group: 'g_v1', features: taken }] })

  test.each([
    [null, service('a'), 'new'],
    [service('a'), service('a'), 'unchanged'],
    [service('a'), { ...service('a'), description: 'x' }, 'cosmetic'],
    [service('a'), service('a', 'b'), 'additive'],
    [service('a', 'b'), service('b', 'a'), 'breaking'],
    [service('a', 'b'), service('a'), 'breaking'],
  ] as const)('%j to %j: %s', (before, after, verdict) => {
    expect(describeService('m', before, after).verdict).toBe(verdict)
  })
})

test('every field of the table of features is one that a fingerprint covers or does not, as the table says', () => {
  const group = featureGroup(definition)
  const before = featureFingerprints(group)
  for (const [what, [changes, verdict]] of Object.entries(groupChanges)) {
    const after = featureFingerprints(featureGroup({ ...definition, ...changes }))
    const same = Object.keys(before).every(
      (name) => after[name] === undefined || after[name] === before[name],
    )
    expect(same, what).toBe(verdict !== 'breaking' || what === 'feature removed')
  }
  expect(Object.keys(changeKinds.feature)).toContain('fix')
})

test('features that compute the same name each other and the owner; versions of one group do not', () => {
  const named = (id: string, name: string, prints: Record<string, string>) => ({
    ...{ id, name, owner: `${name}@example.com` },
    featureFingerprints: prints,
  })
  const there = named('delays_v1', 'delays', { a: 'x', b: 'y' })
  expect(duplicateFeatures([named('delays_v2', 'delays', { a: 'x' })], [there])).toEqual([])
  expect(duplicateFeatures([named('other_v1', 'other', { c: 'y', d: 'z' })], [there])).toEqual([
    expect.stringMatching(/other_v1\.c computes the same as delays_v1\.b of delays@example\.com/),
  ])
  expect(duplicateFeatures([named('one_v1', 'one', { c: 'y', d: 'y' })])).toHaveLength(1)
})
