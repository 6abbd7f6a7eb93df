/**
 * What every online store must do, as one suite. A store's own test is a call to it:
 *
 * @example
 * onlineStoreConformance('lmdb', async () => ({ store, another: async () => openLmdb(...), cleanUp: async () => … }))
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { InputError, UnavailableError } from '../../model/index.ts'
import type {
  GroupCard,
  KeyValue,
  LoadMark,
  LoadOrder,
  OnlineRow,
  OnlineStore,
  ScannedRow,
  StartedLoad,
  StoredValue,
} from '../../online/store.ts'
import type { KeyColumns } from '../../online/key.ts'
import { readGroup } from '../../online/readGroup.ts'
import { compareOrder, valueSchema } from '../../online/value.ts'
import { slotRules } from './slotsConformance.ts'

export interface StoreUnderTest {
  readonly store: OnlineStore
  /**
   * Of several servers: it may have lost a card and kept values, so no load is the first; what is read is of one moment at
   * each of them; and a drop waits for calls that may be under way.
   */
  readonly isSpread?: boolean
  /** A second handle on the same store, as another process would open it. */
  another(): Promise<OnlineStore>
  cleanUp(): Promise<void>
}

export const order = (sequenceNumber: number, incarnation = 1): LoadOrder => ({
  incarnation: BigInt(incarnation),
  sequenceNumber: BigInt(sequenceNumber),
})

export const markOf = (at: LoadOrder, loadedAtMs = 1000): LoadMark => ({
  snapshotId: `${at.incarnation}.${at.sequenceNumber}`,
  order: at,
  loadedAtMs,
})

export function cardOf(group: string, change: Partial<GroupCard> = {}): Omit<GroupCard, 'complete'> {
  return {
    group,
    keys: [{ name: 'origin', type: 'string' }],
    schema: valueSchema([{ name: 'departures', type: 'int64' }]),
    defaults: {},
    ttlMs: 7 * 864e5,
    cadenceMs: 36e5,
    ...change,
  }
}

export const rowOf = (key: string, value: number | null): OnlineRow =>
  value === null
    ? { keys: [key], eventTimestampMicros: null, values: null }
    : { keys: [key], eventTimestampMicros: BigInt(value) * 10n, values: [BigInt(value)] }

export async function readValues(
  store: OnlineStore,
  group: string,
  keys: readonly (readonly KeyValue[])[],
): Promise<readonly (StoredValue | null)[]> {
  const answer = await readGroup(store, group, () => keys)
  return answer?.values ?? keys.map(() => null)
}

async function readOne(store: OnlineStore, group: string, key: string): Promise<unknown> {
  const [value] = await readValues(store, group, [[key]])
  return value?.values[0] ?? null
}

/** Every entity once, by its first key. */
export async function scanAll(store: OnlineStore, group: string): Promise<ScannedRow[]> {
  const rows = new Map<string, ScannedRow>()
  for await (const row of store.scan(group)) rows.set(row.keys.map(String).join('\n'), row)
  return [...rows.values()].sort(({ keys: [a] }, { keys: [b] }) => (String(a) < String(b) ? -1 : 1))
}

/** The same without tombstones. */
async function scanValues(store: OnlineStore, group: string) {
  return (await scanAll(store, group)).flatMap((row) =>
    row.value === null ? [] : [{ ...row, value: row.value }],
  )
}

const routeKeys = [
  { name: 'origin', type: 'string' },
  { name: 'destination', type: 'string' },
] as const

export function onlineStoreConformance(name: string, make: () => Promise<StoreUnderTest>): void {
  describe(`online store ${name}`, () => {
    let made: StoreUnderTest
    let store: OnlineStore
    let groups = 0
    const newGroup = () => `group${++groups}_v1`
    beforeAll(async () => {
      made = await make()
      store = made.store
    })
    afterAll(() => made.cleanUp())
    const isSpread = () => made.isSpread ?? false
    const suite = { store: () => store, another: () => made.another(), newGroup, isSpread }
    describe('order', () => orderRules(suite))
    describe('keys', () => keyRules(suite))
    describe('cards', () => cardRules(suite))
    describe('loads', () => loadRules(suite))
    describe('values', () => valueRules(suite))
    describe('drop', () => dropRules(suite))
    describe('slots', () => slotRules(suite))
    describe('two handles', () => handleRules(suite))
  })
}

export interface Suite {
  store(): OnlineStore
  another(): Promise<OnlineStore>
  newGroup(): string
  isSpread(): boolean
}

