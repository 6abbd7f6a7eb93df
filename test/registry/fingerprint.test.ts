import { describe, expect, test } from 'vitest'
import {
  count,
  entity,
  env,
  eq,
  feature,
  featureGroup,
  featureService,
  gt,
  inRange,
  mean,
  notEmpty,
  nullRate,
  onDemand,
  parquet,
  share,
  sum,
  type AggregateFeature,
  type BoundGroup,
  type FeatureGroupDefinition,
  type FeatureGroup,
  type FeatureType,
} from '../../model/index.ts'
import { canonicalJson, plainData } from '../../registry/canonicalJson.ts'
import { definitionJson, registrationOf, serviceJson } from '../../registry/definition.ts'
import { describeChange } from '../../registry/describeChange.ts'
import { onDemandHash } from '../../registry/onDemandMeaning.ts'
import type { RegisteredGroup } from '../../registry/registry.ts'
import { featureFingerprint, featureFingerprints, groupFingerprint } from '../../registry/fingerprint.ts'

const source = {
  name: 'flights',
  path: env('FLIGHTS'),
  timestamp: 'date',
  timeZone: 'UTC',
  completeFrom: '2001-01-01',
}
const features = {
  departures: count({ over: '24h' }),
  mean_delay: mean('delay', { over: '24h', where: gt('distance', 100) }),
  late_share: share(gt('delay', 15), { over: '7d' }),
}
const definition = {
  name: 'delays',
  version: 1,
  owner: 'a@example.com',
  description: 'Delays',
  entity: entity({ name: 'airport', keys: { origin: 'string' } }),
  source: parquet(source),
  every: '1h' as const,
  availableAfter: '15m' as const,
  features,
  gates: [notEmpty(), nullRate('mean_delay', { max: 0.05 })],
}
const group = featureGroup(definition)
type Changes = Partial<FeatureGroupDefinition<Record<string, AggregateFeature>>>
// Gates name features; these changes take some away.
const changed = (changes: Changes): FeatureGroup =>
  featureGroup<Record<string, AggregateFeature>>({ ...definition, gates: [], ...changes })
const over = (name: string, feature: AggregateFeature): Changes => ({
  features: { ...features, [name]: feature },
})

const sameResult: Record<string, Changes> = {
  owner: { owner: 'b@example.com' },
  description: { description: 'Other words' },
  gates: { gates: [] },
  ttl: { ttl: '7d' },
  lateness: { lateness: '6h' },
  online: { online: false },
  'source name and prose': { source: parquet({ ...source, name: 'departures', description: 'x' }) },
  retention: { source: parquet({ ...source, retention: '900d' }) },
  'a fix is said, not computed': { fix: 'the zone was wrong' },
  'entity name': { entity: entity({ name: 'field', description: 'x', keys: { origin: 'string' } }) },
  'description of a feature': over('departures', count({ over: '24h', description: 'x' })),
  'another way to write a window': over('departures', count({ over: '1d' })),
  'another way to write the cadence': { every: '60m' },
  'another way to write an instant': {
    source: parquet({ ...source, completeFrom: '2001-01-01T01:00:00+01:00' }),
  },
  'what holds for local times anyway': {
    source: parquet({ ...source, nonexistent: 'refuse', ambiguous: 'later' }),
  },
  'order of features': { features: Object.fromEntries(Object.entries(features).reverse()) },
}

const otherResult: Record<string, Changes> = {
  'name of a key': { entity: entity({ name: 'airport', keys: { airport: 'string' } }) },
  'type of a key': { entity: entity({ name: 'airport', keys: { origin: 'int64' } }) },
  path: { source: parquet({ ...source, path: 'flights' }) },
  'name in the environment': { source: parquet({ ...source, path: env('OTHER') }) },
  'default path': { source: parquet({ ...source, path: env('FLIGHTS', 'data') }) },
  timestamp: { source: parquet({ ...source, timestamp: 'time' }) },
  timeZone: { source: parquet({ ...source, timeZone: 'Europe/Rome' }) },
  'no timeZone': { source: parquet({ ...source, timeZone: undefined }) },
  completeFrom: { source: parquet({ ...source, completeFrom: '2001-01-02' }) },
  every: { every: '2h' },
  availableAfter: { availableAfter: '16m' },
  allowPartialWindows: { allowPartialWindows: true },
  buckets: { buckets: { key: 'origin', count: 4 } },
  'more buckets': { buckets: { key: 'origin', count: 8 } },
  'a feature more': over('more', count({ over: '24h' })),
  'a feature by another name': {
    features: {
      leaving: features.departures,
      mean_delay: features.mean_delay,
      late_share: features.late_share,
    },
  },
  aggregate: over('mean_delay', sum('delay', { over: '24h', where: gt('distance', 100) })),
  column: over('mean_delay', mean('distance', { over: '24h', where: gt('distance', 100) })),
  'where gone': over('mean_delay', mean('delay', { over: '24h' })),
  'where changed': over('mean_delay', mean('delay', { over: '24h', where: gt('distance', 101) })),
  condition: over('late_share', share(gt('delay', 16), { over: '7d' })),
  over: over('departures', count({ over: '25h' })),
}

