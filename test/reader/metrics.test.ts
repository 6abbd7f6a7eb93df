/** `/metrics`, read by a small strict parser of the text format (0.0.4), and what it counts of real requests. */
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { openLmdb, type OnlineStore } from '../../online/index.ts'
import { createAccess, createEdge } from '../../reader/index.ts'
import { counter, gauge, histogram, writeFamilies } from '../../reader/prometheus.ts'
import { atEnd, airports, bearer, loadedAtMs, openFilled, serve, trips } from '../support/servedGroups.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

type Samples = Map<string, number>

/**
 * Samples by name and labels, as written. Strict: HELP and TYPE once, in front of a family's samples, which stand
 * together; no sample twice; buckets that add up.
 * @throws Error that shows the line
 */
function parseText(text: string): Samples {
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const samples: Samples = new Map()
  const seen = new Set<string>()
  let family = { name: '', type: '' }
  for (const line of text.slice(0, -1).split('\n')) {
    const [, what, name = '', rest = ''] = /^# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)$/.exec(line) ?? []
    if (what === 'HELP') {
      if (seen.has(name)) throw new Error(`twice: ${line}`)
      seen.add(name)
      family = { name, type: '' }
    } else if (what === 'TYPE') {
      if (family.name !== name || family.type !== '') throw new Error(`not after its HELP: ${line}`)
      if (!['counter', 'gauge', 'histogram'].includes(rest)) throw new Error(line)
      family.type = rest
    } else {
      const [, sample, value] = sampleLine.exec(line) ?? []
      if (sample === undefined || value === undefined || samples.has(sample)) throw new Error(line)
      const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
      if (!suffixes.some((suffix) => sample.split('{')[0] === family.name + suffix)) throw new Error(line)
      if (family.type === 'counter' && !(Number(value) >= 0)) throw new Error(line)
      samples.set(sample, Number(value.replace('Inf', 'Infinity')))
    }
  }
  return samples
}
const label = String.raw`[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*"`
const sampleLine = new RegExp(
  String.raw`^([a-zA-Z_:][\w:]*(?:\{${label}(?:,${label})*\})?) ((?:[+-]?Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?))$`,
)

describe('the text', () => {
  test('escapes what a label or a help may hold, and writes every number', () => {
    const odd = counter('odd_total', 'A \\ and\na line.', ['of', 'and'])
    odd.add(1, 'a"b\\c\nd', 'é{},=')
    odd.add(2.5, '', '')
    odd.add(1e21, 'a"b\\c\nd', 'é{},=')
    const text = writeFamilies([
      odd,
      gauge('least', 'Least.', () => -Infinity),
      gauge('no', 'No.', () => Number.NaN),
    ])
    expect(text).toBe(
      '# HELP odd_total A \\\\ and\\na line.\n# TYPE odd_total counter\n' +
        'odd_total{of="a\\"b\\\\c\\nd",and="é{},="} 1e+21\nodd_total{of="",and=""} 2.5\n' +
        '# HELP least Least.\n# TYPE least gauge\nleast -Inf\n# HELP no No.\n# TYPE no gauge\nno NaN\n',
    )
    expect(parseText(text).get('least')).toBe(-Infinity)
  })

  test('puts an observation into its bucket, at the upper end too', () => {
    const times = histogram('times', 'Times.', 'of', [0.1, 1])
    for (const seconds of [0.05, 0.1, 0.5, 7]) times.observe(seconds, 'a')
    expect([...parseText(writeFamilies([times]))]).toEqual([
      ['times_bucket{of="a",le="0.1"}', 2],
      ['times_bucket{of="a",le="1"}', 3],
      ['times_bucket{of="a",le="+Inf"}', 4],
      ['times_sum{of="a"}', 7.65],
      ['times_count{of="a"}', 4],
    ])
  })

  test.each([
    'a 1',
    '# HELP a A.\n# TYPE a gauge\na{b="c} 1\n',
    '# HELP a A.\n# TYPE a gauge\na{b="c"d"} 1\n',
    '# HELP a A.\n# TYPE a gauge\na 1\na 1\n',
    '# HELP a A.\n# TYPE a gauge\nb 1\n',
    '# HELP a A.\n# TYPE a counter\na -1\n',
    '# HELP a A.\n# TYPE a gauge\na one\n',
  ])('the parser refuses %j', (text) => {
    expect(() => parseText(text)).toThrow()
  })
})