function orderRules({ store, newGroup }: Suite): void {
  test('a greater sequence number replaces, an equal or smaller one is dropped', async () => {
    const group = newGroup()
    expect(await store().write(cardOf(group), order(5), [rowOf('ATL', 5)])).toBe(1)
    expect(await store().write(cardOf(group), order(5), [rowOf('ATL', 5)])).toBe(0)
    expect(await store().write(cardOf(group), order(4), [rowOf('ATL', 4), rowOf('JFK', 4)])).toBe(1)
    expect(await readOne(store(), group, 'ATL')).toBe(5n)
    expect(await readOne(store(), group, 'JFK')).toBe(4n)
    expect(await store().write(cardOf(group), order(6), [rowOf('ATL', 6)])).toBe(1)
    expect(await readOne(store(), group, 'ATL')).toBe(6n)
  })

  test('the event timestamp decides nothing: a later snapshot may bring an older row', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1), [rowOf('ATL', 900)])
    await store().write(cardOf(group), order(2), [rowOf('ATL', 100)])
    expect(await readOne(store(), group, 'ATL')).toBe(100n)
  })

  test('the incarnation counts before the sequence number', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1, 2), [rowOf('ATL', 21)])
    expect(await store().write(cardOf(group), order(99, 1), [rowOf('ATL', 99)])).toBe(0)
    expect(await readOne(store(), group, 'ATL')).toBe(21n)
  })

  test('numbers are compared as unsigned 64-bit integers', async () => {
    const group = newGroup()
    const write = (sequenceNumber: bigint, value: number) =>
      store().write(cardOf(group), { incarnation: 0n, sequenceNumber }, [rowOf('ATL', value)])
    expect(await write(255n, 1)).toBe(1)
    expect(await write(256n, 2)).toBe(1)
    expect(await write(2n ** 63n, 3)).toBe(1)
    expect(await write(2n ** 53n + 1n, 4)).toBe(0)
    expect(await write(2n ** 64n - 1n, 5)).toBe(1)
    await expect(write(2n ** 64n, 6)).rejects.toThrow(InputError)
    await expect(write(-1n, 6)).rejects.toThrow(/sequence number -1/)
    expect(await readOne(store(), group, 'ATL')).toBe(5n)
  })

  test('an older value cannot bring a tombstone back to life, a newer one can', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1), [rowOf('ATL', 1)])
    expect(await store().write(cardOf(group), order(3), [rowOf('ATL', null), rowOf('JFK', null)])).toBe(2)
    expect(await store().write(cardOf(group), order(2), [rowOf('ATL', 2), rowOf('JFK', 2)])).toBe(0)
    expect(await readValues(store(), group, [['ATL'], ['JFK']])).toEqual([null, null])
    expect(await scanAll(store(), group)).toEqual([
      { keys: ['ATL'], value: null, order: order(3) },
      { keys: ['JFK'], value: null, order: order(3) },
    ])
    await store().write(cardOf(group), order(4), [rowOf('ATL', 4)])
    expect(await readOne(store(), group, 'ATL')).toBe(4n)
  })

  test('loads that come twice and in any order end the same', async () => {
    const load = fc.record({
      incarnation: fc.integer({ min: 1, max: 2 }),
      sequence: fc.integer({ min: 1, max: 5 }),
      keys: fc.subarray(['a', 'b', 'c', 'd']),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.array(load, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 40 }),
        async (loads, picks) => {
          const group = newGroup()
          const expected = new Map<string, { order: LoadOrder; value: bigint | null }>()
          const sequence = [...picks.map((pick) => loads[pick % Math.max(loads.length, 1)]), ...loads]
          for (const one of sequence) {
            if (one === undefined) continue
            const at = order(one.sequence, one.incarnation)
            // Content follows from order and key; every third is a tombstone.
            const rows = one.keys.map((key, index) => {
              const content = one.incarnation * 100 + one.sequence * 10 + key.charCodeAt(0) - 97
              return rowOf(one.keys[index] as string, content % 3 === 0 ? null : content)
            })
            await store().write(cardOf(group), at, rows)
            for (const row of rows) {
              const key = row.keys[0] as string
              const there = expected.get(key)
              if (there === undefined || compareOrder(at, there.order) > 0) {
                expected.set(key, { order: at, value: (row.values?.[0] as bigint) ?? null })
              }
            }
          }
          for (const key of ['a', 'b', 'c', 'd']) {
            expect(await readOne(store(), group, key)).toBe(expected.get(key)?.value ?? null)
          }
          const scanned = (await scanAll(store(), group)).map(({ keys, value, order: at }) => [
            keys[0],
            value?.values[0] ?? null,
            at,
          ])
          const all = [...expected].sort(([a], [b]) => (a < b ? -1 : 1))
          expect(scanned).toEqual(all.map(([key, { value, order: at }]) => [key, value, at]))
        },
      ),
      { numRuns: 40 },
    )
  })
}