describe('a fingerprint', () => {
  for (const [what, change] of Object.entries(sameResult)) {
    test(`stays: ${what}`, () => expect(groupFingerprint(changed(change))).toBe(groupFingerprint(group)))
  }
  for (const [what, change] of Object.entries(otherResult)) {
    test(`changes: ${what}`, () =>
      expect(groupFingerprint(changed(change))).not.toBe(groupFingerprint(group)))
  }

  test('differs between all the changes', () => {
    const all = Object.values(otherResult).map((change) => groupFingerprint(changed(change)))
    expect(new Set(all).size).toBe(all.length)
  })

  test('is pinned: a change of it makes every published interval count as missing', () => {
    expect(groupFingerprint(group)).toMatchInlineSnapshot(
      `"fed2ec222484296e4ea1baea0e3e42ccaf9fc2b6d369040bb019e47027f97aed"`,
    )
  })

  test('of a feature is that of what it computes, whatever its name and neighbours', () => {
    const twin = changed(over('twin', count({ over: '1d' })))
    expect(featureFingerprints(twin)['twin']).toBe(featureFingerprint(group, 'departures'))
    expect(featureFingerprint(twin, 'twin')).toBe(featureFingerprint(group, 'departures'))
    expect(featureFingerprint(twin, 'twin')).not.toBe(featureFingerprint(group, 'late_share'))
    const bucketed = changed({ buckets: { key: 'origin', count: 4 } })
    expect(featureFingerprints(bucketed)).toEqual(featureFingerprints(group))
    expect(() => featureFingerprint(group, 'nothing')).toThrow(/no feature "nothing".*departures/)
    expect(() => featureFingerprint(group, 'constructor')).toThrow(/no feature/)
  })

  test('covers int64 literals beyond 2^53 and tells them from numbers', () => {
    const literals = [9007199254740992n, 9007199254740993n, 9007199254740992, '9007199254740993', true, 1]
    const prints = literals.map((value) =>
      groupFingerprint(changed(over('late_share', share(eq('id', value), { over: '7d' })))),
    )
    expect(new Set(prints).size).toBe(literals.length)
  })

  test('depends on the order of keys', () => {
    const route = entity({ name: 'route', keys: { origin: 'string', destination: 'string' } })
    const back = entity({ name: 'route', keys: { destination: 'string', origin: 'string' } })
    expect(groupFingerprint(changed({ entity: route }))).not.toBe(groupFingerprint(changed({ entity: back })))
  })
})

test('canonical JSON has one spelling, and one for each value', () => {
  expect(canonicalJson({ b: 1, a: [{ d: undefined, c: null }] })).toBe('{"a":[{"c":null}],"b":1}')
  expect(canonicalJson({ n: 2n ** 63n })).toBe('{"n":{"int64":"9223372036854775808"}}')
  expect([Number.NaN, Infinity, -Infinity].map(canonicalJson)).toEqual([
    '{"float64":"NaN"}',
    '{"float64":"Infinity"}',
    '{"float64":"-Infinity"}',
  ])
  expect(() => plainData(() => 1)).toThrow(/function cannot be kept/)
})

test('the hash of on-demand features is pinned: a change of it takes their function from every training set', () => {
  const made = onDemand({
    name: 'slack',
    request: { distance: 'int64' },
    reads: [group.pick('mean_delay'), group.as('far', { origin: 'destination' }).pick('mean_delay')],
    features: { slack: feature('float64') },
    compute: () => ({}),
  })
  made.codeHash = 'c0'
  expect(onDemandHash(made)).toMatchInlineSnapshot(
    `"12189d51a0c37a2f858880bc58ea78c4a9413bfcda1d5e72dc37ab4142321e3e"`,
  )
})

