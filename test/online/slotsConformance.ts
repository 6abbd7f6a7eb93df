/** What every online store must do with the slots of pre-joined services; a part of `conformance.ts`. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { InputError, UnavailableError } from '../../model/index.ts'
import { isSlotId, parseSlotId, slotsOf, type Slot } from '../../online/slotId.ts'
import type { GroupCard, LoadOrder, OnlineRow, OnlineStore } from '../../online/store.ts'
import { readingsOf } from '../../online/read.ts'
import { compareOrder, valueSchema } from '../../online/value.ts'
import { cardOf, markOf, order, readValues, rowOf, scanAll, type Suite } from './conformance.ts'

export const slotCard = ({ id, place }: Slot, change: Partial<GroupCard> = {}) =>
  cardOf(id, { slot: place, ...change })

export function slotRules({ store, another, newGroup, isSpread }: Suite): void {
  let services = 0
  const newSlots = (count = 3) => {
    const groups = Array.from({ length: count }, () => newGroup())
    return slotsOf(`service${++services}_v1`, groups) as [Slot, Slot, Slot]
  }
  const write = (slot: Slot, at: LoadOrder, rows: readonly OnlineRow[], online = store()) =>
    online.write(slotCard(slot), at, rows)
  const load = async (slot: Slot, at: LoadOrder, rows: readonly OnlineRow[], online = store()) => {
    const started = await online.startLoad(slotCard(slot), { snapshotId: markOf(at).snapshotId, order: at })
    const written = await online.write(slotCard(slot), at, rows, started?.life)
    await online.finishLoad(slot.id, markOf(at), started?.life)
    return { started, written }
  }
  /** The numbers that slots have for some keys, asked with one list for all of them. */
  const numbers = async (slots: readonly Slot[], keys: readonly string[], online = store()) => {
    const found = await online.fetch(slots.map(({ id }) => ({ group: id, keys: () => keys })))
    return found.map((one) =>
      one === null ? null : readingsOf(one, 0).map(({ features: [feature] }) => feature?.value ?? null),
    )
  }

  test('each has its own card, mark, schemas and order, whatever the others do', async () => {
    const [a, b, c] = newSlots()
    const words = valueSchema([{ name: 'word', type: 'string' }])
    await load(a, order(5), [rowOf('x', 5), rowOf('y', 6)])
    await store().write(slotCard(b, { schema: words, ttlMs: null }), order(2), [
      { keys: ['x'], eventTimestampMicros: 7n, values: ['seven'] },
    ])
    expect(await numbers([a, b, c], ['x', 'none', 'y', 'x'])).toEqual([
      [5n, null, 6n, 5n],
      ['seven', null, null, 'seven'],
      null,
    ])
    expect(await store().readCard(a.id)).toEqual({ ...slotCard(a), complete: markOf(order(5)) })
    expect(await store().readCard(b.id)).toMatchObject({ slot: { at: 1, of: 3 }, complete: null })
    expect(await store().readCard(c.id)).toBe(null)
    await store().finishLoad(b.id, markOf(order(2)))
    expect(await write(a, order(4), [rowOf('x', 4), rowOf('z', 4)])).toBe(1)
    expect(await write(b, order(1), [rowOf('x', 1)])).toBe(0)
    expect(await write(b, order(9), [rowOf('x', 9)])).toBe(1)
    expect(await numbers([b, a], ['x', 'z'])).toEqual([
      [9n, null],
      [5n, 4n],
    ])
    expect((await store().readCard(b.id))?.schema).toEqual(cardOf('').schema)
  })

  test('a late removal in one leaves the others, and comes back to life by a later order alone', async () => {
    const [a, b] = newSlots()
    await load(a, order(1), [rowOf('x', 1)])
    await load(b, order(7), [rowOf('x', 7)])
    await load(a, order(3), [rowOf('x', null)])
    expect(await numbers([a, b], ['x'])).toEqual([[null], [7n]])
    expect(await write(a, order(2), [rowOf('x', 2)])).toBe(0)
    await write(b, order(8), [rowOf('x', null)])
    expect(await numbers([a, b], ['x'])).toEqual([[null], [null]])
    expect(await write(a, order(4), [rowOf('x', 4)])).toBe(1)
    expect(await numbers([a, b], ['x'])).toEqual([[4n], [null]])
  })

  test('loads of all of them in any order, and twice, end the same', async () => {
    const one = fc.record({
      slot: fc.nat({ max: 2 }),
      incarnation: fc.integer({ min: 1, max: 2 }),
      sequence: fc.integer({ min: 1, max: 4 }),
      keys: fc.subarray(['a', 'b', 'c']),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(one, { maxLength: 25 }), async (loads) => {
        const slots = newSlots()
        const expected = new Map<string, { order: LoadOrder; value: bigint | null }>()
        for (const { slot, incarnation, sequence, keys } of loads) {
          const at = order(sequence, incarnation)
          // Content follows from slot, order and key; it is of several lengths, and every third is a tombstone.
          const rows = keys.map((key) => {
            const content = (slot * 9 + incarnation * 5 + sequence) ** (key.charCodeAt(0) - 94)
            return rowOf(key, content % 3 === 0 ? null : content)
          })
          await write(slots[slot] as Slot, at, rows)
          for (const { keys: key, values } of rows) {
            const there = expected.get(`${slot} ${key[0]}`)
            if (there !== undefined && compareOrder(at, there.order) <= 0) continue
            expected.set(`${slot} ${key[0]}`, { order: at, value: (values?.[0] ?? null) as bigint | null })
          }
        }
        const found = await numbers(slots, ['a', 'b', 'c'])
        for (const [slot, { id }] of slots.entries()) {
          const values = ['a', 'b', 'c'].map((key) => expected.get(`${slot} ${key}`)?.value ?? null)
          expect(found[slot] ?? [null, null, null]).toEqual(values)
          const all = [...expected].filter(([name]) => name.startsWith(`${slot} `)).sort()
          expect((await scanAll(store(), id)).map((row) => row.order)).toEqual(all.map(([, at]) => at.order))
        }
      }),
      { numRuns: isSpread() ? 10 : 25 },
    )
  })

  test('what is asked with one list, with several, alone or twice is the same', async () => {
    const [a, b, c] = newSlots()
    const group = newGroup()
    await store().write(cardOf(group), order(1), [rowOf('x', 100)])
    await load(a, order(1), [rowOf('x', 1), rowOf('y', 2)])
    await load(b, order(1), [rowOf('y', 3), rowOf('z', 4)])
    const keys = ['z', 'x', 'none', 'y', 'x', 'z']
    const wanted = {
      [a.id]: [null, 1n, null, 2n, 1n, null],
      [b.id]: [4n, null, null, 3n, null, 4n],
      [group]: [null, 100n, null, null, 100n, null],
    }
    const ask = async (ids: readonly string[], keysOf: () => readonly string[], online: OnlineStore) => {
      const found = await online.fetch(ids.map((id) => ({ group: id, keys: keysOf })))
      return found.map((one) =>
        one === null ? null : readingsOf(one, 0).map(({ features: [feature] }) => feature?.value ?? null),
      )
    }
    const other = await another()
    const asked = [
      [a.id, b.id],
      [b.id, group, a.id, c.id, b.id],
      [group, a.id, 'a:b!c', a.id],
    ]
    for (const online of [store(), other, other]) {
      for (const ids of asked) {
        const answers = ids.map((id) => wanted[id] ?? null)
        expect(await ask(ids, () => keys, online)).toEqual(answers)
        expect(await ask(ids, () => [...keys], online)).toEqual(answers)
      }
      for (const id of [a.id, b.id]) expect(await ask([id], () => keys, online)).toEqual([wanted[id]])
    }
    const apart = await other.fetch([
      { group: a.id, keys: () => ['x', 'y'] },
      { group: b.id, keys: () => ['y', 'z'] },
    ])
    expect(
      apart.map((one) => one && readingsOf(one, 0).map(({ features: [feature] }) => feature?.value)),
    ).toEqual([
      [1n, 2n],
      [3n, 4n],
    ])
    // The cards of some of them have changed since they were last read.
    await store().finishLoad(b.id, markOf(order(1), 2000))
    expect(await ask([a.id, b.id], () => keys, other)).toEqual([wanted[a.id], wanted[b.id]])
    const found = await other.fetch([a, b].map(({ id }) => ({ group: id, keys: () => [] })))
    expect(found.map((one) => one?.values)).toEqual([[], []])
    await other.close()
  })

  test('hostile ids are entities like others', async () => {
    const [a, b] = newSlots()
    const ids = [':', '!', 'a!b', `${a.id}:x`, '{', '{a}', '\\{a}', '*', '[a]', '\r\n', '\u0000', '', '%']
    ids.push('last_updated', '\\last_updated', '__proto__', 'é🛩', '\uffff', '"', '*3\r\n$3\r\nSET\r\n')
    const rows = (by: number) => ids.map((id, at) => rowOf(id, by + at))
    await load(a, order(1), rows(0))
    await load(b, order(1), rows(1_000))
    const asked = [...ids, 'absent', ...ids.toReversed()]
    for (const [slot, by] of [[a, 0] as const, [b, 1_000] as const]) {
      const found = await readValues(
        store(),
        slot.id,
        asked.map((id) => [id]),
      )
      const places = new Map(ids.map((id, at) => [id, BigInt(by + at)]))
      expect(found.map((value) => value?.values[0])).toEqual(asked.map((id) => places.get(id)))
      const scanned = (await scanAll(store(), slot.id)).map(({ keys, value }) => [keys[0], value?.values[0]])
      expect(new Map(scanned as [string, bigint][])).toEqual(places)
    }
  })

  test('loads of two of them at once over the same entities lose nothing of either', async () => {
    const [a, b] = newSlots(2)
    const other = await another()
    const rows = (value: number) => Array.from({ length: 3_000 }, (_, at) => rowOf(`k${at}`, value + at))
    await Promise.all([
      load(a, order(1), rows(10)),
      load(b, order(1), rows(20), other),
      write(a, order(3), rows(30), other),
      write(b, order(2), rows(40)),
    ])
    const keys = Array.from({ length: 3_000 }, (_, at) => `k${at}`)
    const found = await numbers([a, b], keys)
    expect(found[0]).toEqual(keys.map((_, at) => BigInt(30 + at)))
    expect(found[1]).toEqual(keys.map((_, at) => BigInt(40 + at)))
    await other.close()
  })

  test('one that is dropped is forgotten, and no other is; what is left of none is gone', async () => {
    const [a, b] = newSlots()
    const others = slotsOf(parseSlotId(a.id)?.service ?? '', [a.group, b.group]) as [Slot, Slot]
    await load(a, order(1), [rowOf('x', 1), rowOf('y', null), rowOf('last_updated', 3)])
    await load(b, order(1), [rowOf('x', 2), rowOf('z', 5)])
    await load(others[0], order(1), [rowOf('x', 9)])
    await store().write(cardOf(a.group), order(1), [rowOf('x', 7)])
    const reader = await another()
    expect(await numbers([a, b], ['x'], reader)).toEqual([[1n], [2n]])
    expect(await store().drop(a.id)).toBe(3)
    expect(await numbers([a, b, others[0]], ['x', 'y', 'z'], reader)).toEqual([
      null,
      [2n, null, 5n],
      [9n, null, null],
    ])
    expect(await reader.readCard(a.id)).toBe(null)
    expect(await scanAll(store(), a.id)).toEqual([])
    expect((await scanAll(store(), b.id)).map(({ keys }) => keys[0])).toEqual(['x', 'z'])
    expect((await readValues(store(), a.group, [['x']]))[0]?.values).toEqual([7n])
    expect(await store().drop(a.id)).toBe(null)
    // It is a first load again, and finds nothing of what was there.
    const { started, written } = await load(a, order(1), [rowOf('y', 8)])
    expect(started).toMatchObject({ complete: null, isFirst: !isSpread(), mustBeWhole: true })
    expect(written).toBe(1)
    expect(await numbers([a, b], ['x', 'y'])).toEqual([
      [null, 8n],
      [2n, null],
    ])
    expect([await store().drop(a.id), await store().drop(b.id)]).toEqual([1, 2])
    expect(await numbers([a, b], ['x', 'y', 'z'])).toEqual([null, null])
    for (const id of [`${a.id}:x`, `${a.id.slice(0, -1)}?`, '!', `${a.service}!${a.group}`]) {
      expect(await store().drop(id)).toBe(null)
    }
    expect(await numbers([others[0]], ['x'])).toEqual([[9n]])
    await reader.close()
  })

  test('a load that began before the drop writes nothing more; more values than one call or transaction are emptied', async () => {
    const [a, b] = newSlots()
    const rows = Array.from({ length: 12_000 }, (_, at) => rowOf(`k${at}`, at))
    const started = await store().startLoad(slotCard(a), { snapshotId: '1', order: order(1) })
    await store().write(slotCard(a), order(1), rows, started?.life)
    await load(b, order(1), [rowOf('k7', 70)])
    expect(await store().drop(a.id)).toBe(12_000)
    await expect(store().write(slotCard(a), order(1), rows, started?.life)).rejects.toThrow(UnavailableError)
    await expect(store().finishLoad(a.id, markOf(order(1)), started?.life)).rejects.toThrow(UnavailableError)
    expect(await scanAll(store(), a.id)).toEqual([])
    expect((await scanAll(store(), b.id)).length).toBe(1)
  })

  test('they are listed apart from groups, and no group is called as one', async () => {
    const [a, b] = newSlots()
    const group = newGroup()
    await write(a, order(1), [])
    await load(b, order(1), [rowOf('x', 1)])
    await store().write(cardOf(group), order(1), [])
    const [groups, slots] = [await store().listGroups(), await store().listSlots()]
    expect(groups).toContain(group)
    expect(groups.filter(isSlotId)).toEqual([])
    expect(slots).toEqual(expect.arrayContaining([a.id, b.id]))
    expect(slots.filter((id) => !isSlotId(id))).toEqual([])
    await store().drop(a.id)
    expect(await store().listSlots()).not.toContain(a.id)
    await expect(store().write(cardOf(a.id), order(1), [])).rejects.toThrow(/a slot whose place is not said/)
    await expect(store().write(cardOf(group, { slot: a.place }), order(2), [])).rejects.toThrow(InputError)
    await expect(store().write(slotCard({ ...a, id: 'a!b' }), order(1), [])).rejects.toThrow(
      /letters, digits/,
    )
  })

  test('how many entities one has is known by those who look at all of them alone', async () => {
    const [a, b] = newSlots()
    await load(a, order(1), [rowOf('x', 1)])
    await load(b, order(1), [rowOf('y', 1)])
    expect((await store().count?.(a.id)) ?? null).toBe(null)
  })
}
