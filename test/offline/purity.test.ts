/** The purity check against functions that are pure and a hundred that are not, drawn at random. */
import { randomInt } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  entity,
  feature,
  InputError,
  mapGroup,
  parquet,
  type MapFunction,
  type MapInput,
} from '../../model/index.ts'
import { bindGroup, bindSources, checkPurity, query } from '../../offline/index.ts'
import { compareWindows } from '../../offline/purity.ts'
import { randomFrom, type Random } from './random.ts'
import { filesOf, inputError, workbench } from './workbench.ts'

const bench = workbench()

const groupOf = (map: MapFunction, path = 'nowhere.parquet') =>
  mapGroup({
    ...{ name: 'judged', version: 1, owner: 'o@example.com', description: 'd' },
    entity: entity({ name: 'thing', keys: { k: 'string' } }),
    source: parquet({ name: 'events', path, timestamp: 't', timeZone: 'UTC' }),
    ...{ every: '1h', over: '1d', columns: ['t', 'v', 's'], map },
    features: { out: feature('string') },
  })

/** Forty entities with a few events each, and one empty window. */
function windows(): MapInput[] {
  return Array.from({ length: 40 }, (_, index) => {
    const at = Date.UTC(2001, 0, 1 + (index % 28), index % 24)
    const events = Array.from({ length: index % 5 }, (__, n) =>
      Object.freeze({
        t: at - 36e5 * (5 - n) + 0.5,
        v: (index * 7 + n) / 4,
        s: ['ä', 'z', 'I', 'ß'][n % 4] ?? '',
      }),
    )
    return { key: { k: `k${index}` }, at, events }
  })
}

function verdict(map: MapFunction): string | null {
  const bound = { group: groupOf(map), keys: [], features: [{ name: 'out', type: 'string' as const }] }
  try {
    compareWindows(bound, windows())
    return null
  } catch (error) {
    if (error instanceof InputError) return error.message
    throw error
  }
}

const sum = ({ events }: MapInput) => events.reduce((total, { v }) => total + Number(v), 0)

/** Each makes a fresh impure function; the number varies what it does with its impurity. */
const impurities: Readonly<Record<string, (random: Random) => MapFunction>> = {
  clock: (random) => {
    const now = random.pick([
      () => Date.now(),
      () => +new Date(),
      () => performance.now(),
      () => process.hrtime()[0],
    ])
    return (input) => ({ out: String(sum(input) + Math.floor(now() / 1e6)) })
  },
  chance: (random) => {
    const draw = random.pick([
      () => Math.random(),
      () => randomInt(100),
      () => crypto.getRandomValues(new Uint8Array(1))[0],
    ])
    return (input) => ({ out: `${sum(input)} ${draw()}` })
  },
  'swallowed chance': () => (input) => {
    try {
      return { out: String(sum(input) + Math.random()) }
    } catch {
      return { out: String(sum(input)) }
    }
  },
  locale: (random) => {
    const format = random.pick([
      (n: number) => n.toLocaleString(),
      (n: number) => new Intl.NumberFormat().format(n),
      (n: number) => String(`a${n}`.localeCompare('ä')),
    ])
    return (input) => ({ out: format(1000 + sum(input)) })
  },
  zone: (random) => {
    const part = random.pick([
      (d: Date) => d.getHours(),
      (d: Date) => d.getDate(),
      (d: Date) => d.getTimezoneOffset(),
      (d: Date) => d.toString(),
      (d: Date) => new Date(d.getFullYear(), d.getMonth(), 1).getTime(),
      (d: Date) => Date.parse(d.toISOString().slice(0, 19)),
    ])
    return ({ at }) => ({ out: String(part(new Date(at))) })
  },
  'shared state': (random) => {
    const kind = random.below(3)
    let calls = 0
    let total = 0
    let before = ''
    return (input) => {
      calls += 1
      total += sum(input)
      const seen = before
      before = String(input.key['k'])
      return { out: [String(calls), String(total), seen][kind] }
    }
  },
  'iteration order': (random) => {
    const entities = new Set<string>()
    const which = random.below(2)
    return ({ key }) => {
      entities.delete(String(key['k']))
      entities.add(String(key['k']))
      const all = [...entities]
      return { out: which === 0 ? all[0] : all.join().slice(0, 12) }
    }
  },
  network: (random) => {
    const call = random.pick([() => fetch('http://localhost:9'), () => setTimeout(() => undefined, 0)])
    return (input) => {
      void call()
      return { out: String(sum(input)) }
    }
  },
  'a cache by a part of the key': () => {
    const cache = new Map<number, string>()
    return (input) => {
      const slot = input.events.length
      if (!cache.has(slot)) cache.set(slot, String(sum(input)))
      return { out: cache.get(slot) }
    }
  },
  'state set once': () => {
    let first: string | undefined
    return (input) => {
      first ??= String(input.key['k'])
      return { out: `${first} ${sum(input)}` }
    }
  },
}