function keyRules({ store, newGroup }: Suite): void {
  test('composite keys that glue to the same characters stay apart', async () => {
    const group = newGroup()
    const pairs = [
      ['a', 'b|c'],
      ['a|b', 'c'],
      ['a\\', 'b'],
      ['a', '\\b'],
      ['a\\|b', 'c'],
      ['', 'a'],
      ['a', ''],
      ['', ''],
      ['a,b', 'c'],
      ['a', 'b,c'],
      ['a:b', 'c'],
      ['\\e', ''],
      ['é', 'ﬀ'],
      ['\u0000', '\n'],
      ['🛩', '%7C'],
    ]
    const rows = pairs.map((keys, index) => ({ keys, eventTimestampMicros: 0n, values: [BigInt(index)] }))
    expect(await store().write(cardOf(group, { keys: routeKeys }), order(1), rows)).toBe(pairs.length)
    const values = await readValues(store(), group, pairs)
    expect(values.map((value) => value?.values[0])).toEqual(pairs.map((_, index) => BigInt(index)))
    const scanned = new Set((await scanValues(store(), group)).map(({ keys }) => JSON.stringify(keys)))
    expect(scanned).toEqual(new Set(pairs.map((keys) => JSON.stringify(keys))))
  })

  test('a key that starts like another one, and a group that does, do not meet', async () => {
    const group = newGroup()
    const longer = `${group}a`
    const between = `${group}0`
    await store().write(cardOf(between), order(1), [rowOf('ATL', 4)])
    await store().write(cardOf(group), order(1), [rowOf('A', 1), rowOf('AT', 2)])
    await store().write(cardOf(longer), order(1), [rowOf('ATL', 3)])
    expect(
      (await readValues(store(), group, [['A'], ['AT'], ['ATL']])).map((value) => value?.values[0]),
    ).toEqual([1n, 2n, undefined])
    expect((await scanValues(store(), group)).map(({ keys }) => keys[0])).toEqual(['A', 'AT'])
    expect((await scanValues(store(), longer)).map(({ keys }) => keys[0])).toEqual(['ATL'])
  })

  test('int64 keys are exact and come back as bigints', async () => {
    const group = newGroup()
    const card = cardOf(group, {
      keys: [
        { name: 'driver', type: 'int64' },
        { name: 'shift', type: 'int32' },
      ],
    })
    const keys = [
      [2n ** 63n - 1n, 1],
      [2n ** 63n - 2n, 1],
      [-(2n ** 63n), -1],
      [0n, 0],
      [7n, 7],
    ]
    const rows = keys.map((key, index) => ({ keys: key, eventTimestampMicros: 0n, values: [BigInt(index)] }))
    expect(await store().write(card, order(1), rows)).toBe(keys.length)
    expect((await readValues(store(), group, keys)).map((value) => value?.values[0])).toEqual([
      0n,
      1n,
      2n,
      3n,
      4n,
    ])
    expect((await readValues(store(), group, [[7, 7n]]))[0]?.values).toEqual([4n])
    expect((await scanValues(store(), group)).map((row) => row.keys)).toEqual(expect.arrayContaining(keys))
    await expect(readValues(store(), group, [['7', 7]])).rejects.toThrow(/key driver: "7" is no int64/)
    await expect(readValues(store(), group, [[2n ** 63n, 7]])).rejects.toThrow(/from -9223372036854775808 to/)
    await expect(readValues(store(), group, [[7n]])).rejects.toThrow(/has 1 keys, expected 2: driver\|shift/)
  })

  test('answers keep the order of the question, misses and duplicates in place', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1), [rowOf('a', 1), rowOf('b', 2), rowOf('c', 3)])
    const found = await readValues(store(), group, [['c'], ['x'], ['a'], ['c'], ['y'], ['b']])
    expect(found.map((value) => value?.values[0] ?? null)).toEqual([3n, null, 1n, 3n, null, 2n])
    expect(await readValues(store(), group, [])).toEqual([])
  })

  test('hostile ids are entities like others', async () => {
    const group = newGroup()
    const planes = Array.from({ length: 17 }, (_, plane) => String.fromCodePoint(plane * 0x1_0000 + 0x3041))
    const ids = [
      ...[
        ':',
        '::',
        `${group}:x`,
        '{',
        '}',
        '{a}',
        '{}',
        '\\{a}',
        '\\',
        'a\\',
        '*',
        '[a]',
        '?',
        '$',
        '\r\n',
        '\u0000',
      ],
      ...[
        'last_updated',
        '\\last_updated',
        '__proto__',
        'constructor',
        ' ',
        '',
        'a b',
        '"',
        "'",
        '%',
        '\uffff',
        '\u2028',
      ],
      ...['*3\r\n$3\r\nSET\r\n', ...planes, planes.join('')],
    ]
    const rows = ids.map((id, at) => rowOf(id, at))
    expect(await store().write(cardOf(group), order(1), rows)).toBe(ids.length)
    const asked = [...ids, 'absent', ...ids.toReversed(), ids[0] as string]
    const found = await readValues(
      store(),
      group,
      asked.map((id) => [id]),
    )
    const places = new Map(ids.map((id, at) => [id, BigInt(at)]))
    expect(found.map((value) => value?.values[0])).toEqual(asked.map((id) => places.get(id)))
    const scanned = (await scanValues(store(), group)).map(({ keys, value }) => [keys[0], value.values[0]])
    expect(new Map(scanned as [string, bigint][])).toEqual(places)
    expect(scanned.length).toBe(ids.length)
    for (const id of ['x'.repeat(10_000), '\u00e9'.repeat(10_000), ':'.repeat(1025)]) {
      await expect(store().write(cardOf(group), order(2), [rowOf(id, 1)])).rejects.toThrow(InputError)
      await expect(readValues(store(), group, [[id]])).rejects.toThrow(
        /bytes long as a key, the limit is 1024/,
      )
    }
  })

  test('a key that is too long or not well-formed is refused, and nothing of its batch is written', async () => {
    const group = newGroup()
    const write = (key: string) => store().write(cardOf(group), order(1), [rowOf('good', 1), rowOf(key, 2)])
    await expect(write('x'.repeat(1025))).rejects.toThrow(/1025 bytes long/)
    await expect(write('\ud800')).rejects.toThrow(/well-formed/)
    expect(await readOne(store(), group, 'good')).toBe(null)
    expect(await write('x'.repeat(1024))).toBe(2)
    expect(await readOne(store(), group, 'x'.repeat(1024))).toBe(2n)
  })
}