describe('a definition as data', () => {
  test('is what JSON can hold, without functions', () => {
    const json = definitionJson(changed(over('late_share', share(eq('id', 5n), { over: '7d' }))))
    expect(JSON.parse(JSON.stringify(json))).toEqual(json)
    expect(json).toMatchObject({
      name: 'delays',
      version: 1,
      ttl: null,
      entity: { name: 'airport', keys: [{ name: 'origin', type: 'string' }] },
      sources: { flights: { format: 'parquet', path: { env: 'FLIGHTS' } } },
      compute: { kind: 'aggregate' },
      features: { late_share: { aggregate: 'share', condition: { value: { int64: '5' } } } },
    })
    expect(Object.keys(json)).not.toContain('pick')
  })

  test('of a service names features by group', () => {
    const service = featureService({ name: 'model_v1', features: [group.pick('late_share', 'departures')] })
    expect(serviceJson(service)).toEqual({
      name: 'model_v1',
      features: [{ group: 'delays_v1', features: ['late_share', 'departures'] }],
    })
  })

  test('of a service names roles with every key, and what is made on demand in its order', () => {
    const far = group.as('far', { origin: 'destination' })
    const made = onDemand({
      name: 'slack',
      description: 'x',
      reads: [group.as('same', {}).pick('mean_delay')],
      features: { slack: feature('float64', { default: 0 }), is_long: feature('boolean') },
      compute: () => ({}),
    })
    const service = featureService({ name: 'model_v1', features: [far.pick('departures')], onDemand: [made] })
    expect(serviceJson(service)).toEqual({
      name: 'model_v1',
      features: [
        { group: 'delays_v1', features: ['departures'], role: 'far', keys: { origin: 'destination' } },
      ],
      onDemand: [
        {
          ...{ name: 'slack', description: 'x', request: {}, codeHash: null },
          reads: [{ group: 'delays_v1', features: ['mean_delay'], role: 'same', keys: { origin: 'origin' } }],
          features: [
            { name: 'slack', kind: 'declared', type: 'float64', default: 0 },
            { name: 'is_long', kind: 'declared', type: 'boolean' },
          ],
        },
      ],
    })
  })
})

describe('a change', () => {
  const bind = (one: FeatureGroup, types: Record<string, FeatureType> = {}): BoundGroup => ({
    group: one,
    keys: Object.entries(one.entity.keys).map(([name, type]) => ({ name, type })),
    features: Object.keys(one.features).map((name) => ({ name, type: types[name] ?? 'float64' })),
  })
  // As it comes back from the registry: through JSON.
  const registered = JSON.parse(
    JSON.stringify({ ...registrationOf(bind(group), 5), revision: 1 }),
  ) as RegisteredGroup
  const describeOf = (changes: Changes, types?: Record<string, FeatureType>) =>
    describeChange(
      registered,
      bind(featureGroup<Record<string, AggregateFeature>>({ ...definition, ...changes }), types),
    )

  test('of nothing is none, and a group that is not registered is new', () => {
    expect(describeOf({})).toEqual({ verdict: 'unchanged', sentences: [], added: [], fixed: [] })
    expect(describeChange(null, bind(group))).toEqual({
      verdict: 'new',
      sentences: ['feature group delays_v1 is new, with 3 features.'],
      added: ['departures', 'mean_delay', 'late_share'],
      fixed: [],
    })
  })

  test('of prose, gates, ttl or order is cosmetic and is told', () => {
    const gates = [notEmpty({ onViolation: 'warn' }), inRange('late_share', 0, 1)]
    expect(describeOf({ owner: 'b@example.com', ttl: '7d', gates })).toMatchObject({
      verdict: 'cosmetic',
      sentences: [
        'owner was "a@example.com" and is "b@example.com" now.',
        'ttl was null and is "7d" now.',
        'gate not_empty.onViolation was "block" and is "warn" now.',
        'gate null_rate(mean_delay) was removed (it was {"feature":"mean_delay","gate":"null_rate","onViolation":"block","params":{"max":0.05}}).',
        'gate in_range(late_share) was added: {"feature":"late_share","gate":"in_range","onViolation":"block","params":{"max":1,"min":0}}.',
      ],
    })
    const { departures, ...rest } = features
    expect(describeOf({ features: { ...rest, departures } })).toMatchObject({
      verdict: 'cosmetic',
      sentences: [
        'the features stood in the order departures, mean_delay, late_share and stand in the order mean_delay, late_share, departures now.',
      ],
    })
  })

  test('of what is computed is breaking and says how to go on', () => {
    const next = {
      mean_delay: features.mean_delay,
      late_share: share(gt('delay', 20), { over: '7d' }),
      more: count({ over: '1h' }),
    }
    const { verdict, sentences } = describeOf({ features: next })
    expect(verdict).toBe('breaking')
    expect(sentences).toEqual([
      expect.stringMatching(/^feature departures was removed/),
      'feature late_share.condition.value was 15 and is 20 now.',
      expect.stringMatching(/^feature more was added/),
      // No fix takes a column away.
      expect.stringMatching(/Define it as version 2; delays_v1 stays as it is\.$/),
    ])
  })

  test('of a type in the source is breaking under the same definition', () => {
    const { verdict, sentences } = describeOf({}, { mean_delay: 'float32' })
    expect(verdict).toBe('breaking')
    expect(sentences[0]).toBe('feature mean_delay had the type float64 and has float32 now.')
  })
})