describe('the reader', () => {
  const folder = temporaryFolder('metrics')
  const online = `/feature-groups/${airports}/online`
  let store: OnlineStore
  beforeAll(async () => {
    store = await openFilled(join(folder, 'lmdb'))
  })

  test('counts requests by route and code, and nothing that a client makes up', async () => {
    const edge = createEdge({ bounds: { deadlineMs: 20_000 } })
    const { get } = await serve(store, { edge })
    for (const path of [
      ...[`${online}?entity_ids=ATL`, `${online}?entity_ids=SECRET`, `${online}?entity_id=ATL`],
      ...['/feature-groups/SECRET/online?entity_ids=ATL', '/SECRET', '/health', '/ready'],
    ])
      await get(path)
    await get(`${online}?entity_ids=ATL`, { method: 'HEAD' })
    const { text, headers } = await get('/metrics')
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(text).not.toContain('SECRET')
    const samples = parseText(text)
    const route = '/feature-groups/:id/online'
    const expected: [string, number][] = [
      [`asof_reader_requests_total{route="${route}",code="200"}`, 3],
      [`asof_reader_requests_total{route="${route}",code="400"}`, 1],
      [`asof_reader_requests_total{route="${route}",code="404"}`, 1],
      ['asof_reader_requests_total{route="none",code="404"}', 1],
      ['asof_reader_requests_total{route="/ready",code="200"}', 1],
      [`asof_reader_request_duration_seconds_count{route="${route}"}`, 5],
      [`asof_reader_request_duration_seconds_bucket{route="${route}",le="+Inf"}`, 5],
      [`asof_reader_entities_total{group="${airports}"}`, 3],
      [`asof_reader_values_total{group="${airports}",status="PRESENT"}`, 6],
      [`asof_reader_values_total{group="${airports}",status="NOT_FOUND"}`, 3],
      ['asof_reader_shed_total{reason="queue"}', 0],
      ['asof_reader_requests_under_way', 0],
      ['asof_reader_requests_waiting', 0],
    ]
    for (const [name, value] of expected) expect([name, samples.get(name)]).toEqual([name, value])
    const sum = samples.get(`asof_reader_request_duration_seconds_sum{route="${route}"}`) ?? 0
    expect(sum).toBeGreaterThan(0)
    expect(sum).toBeLessThan(20)
    expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(1e7)
    expect(samples.get('process_cpu_seconds_total')).toBeGreaterThan(0)
    expect(samples.get('asof_reader_event_loop_lag_seconds')).toBeGreaterThanOrEqual(0)
    expect((samples.get('process_start_time_seconds') ?? 0) * 1000).toBeLessThan(Date.now())
  })

  test('says of every group how old it is, when it is asked', async () => {
    let now = loadedAtMs + 90 * 60_000 + 1
    const { get } = await serve(store, { nowMs: () => now })
    const read = async () => parseText((await get('/metrics')).text)
    const first = await read()
    expect(first.get(`asof_reader_group_age_seconds{group="${airports}"}`)).toBe(5400.001)
    expect(first.get(`asof_reader_group_stale{group="${airports}"}`)).toBe(1)
    expect(first.get(`asof_reader_group_stale{group="${trips}"}`)).toBe(0)
    expect(first.get(`asof_reader_group_loaded{group="${trips}"}`)).toBe(1)
    now -= 1
    expect((await read()).get(`asof_reader_group_stale{group="${airports}"}`)).toBe(0)
  })

  test('answers without its store, and only to those who may ask', async () => {
    const closed = openLmdb({ path: join(folder, 'closed'), store: 'test' })
    await closed.close()
    const token = 'a-token-that-is-long'
    const edge = createEdge({ access: createAccess([token]) })
    const { get } = await serve(closed, { edge })
    expect((await get('/metrics')).status).toBe(401)
    const { status, text } = await get('/metrics', bearer(token))
    expect(status).toBe(200)
    const samples = parseText(text)
    expect(samples.get('asof_reader_store_up')).toBe(0)
    expect(samples.get('asof_reader_requests_total{route="/metrics",code="401"}')).toBe(1)
    expect(text).not.toContain(token)
  })

  test('counts what is shed', async () => {
    let open: (value: unknown) => void = () => undefined
    const door = new Promise((resolve) => (open = resolve))
    atEnd(() => open(null))
    const edge = createEdge({ bounds: { concurrency: 1, queue: 1, deadlineMs: 20_000 } })
    const held: OnlineStore = {
      ...store,
      listGroups: () => store.listGroups(),
      readCard: (group) => store.readCard(group),
      fetch: (asks) => door.then(() => store.fetch(asks)),
    }
    const { get } = await serve(held, { edge })
    const all = [1, 2, 3].map(() => get(`${online}?entity_ids=ATL`))
    expect((await Promise.race(all)).status).toBe(503)
    const samples = parseText((await get('/metrics')).text)
    expect(samples.get('asof_reader_shed_total{reason="queue"}')).toBe(1)
    expect(samples.get('asof_reader_requests_under_way')).toBe(1)
    expect(samples.get('asof_reader_requests_waiting')).toBe(1)
    open(null)
    await Promise.all(all)
  })
})