function cardRules({ store, newGroup }: Suite): void {
  test('a group that nobody loaded has no card and no values', async () => {
    const group = newGroup()
    expect(await store().readCard(group)).toBe(null)
    expect(await readGroup(store(), group, () => [['a']])).toBe(null)
    expect(await scanValues(store(), group)).toEqual([])
    await expect(store().finishLoad(group, markOf(order(1)))).rejects.toThrow(/nothing was ever written/)
    expect(await store().listGroups()).not.toContain(group)
  })

  test('a card comes back whole; complete stays null until a load is finished', async () => {
    const group = newGroup()
    const schema = valueSchema([
      { name: 'departures', type: 'int64' },
      { name: 'recent', type: 'list<timestamp>' },
      { name: 'carrier', type: 'string' },
    ])
    const defaults = { departures: 2n ** 63n - 1n, recent: [0n], carrier: '7' }
    const card = cardOf(group, { ttlMs: null, keys: routeKeys, schema, defaults })
    await store().write(card, order(1), [])
    expect(await store().readCard(group)).toEqual({ ...card, complete: null })
    expect(await store().listGroups()).toContain(group)
    const mark = markOf({ incarnation: 2n ** 60n + 1n, sequenceNumber: 2n ** 60n + 3n }, 978_307_200_000)
    await store().finishLoad(group, mark)
    expect(await store().readCard(group)).toEqual({ ...card, complete: mark })
    await store().write(card, order(2), [])
    expect((await store().readCard(group))?.complete).toEqual(mark)
  })

  test('a mark never goes back', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1), [])
    const complete = async () => (await store().readCard(group))?.complete
    await store().finishLoad(group, markOf(order(5), 1000))
    await store().finishLoad(group, markOf(order(4), 2000))
    expect(await complete()).toEqual(markOf(order(5), 1000))
    await store().finishLoad(group, markOf(order(5), 3000))
    expect(await complete()).toEqual(markOf(order(5), 3000))
    await store().finishLoad(group, markOf(order(5), 2500))
    expect(await complete()).toEqual(markOf(order(5), 3000))
    await store().finishLoad(group, markOf(order(1, 2), 4000))
    expect(await complete()).toEqual(markOf(order(1, 2), 4000))
  })

  test('a late load takes neither the schema nor the ttl back', async () => {
    const group = newGroup()
    const newer = cardOf(group, { ttlMs: 5, schema: valueSchema([{ name: 'late', type: 'boolean' }]) })
    await store().write(newer, order(2), [])
    await store().write(cardOf(group), order(1), [rowOf('ATL', 1)])
    expect(await store().readCard(group)).toEqual({ ...newer, complete: null })
    expect(await readOne(store(), group, 'ATL')).toBe(1n)
  })

  test('other keys under the same id, and a made-up tag, are refused', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1), [])
    await expect(store().write(cardOf(group, { keys: routeKeys }), order(2), [])).rejects.toThrow(
      /new version/,
    )
    const schema = { ...cardOf(group).schema, tag: '00000000' }
    await expect(store().write(cardOf(group, { schema }), order(2), [])).rejects.toThrow(
      /schema tag 00000000/,
    )
    await expect(store().write(cardOf('a:b'), order(1), [])).rejects.toThrow(/letters, digits/)
  })
}