/** What two runs in one process cannot tell from a constant: the first call decides, once and for all. */
const notSeen = ['a cache by a part of the key', 'state set once']

describe('a hundred random impure functions', () => {
  const seed = Number(process.env['ASOF_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

  test(`of seed ${seed}: all are caught but those whose first call decides for ever`, () => {
    const random = randomFrom(seed)
    const kinds = Object.keys(impurities)
    const caught: Record<string, number> = {}
    const drawn: Record<string, number> = {}
    for (let index = 0; index < 100; index += 1) {
      const kind = kinds[index % kinds.length] as keyof typeof impurities
      const found = verdict((impurities[kind] as (random: Random) => MapFunction)(random))
      drawn[kind] = (drawn[kind] ?? 0) + 1
      caught[kind] = (caught[kind] ?? 0) + (found === null ? 0 : 1)
      if (found !== null) expect(found).toMatch(/feature group judged_v1: feature out is not pure/)
    }
    // 80 of 100: eight kinds whole, and nothing of the two that `notSeen` names.
    for (const kind of kinds) expect(caught[kind], kind).toBe(notSeen.includes(kind) ? 0 : drawn[kind])
  })
})

describe('pure functions pass', () => {
  test.each<[string, MapFunction]>([
    ['sums', (input) => ({ out: String(sum(input)) })],
    ['UTC dates', ({ at }) => ({ out: `${new Date(at).toISOString()} ${new Date(at).getUTCDay()}` })],
    [
      'named locales',
      ({ events }) => ({
        out: events
          .map(({ s }) => s)
          .sort((a, b) => String(a).localeCompare(String(b), 'de'))
          .join(),
      }),
    ],
    ['NaN and -0', ({ events }) => ({ out: events.length % 2 === 0 ? String(Number.NaN) : String(-0) })],
    ['a cache by all of the input', memoized((input) => ({ out: String(sum(input)) }))],
  ])('%s', (_, map) => {
    expect(verdict(map)).toBeNull()
  })

  test('and leave the process as it was', () => {
    const before = [
      Date,
      Math.random,
      process.env['TZ'],
      fetch,
      Intl.NumberFormat,
      String.prototype.localeCompare,
      setTimeout,
    ]
    verdict((input) => ({ out: String(sum(input)) }))
    verdict(() => ({ out: String(Math.random()) }))
    expect([
      Date,
      Math.random,
      process.env['TZ'],
      fetch,
      Intl.NumberFormat,
      String.prototype.localeCompare,
      setTimeout,
    ]).toEqual(before)
    expect(randomInt(5)).toBeLessThan(5)
    expect(Date.now()).toBeGreaterThan(0)
  })
})

function memoized(map: MapFunction): MapFunction {
  const cache = new Map<string, Readonly<Record<string, unknown>>>()
  return (input) => {
    const key = JSON.stringify(input)
    const there = cache.get(key) ?? map(input)
    cache.set(key, there)
    return there
  }
}

test('the check samples real events, in order, with an empty window', async () => {
  const path = await bench.writeParquet(
    'sampled.parquet',
    "SELECT 'k' || (n % 90) AS k, TIMESTAMP '2001-01-01' + to_minutes(n) AS t, n / 2.0 AS v, 'x' AS s FROM range(3000) AS r(n)",
  )
  const seen: MapInput[] = []
  const judge = async (map: MapFunction) => {
    const group = groupOf(map, path)
    const files = await filesOf(...group.sources)
    const bound = await bindGroup(bench.connection, group, files)
    await checkPurity(bench.connection, bound, await bindSources(bench.connection, group.sources, files))
  }
  await judge((input) => {
    seen.push(input)
    return { out: String(sum(input)) }
  })
  expect(new Set(seen.map(({ key }) => key['k'])).size).toBe(40)
  expect(seen.filter(({ events }) => events.length === 0).length).toBe(80)
  for (const { at, events } of seen) {
    const times = events.map(({ t }) => Number(t))
    expect(times).toEqual([...times].sort((a, b) => a - b))
    for (const time of times) expect(time >= at - 864e5 && time < at).toBe(true)
  }
  expect(await inputError(judge(({ at }) => ({ out: String(new Date(at).getHours()) })))).toMatch(
    /feature out is not pure: for \{"k":"k\d+"\} at .* gave .*, and .* under another time zone/,
  )
  expect(await query(bench.connection, 'SELECT 1 AS one')).toEqual([{ one: 1 }])
})
