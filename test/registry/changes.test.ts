/** The table of changes: one definition change per field and kind, with its verdict and what is said about it. */
import { describe, expect, test } from 'vitest'
import {
  asServed,
  count,
  entity,
  env,
  feature,
  featureGroup,
  featureService,
  groupIdsOf,
  gt,
  histogram,
  mapGroup,
  mean,
  notEmpty,
  nullRate,
  onDemand,
  parquet,
  quantile,
  queryGroup,
  topK,
  type AggregateFeature,
  type BoundGroup,
  type FeatureGroup,
  type FeatureService,
} from '../../model/index.ts'
import { changeKinds } from '../../registry/changes.ts'
import type { Json } from '../../registry/canonicalJson.ts'
import { registrationOf, serviceJson } from '../../registry/definition.ts'
import { describeChange, type ChangeVerdict } from '../../registry/describeChange.ts'
import { describeService, featuresNeededBy, preJoinedGroups } from '../../registry/describeService.ts'
import { duplicateFeatures } from '../../registry/duplicates.ts'
import { featureFingerprints } from '../../registry/fingerprint.ts'
import { onDemandHash } from '../../registry/onDemandMeaning.ts'
import type { RegisteredGroup } from '../../registry/registry.ts'
import { serviceColumns } from '../../registry/serviceColumns.ts'

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
  'group.buckets': [
    { buckets: { key: 'origin', count: 4 } } as object,
    'breaking',
    /^buckets was added: \{"count":4,"key":"origin"\}/,
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

  const alwaysBreaking = ['entity.keys', 'group.every', 'group.buckets', 'feature removed']
  for (const [what, [changes, verdict]] of Object.entries(groupChanges)) {
    const expected = verdict !== 'breaking' || alwaysBreaking.includes(what) ? verdict : 'fix'
    test(`${what}, said to be a fix: ${expected}`, () => {
      const change = changed({ fix: 'it was computed wrongly', ...changes })
      expect(change.verdict).toBe(expected)
    })
  }

  test('a table is made once: other buckets are another version', () => {
    const bucketed = (key: string, count: number) =>
      featureGroup({
        ...definition,
        entity: entity({ name: 'route', keys: { origin: 'string', destination: 'string' } }),
        ...(count === 0 ? {} : { buckets: { key, count } }),
      })
    for (const [after, sentence] of [
      [bucketed('origin', 8), /^buckets\.count was 4 and is 8 now/],
      [bucketed('destination', 4), /^buckets\.key was "origin" and is "destination" now/],
      [bucketed('origin', 0), /^buckets was removed \(it was \{"count":4,"key":"origin"\}\)/],
    ] as const) {
      const { verdict, sentences } = changeOf(bucketed('origin', 4), after)
      expect([verdict, ...sentences]).toEqual([
        'breaking',
        expect.stringMatching(sentence),
        'delays_v1 has published results that this would change. Define it as version 2; delays_v1 stays as it is.',
      ])
    }
    expect(changeOf(bucketed('origin', 4), bucketed('origin', 4)).verdict).toBe('unchanged')
    // What was registered before there were buckets says nothing of them.
    expect(registeredOf(featureGroup(definition)).definition).not.toHaveProperty('buckets')
  })

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

  const group = featureGroup(definition)
  const far = group.as('far', { origin: 'destination' })
  const slack = (changes: object = {}, codeHash = 'c0') => ({
    ...onDemand({
      ...{ name: 'slack', request: { distance: 'int64' } },
      reads: [group.pick('mean_delay', 'median'), far.pick('mean_delay')],
      features: { slack: feature('float64'), is_long: feature('boolean') },
      compute: () => ({}),
      ...changes,
    }),
    codeHash,
  })
  const second = onDemand({
    ...{ name: 'second', request: { wind: 'float64' }, features: { gust: feature('float64') } },
    compute: () => ({}),
  })
  type Given = Partial<Parameters<typeof featureService>[0]>
  const base: Given = { features: [group.pick('median'), far.pick('mean_delay')], onDemand: [slack()] }
  /** As it comes back from the registry: through JSON. */
  const kept = (given: Given = {}) =>
    JSON.parse(
      JSON.stringify(serviceJson(featureService({ name: 'm', ...base, ...given } as FeatureService))),
    ) as Json

  test.each<[string, Given, ChangeVerdict, RegExp | null]>([
    ['nothing', {}, 'unchanged', null],
    [
      'a key that is named as it is called anyway',
      { features: [group.pick('median'), group.as('far', { origin: 'destination' }).pick('mean_delay')] },
      'unchanged',
      null,
    ],
    [
      'a stored feature more',
      { features: [...(base.features ?? []), far.pick('median')] },
      'additive',
      /^delays_v1\.median as far \(origin from destination\) added at the end\.$/,
    ],
    [
      'on-demand features more',
      { onDemand: [slack(), second] },
      'additive',
      /^on-demand features second added at the end\. Requests bring wind \(float64\) for them\.$/,
    ],
    [
      'on-demand features before',
      { onDemand: [second, slack()] },
      'breaking',
      /had the on-demand features slack and has second, slack now.*another name/,
    ],
    [
      'no on-demand features',
      { onDemand: [] },
      'breaking',
      /had the on-demand features slack and has nothing now/,
    ],
    [
      'another role',
      { features: [group.pick('median'), group.as('away', { origin: 'destination' }).pick('mean_delay')] },
      'breaking',
      /had delays_v1\.median, delays_v1\.mean_delay as far \(origin from destination\) and has delays_v1\.median, delays_v1\.mean_delay as away/,
    ],
    [
      'other keys',
      {
        features: [group.pick('median'), group.as('far', {}).pick('mean_delay')],
        onDemand: [slack({ reads: [] })],
      },
      'breaking',
      /as far \(origin from origin\) now/,
    ],
    [
      'no role',
      { features: [group.pick('median', 'mean_delay')] },
      'breaking',
      /and has delays_v1\.median, delays_v1\.mean_delay now/,
    ],
    [
      'the code',
      { onDemand: [slack({}, 'c1')] },
      'breaking',
      /feature service m: on-demand features slack changed \(the code of the function, or what it imports, is another\): .*Give the service another name/,
    ],
    [
      'the request',
      { onDemand: [slack({ request: { distance: 'float64' } })] },
      'breaking',
      /request was \{"distance":"int64"\} and is \{"distance":"float64"\} now/,
    ],
    [
      'what is read',
      { onDemand: [slack({ reads: [group.pick('median')] })] },
      'breaking',
      /reads was \[.*\] and is \["delays_v1\.median"\] now/,
    ],
    [
      'the order of what is read',
      { onDemand: [slack({ reads: [far.pick('mean_delay'), group.pick('median', 'mean_delay')] })] },
      'cosmetic',
      /on-demand features/,
    ],
    [
      'what is made',
      { onDemand: [slack({ features: { slack: feature('float32'), is_long: feature('boolean') } })] },
      'breaking',
      /features was \[\["slack","float64"\],\["is_long","boolean"\]\] and is \[\["slack","float32"\]/,
    ],
    [
      'the order of what is made',
      { onDemand: [slack({ features: { is_long: feature('boolean'), slack: feature('float64') } })] },
      'breaking',
      /features was/,
    ],
    [
      'prose and defaults of what is made',
      {
        onDemand: [
          slack({
            description: 'x',
            features: { slack: feature('float64', { default: 0 }), is_long: feature('boolean') },
          }),
        ],
      },
      'cosmetic',
      /on-demand features/,
    ],
  ])('%s: %s', (_, given, verdict, sentence) => {
    const change = describeService('m', kept(), kept(given))
    expect(change.verdict, change.sentences.join('\n')).toBe(verdict)
    if (sentence === null) expect(change.sentences).toEqual([])
    else expect(change.sentences.join('\n')).toMatch(sentence)
    const hashes = [slack(), given.onDemand?.find(({ name }) => name === 'slack')].map(
      (one) => one && onDemandHash(one),
    )
    const isAnother = /slack changed/.test(change.sentences.join())
    if (hashes[1] !== undefined) expect(hashes[0] === hashes[1]).toBe(!isAnother)
  })

  test('one that was registered before there were roles and on-demand features is the same', () => {
    const old = { name: 'm', features: [{ group: 'delays_v1', features: ['median'] }] }
    expect(kept({ features: [group.pick('median')], onDemand: [] })).toEqual(old)
    expect(
      describeService('m', old, kept({ features: [group.pick('median')], onDemand: undefined })),
    ).toEqual({
      ...{ verdict: 'unchanged', sentences: [] },
    })
  })

  test('to be pre-joined, or not any more, changes no value and is said, also beside more features', () => {
    const second = featureGroup({ ...definition, name: 'others' })
    const features = [group.pick('median'), second.pick('worst')]
    const onDemands: FeatureService['onDemand'][] = [
      undefined,
      [slack({ reads: [group.pick('mean_delay')] })],
    ]
    for (const of of onDemands) {
      const [apart, joined] = [false, true].map((preJoined) => kept({ features, onDemand: of, preJoined }))
      expect(apart).not.toHaveProperty('preJoined')
      expect(describeService('m', apart, joined as Json)).toEqual({
        verdict: 'cosmetic',
        sentences: [expect.stringMatching(/^pre-joined from now on: the next load of each group also fills/)],
      })
      expect(describeService('m', joined, apart as Json)).toEqual({
        verdict: 'cosmetic',
        sentences: [
          expect.stringMatching(/^not pre-joined any more: the next load of each group takes its slot away/),
        ],
      })
      expect(describeService('m', joined, joined as Json).verdict).toBe('unchanged')
      const more = kept({ features: [...features, group.pick('worst')], onDemand: of })
      expect(describeService('m', joined, more)).toEqual({
        verdict: 'additive',
        sentences: ['delays_v1.worst added at the end.', expect.stringMatching(/^not pre-joined any more/)],
      })
    }
  })

  test('the groups that a pre-joined one wants joined are those of its features and of its reads', () => {
    const [second, third] = ['others', 'third'].map((name) => featureGroup({ ...definition, name }))
    const service = featureService({
      name: 'm',
      features: [
        group.pick('median'),
        second?.pick('worst'),
        group.pick('worst'),
      ] as FeatureService['features'],
      onDemand: [slack({ reads: [third?.pick('spread'), group.pick('mean_delay')] })],
      preJoined: true,
    })
    const definitionOf = (one: FeatureService) => JSON.parse(JSON.stringify(serviceJson(one))) as Json
    expect(preJoinedGroups(definitionOf(service))).toEqual(['delays_v1', 'others_v1', 'third_v1'])
    expect(preJoinedGroups(definitionOf(service))).toEqual(groupIdsOf(service))
    expect(preJoinedGroups(definitionOf({ ...service, preJoined: false }))).toBe(null)
    expect(preJoinedGroups(null)).toBe(null)
  })

  test('what it takes and what its functions read are what it needs', () => {
    const reading = kept({ features: [group.pick('worst')] })
    expect(featuresNeededBy(reading)).toEqual(['delays_v1.worst', 'delays_v1.mean_delay', 'delays_v1.median'])
    expect(featuresNeededBy(null)).toEqual([])
  })

  test('its columns are the stored ones under their roles, and then what is made', () => {
    const stored = { kind: 'stored', group: 'delays_v1' }
    const made = { kind: 'on_demand', onDemand: 'slack' }
    expect(serviceColumns(kept())).toEqual([
      { name: 'median', from: { ...stored, feature: 'median' } },
      { name: 'far__mean_delay', from: { ...stored, feature: 'mean_delay' } },
      { name: 'slack', from: { ...made, type: 'float64' } },
      { name: 'is_long', from: { ...made, type: 'boolean' } },
    ])
    expect(serviceColumns(null)).toEqual([])
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
    const isOfGroup = what === 'feature removed' || what === 'group.buckets'
    expect(same, what).toBe(verdict !== 'breaking' || isOfGroup)
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