function dropRules({ store, another, newGroup, isSpread }: Suite): void {
  const begin = (online: OnlineStore, group: string, at: LoadOrder) =>
    online.startLoad(cardOf(group), { snapshotId: markOf(at).snapshotId, order: at })
  const load = async (online: OnlineStore, group: string, at: LoadOrder, rows: readonly OnlineRow[]) => {
    const started = await begin(online, group, at)
    await online.write(cardOf(group), at, rows, started?.life)
    await online.finishLoad(group, markOf(at), started?.life)
  }

  test('a group is forgotten with its values, and no other group is', async () => {
    const [group, other] = [newGroup(), newGroup()]
    // Names that begin with the group's own.
    const longer = `${group}0`
    for (const each of [group, other, longer]) {
      await load(store(), each, order(1), [rowOf('a', 1), rowOf('a:b', 2), rowOf('b', null)])
    }
    const reader = await another()
    expect(await readOne(reader, group, 'a')).toBe(1n)
    expect(await store().drop(group)).toBe(3)
    expect(await readGroup(reader, group, () => [['a']])).toBe(null)
    expect(await reader.readCard(group)).toBe(null)
    expect(await scanAll(store(), group)).toEqual([])
    expect(await store().listGroups()).not.toContain(group)
    for (const each of [other, longer]) {
      expect(await readOne(reader, each, 'a')).toBe(1n)
      expect((await scanAll(store(), each)).length).toBe(3)
    }
    expect(await store().drop(group)).toBe(null)
    for (const name of ['never_v1', '*', `${other.slice(0, -1)}?`, `${other}:a`, '']) {
      expect(await store().drop(name)).toBe(null)
    }
    expect(await readOne(reader, other, 'a')).toBe(1n)
    await reader.close()
  })

  test('more values than one transaction or call removes, and then a load of an older order', async () => {
    const group = newGroup()
    const rows = Array.from({ length: 25_000 }, (_, at) => rowOf(`k${at}`, at))
    await load(store(), group, order(9), rows)
    expect(await store().drop(group)).toBe(25_000)
    await load(store(), group, order(2), [rowOf('k1', 7)])
    expect(await scanValues(store(), group)).toMatchObject([{ keys: ['k1'], order: order(2) }])
    expect((await store().readCard(group))?.complete).toEqual(markOf(order(2)))
  })

  test('a load that began before it writes nothing more and is not marked', async () => {
    const group = newGroup()
    const started = await begin(store(), group, order(1))
    await store().write(cardOf(group), order(1), [rowOf('a', 1)], started?.life)
    expect(await store().drop(group)).toBe(1)
    await expect(store().write(cardOf(group), order(1), [rowOf('b', 1)], started?.life)).rejects.toThrow(
      UnavailableError,
    )
    await expect(store().finishLoad(group, markOf(order(1)), started?.life)).rejects.toThrow(UnavailableError)
    expect(await scanAll(store(), group)).toEqual([])
  })

  test('whatever load meets it: what is marked is whole, and what is refused leaves nothing', async () => {
    const rows = Array.from({ length: 5_000 }, (_, at) => rowOf(`k${at}`, at))
    const other = await another()
    const meet = async (group: string, turn: number) => {
      const dropping = () => store().drop(group)
      const loading = () =>
        load(other, group, order(2), rows).catch((error: unknown) => {
          if (!(error instanceof UnavailableError)) throw error
        })
      const [first, second] = turn % 2 === 0 ? [dropping, loading] : [loading, dropping]
      const begun = first()
      await sleep(turn)
      await Promise.all([begun, second()])
    }
    for (let turn = 0; turn < (isSpread() ? 8 : 30); turn++) {
      const group = newGroup()
      await load(store(), group, order(1), rows)
      await meet(group, turn)
      const card = await store().readCard(group)
      const there = (await scanAll(store(), group)).length
      if (card !== null && card.complete !== null) expect([turn, there]).toEqual([turn, rows.length])
      if (card !== null) continue
      await load(store(), group, order(3), [rowOf('x', 1)])
      expect([turn, (await scanAll(store(), group)).length]).toEqual([turn, 1])
    }
    await other.close()
  })
}

function loadRules({ store, another, newGroup, isSpread }: Suite): void {
  const loadOf = (at: LoadOrder): StartedLoad => ({ snapshotId: markOf(at).snapshotId, order: at })
  const start = (group: string, at: LoadOrder, change: Partial<GroupCard> = {}) =>
    store().startLoad(cardOf(group, change), loadOf(at))

  test('a load that starts is told of the mark and of loads that have no end yet', async () => {
    const group = newGroup()
    const first = await start(group, order(3))
    expect(first).toMatchObject({ complete: null, unfinished: [] })
    expect(await store().readCard(group)).toEqual({ ...cardOf(group), complete: null })
    await store().finishLoad(group, markOf(order(3)), first?.life)
    expect(await start(group, order(4))).toMatchObject({ complete: markOf(order(3)), unfinished: [] })
    // The fourth breaks off, twice: the next one is told once.
    await start(group, order(4))
    const fifth = await start(group, order(5))
    expect(fifth).toMatchObject({ complete: markOf(order(3)), unfinished: [loadOf(order(4))] })
    const sixth = await start(group, order(6))
    expect(await store().unfinishedLoads(group)).toEqual([order(4), order(5), order(6)].map(loadOf))
    expect(sixth?.unfinished).toEqual([loadOf(order(4)), loadOf(order(5))])
    await store().finishLoad(group, markOf(order(5)), fifth?.life)
    expect((await start(group, order(6)))?.unfinished).toEqual([])
    expect(await store().unfinishedLoads(group)).toEqual([loadOf(order(6))])
    expect(await store().unfinishedLoads(newGroup())).toEqual([])
    expect((await start(group, order(7)))?.unfinished).toEqual([loadOf(order(6))])
  })

  test('the first load of a group is told that nothing is there; no other load is, unless the group was dropped', async () => {
    const group = newGroup()
    expect((await start(group, order(1)))?.isFirst).toBe(!isSpread())
    expect((await start(group, order(1)))?.isFirst).toBe(false)
    expect((await start(group, order(2)))?.isFirst).toBe(false)
    await store().drop(group)
    expect((await start(group, order(3)))?.isFirst).toBe(!isSpread())
    const written = newGroup()
    await store().write(cardOf(written), order(1), [])
    expect((await start(written, order(1)))?.isFirst).toBe(false)
  })

  test('a load is not wanted once one of a greater order has started or finished', async () => {
    const group = newGroup()
    const fifth = await start(group, order(5))
    expect(await start(group, order(4))).toBe(null)
    await store().finishLoad(group, markOf(order(5)), fifth?.life)
    expect(await start(group, order(4))).toBe(null)
    expect(await start(group, order(5))).toMatchObject({ complete: markOf(order(5)) })
    expect(await start(group, order(1, 2))).toMatchObject({ complete: markOf(order(5)) })
    expect(await start(group, order(9))).toBe(null)
    await expect(start(group, order(3, 2), { keys: routeKeys })).rejects.toThrow(/new version/)
  })

  test('the older of two loads at once ends without moving the mark, and the newer stays known until its own end', async () => {
    const group = newGroup()
    const [older, newer] = [await start(group, order(1)), await start(group, order(2))]
    await store().finishLoad(group, markOf(order(1)), older?.life)
    expect((await store().readCard(group))?.complete).toEqual(markOf(order(1)))
    expect((await start(group, order(3)))?.unfinished).toEqual([loadOf(order(2))])
    await store().finishLoad(group, markOf(order(2)), newer?.life)
    await store().finishLoad(group, markOf(order(1), 9000), older?.life)
    expect((await store().readCard(group))?.complete).toEqual(markOf(order(2)))
  })

  test('a load of a table that is gone stays known to one more load, whose end no late mark of its own is', async () => {
    const group = newGroup()
    const old = await start(group, order(7, 1))
    const next = await start(group, order(1, 2))
    expect(next?.unfinished).toEqual([loadOf(order(7, 1))])
    await store().finishLoad(group, markOf(order(1, 2)), next?.life)
    await store().finishLoad(group, markOf(order(7, 1)), old?.life)
    expect((await store().readCard(group))?.complete).toEqual(markOf(order(1, 2)))
    const last = await start(group, order(2, 2))
    expect(last?.unfinished).toEqual([loadOf(order(7, 1))])
    await store().finishLoad(group, markOf(order(2, 2)), last?.life)
    expect((await start(group, order(3, 2)))?.unfinished).toEqual([])
  })

  test('a load that began in another life of the store is not marked', async () => {
    const group = newGroup()
    const before = await start(group, order(1))
    await expect(store().finishLoad(group, markOf(order(1)), `other${before?.life}`)).rejects.toThrow(
      UnavailableError,
    )
    await expect(store().finishLoad(newGroup(), markOf(order(1)), before?.life)).rejects.toThrow(
      /restarted or emptied while the load ran/,
    )
    expect((await store().readCard(group))?.complete).toBe(null)
  })

  test('of many cards, starts and marks at once none is lost', async () => {
    const group = newGroup()
    const other = await another()
    const handle = (n: number) => (n % 2 === 0 ? store() : other)
    const schemaOf = (n: number) => valueSchema([{ name: `feature${n}`, type: 'int64' }])
    const numbers = Array.from({ length: 12 }, (_, index) => index + 1)
    const write = (n: number) =>
      handle(n).write(cardOf(group, { schema: schemaOf(n) }), order(n), [rowOf(`k${n}`, n)])
    await Promise.all(numbers.map(write))
    await Promise.all([
      ...numbers.map((n) => handle(n).finishLoad(group, markOf(order(n)))),
      ...numbers.map((n) => handle(n + 1).startLoad(cardOf(group), loadOf(order(20 + n)))),
    ])
    expect((await store().readCard(group))?.complete).toEqual(markOf(order(12)))
    const values = await readValues(
      store(),
      group,
      numbers.map((n) => [`k${n}`]),
    )
    expect(values.map((value) => value?.schema)).toEqual(numbers.map(schemaOf))
    // Those that came in behind a greater one were not wanted; the greatest always is.
    const last = await store().startLoad(cardOf(group), loadOf(order(99)))
    expect(last?.unfinished.at(-1)).toEqual(loadOf(order(32)))
    await other.close()
  })

  test('a read has its card and its values from one moment', async () => {
    const group = newGroup()
    const other = await another()
    const keys = Array.from({ length: 50 }, (_, index) => [`k${index}`])
    let writing = true
    const loads = (async () => {
      for (let n = 1; n <= 40; n++) {
        // Keys and mark hold n: the mark is moved after the values, so it is never ahead of them.
        await other.write(
          cardOf(group),
          order(n),
          keys.map(([key]) => rowOf(key as string, n)),
        )
        await nextTurn()
        await other.finishLoad(group, markOf(order(n)))
        await nextTurn()
      }
      writing = false
    })()
    let reads = 0
    while (writing) {
      const columns: KeyColumns[] = []
      const answer = await readGroup(store(), group, (given) => {
        columns.push(given)
        return keys
      })
      if (answer === null) {
        await nextTurn()
        continue
      }
      expect(columns.at(-1)).toEqual(answer.card.keys)
      const marked = answer.card.complete?.order.sequenceNumber ?? 0n
      const found = answer.values.map((value) => value?.values[0] as bigint)
      // One call wrote all fifty, so they are of one load: the marked one, or the one that is under way.
      if (isSpread()) expect(found.every((value) => (value ?? 0n) >= marked)).toBe(true)
      else {
        expect(new Set(found).size).toBe(1)
        expect([marked, marked + 1n]).toContain(found[0] ?? 0n)
      }
      reads++
      await nextTurn()
    }
    await loads
    expect(reads).toBeGreaterThan(3)
    await other.close()
  })

  test('a question that cannot be asked fails with its own error', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1), [])
    const ask = () => {
      throw new InputError('no such feature')
    }
    await expect(store().fetch([{ group, keys: ask }])).rejects.toThrow(InputError)
    expect(await store().fetch([{ group: 'a:b', keys: ask }])).toEqual([null])
    expect(await store().readCard(`${group}:ATL`)).toBe(null)
  })
}

function valueRules({ store, newGroup }: Suite): void {
  const schema = valueSchema([
    { name: 'flag', type: 'boolean' },
    { name: 'small', type: 'int32' },
    { name: 'big', type: 'int64' },
    { name: 'single', type: 'float32' },
    { name: 'double', type: 'float64' },
    { name: 'text', type: 'string' },
    { name: 'at', type: 'timestamp' },
  ])

  test('every type comes back to the bit, null in every place', async () => {
    const group = newGroup()
    const extremes = [
      [true, -(2 ** 31), 2n ** 63n - 1n, Math.fround(0.1), Number.MIN_VALUE, 'é🛩\u0000', -1n],
      [false, 2 ** 31 - 1, -(2n ** 63n), -0, -0, '', 978_307_200_000_001n],
      [null, null, null, null, null, null, null],
      [false, 0, 0n, Number.NaN, Number.NaN, 'x'.repeat(70_000), 0n],
      [true, 1, 2n ** 53n + 1n, -Infinity, Infinity, 'null', 1n],
    ]
    const rows = extremes.map((values, index) => ({
      keys: [String(index)],
      eventTimestampMicros: BigInt(-index),
      values,
    }))
    await store().write(cardOf(group, { schema }), order(1), rows)
    const found = await readValues(
      store(),
      group,
      rows.map(({ keys }) => keys),
    )
    found.forEach((value, index) => {
      expect(value?.schema).toEqual(schema)
      expect(value?.eventTimestampMicros).toBe(BigInt(-index))
      value?.values.forEach((one, place) =>
        expect(one, `row ${index}, ${place}`).toBe(extremes[index]?.[place]),
      )
    })
  })

  test('lists and vectors of 1,024 floats come back to the bit', async () => {
    const group = newGroup()
    const wide = valueSchema([
      { name: 'embedding', type: 'vector<1024>' },
      { name: 'recent', type: 'list<int64>' },
      { name: 'words', type: 'list<string>' },
    ])
    const embedding = Array.from({ length: 1024 }, (_, at) => Math.fround((at - 512) / 7))
    embedding[3] = -0
    const values = [embedding, [2n ** 63n - 1n, null, -1n], ['', 'é🛩', null]]
    const rows = Array.from({ length: 300 }, (_, at) => ({
      keys: [`k${at}`],
      eventTimestampMicros: BigInt(at),
      values: at % 3 === 0 ? [null, [], null] : values,
    }))
    expect(await store().write(cardOf(group, { schema: wide }), order(1), rows)).toBe(300)
    const found = await readValues(
      store(),
      group,
      rows.map(({ keys }) => keys),
    )
    for (const [at, value] of found.entries()) {
      expect(value?.eventTimestampMicros).toBe(BigInt(at))
      const [vector, ...rest] = value?.values ?? []
      const [wanted, ...others] = rows[at]?.values ?? []
      expect(rest).toEqual(others)
      expect(vector === null ? null : Array.from(vector as number[])).toEqual(wanted)
    }
    expect(Object.is((found[1]?.values[0] as number[])[3], -0)).toBe(true)
  })

  test('a value of another type is refused with the name of its feature, and its batch with it', async () => {
    const group = newGroup()
    const good = [true, 1, 1n, 0.5, 0.1, 'a', 1n]
    const wrong: [number, unknown, RegExp][] = [
      [0, 1, /feature flag: number 1 is no boolean/],
      [1, 2 ** 31, /feature small/],
      [1, 0.5, /feature small/],
      [2, 7, /feature big: number 7 is no int64. Pass a bigint/],
      [2, 2n ** 63n, /feature big: 9223372036854775808 does not fit/],
      [3, 0.1, /feature single: number 0.1 is no float32/],
      [4, 1n, /feature double/],
      [5, 7, /feature text/],
      [5, 'a\udc00', /feature text.*well-formed/],
      [6, new Date(0).getTime(), /feature at: number 0 is no timestamp/],
    ]
    for (const [place, value, message] of wrong) {
      const values = good.with(place, value as never)
      const rows = [
        { keys: ['good'], eventTimestampMicros: 0n, values: good },
        { keys: ['bad'], eventTimestampMicros: 0n, values },
      ]
      await expect(store().write(cardOf(group, { schema }), order(1), rows)).rejects.toThrow(message)
    }
    expect(await readValues(store(), group, [['good']])).toEqual([null])
    const short = [{ keys: ['a'], eventTimestampMicros: 0n, values: [true] }]
    await expect(store().write(cardOf(group, { schema }), order(1), short)).rejects.toThrow(
      /1 values for 7 features/,
    )
  })

  test('after a change of schema the values of the old one stay readable', async () => {
    const group = newGroup()
    await store().write(cardOf(group), order(1), [rowOf('old', 1), rowOf('both', 1)])
    const wider = valueSchema([...cardOf(group).schema.features, { name: 'late', type: 'float64' }])
    const row = { keys: ['both'], eventTimestampMicros: 20n, values: [2n, 0.25] }
    await store().write(cardOf(group, { schema: wider }), order(2), [row])
    const [old, both] = await readValues(store(), group, [['old'], ['both']])
    expect(old).toEqual({ eventTimestampMicros: 10n, schema: cardOf(group).schema, values: [1n] })
    expect(both).toEqual({ eventTimestampMicros: 20n, schema: wider, values: [2n, 0.25] })
    expect((await store().readCard(group))?.schema).toEqual(wider)
  })

  test('a batch of ten thousand is written, read and scanned', async () => {
    const group = newGroup()
    const rows = Array.from({ length: 10_000 }, (_, index) =>
      rowOf(`k${String(index).padStart(5, '0')}`, index),
    )
    expect(await store().write(cardOf(group), order(1), rows.toReversed())).toBe(10_000)
    expect(await store().write(cardOf(group), order(1), rows)).toBe(0)
    const found = await readValues(
      store(),
      group,
      rows.map(({ keys }) => keys),
    )
    expect(found.every((value, index) => value?.values[0] === BigInt(index))).toBe(true)
    const scanned = await scanValues(store(), group)
    expect(scanned.map(({ keys }) => keys[0])).toEqual(rows.map(({ keys }) => keys[0]))
    for await (const { keys } of store().scan(group)) {
      expect(await readOne(store(), group, String(keys[0]))).not.toBe(null)
      break
    }
  })
}

function handleRules({ store, another, newGroup }: Suite): void {
  test('what one handle writes the other one reads at once, and closing one leaves the other open', async () => {
    const group = newGroup()
    const other = await another()
    expect(await other.readCard(group)).toBe(null)
    await store().write(cardOf(group), order(1), [rowOf('a', 1)])
    await store().finishLoad(group, markOf(order(1)))
    expect((await other.readCard(group))?.complete).toEqual(markOf(order(1)))
    expect(await readOne(other, group, 'a')).toBe(1n)
    await store().write(cardOf(group), order(2), [rowOf('a', 2)])
    expect(await readOne(other, group, 'a')).toBe(2n)
    await other.close()
    await other.close()
    await expect(readValues(other, group, [['a']])).rejects.toThrow(/closed/)
    expect(await readOne(store(), group, 'a')).toBe(2n)
    expect(await store().write(cardOf(group), order(3), [rowOf('a', 3)])).toBe(1)
  })

  test('two handles that write at once keep the greater order of every entity', async () => {
    const group = newGroup()
    const other = await another()
    const rows = (value: number) => Array.from({ length: 5000 }, (_, index) => rowOf(`k${index}`, value))
    const loads = [1, 4, 2, 3].map((n, index) =>
      (index % 2 === 0 ? store() : other).write(cardOf(group), order(n), rows(n)),
    )
    await Promise.all(loads)
    const scanned = await scanValues(store(), group)
    expect(scanned.length).toBe(5000)
    expect(scanned.every(({ value }) => value.values[0] === 4n)).toBe(true)
    await other.close()
  })
}
