/** Slots of pre-joined services: their names, and the bytes that they share. */
import { expect, test } from 'vitest'
import { IntegrityError } from '../../model/index.ts'
import { isSlotId, isStoredId, parseSlotId, slotsOf, valuesName } from '../../online/slotId.ts'
import { slotOf, withoutSlot, withSlot } from '../../online/slots.ts'

const text = (value: Buffer | null) => value?.toString() ?? null
const place = (at: number, of = 3) => ({ at, of })

test('the bytes are those of the table, whatever is written in which order', () => {
  const first = withSlot(null, place(1), Buffer.from('four'))
  expect(first.toString('hex')).toBe('03' + '00000000' + '00000004' + '00000000' + '666f7572')
  const second = withSlot(first, place(2), Buffer.from('b'.repeat(300)))
  const third = withSlot(withSlot(second, place(0), Buffer.from('a')), place(1), Buffer.from('fifth'))
  expect([0, 1, 2].map((at) => text(slotOf(third, place(at))))).toEqual(['a', 'fifth', 'b'.repeat(300)])
  expect(third.subarray(0, 13).toString('hex')).toBe('03' + '00000001' + '00000005' + '0000012c')
  expect(third.length).toBe(13 + 1 + 5 + 300)
  expect([0, 1, 2].map((at) => text(slotOf(first, place(at))))).toEqual([null, 'four', null])
})

test('a slot is emptied alone, and nothing is left of none', () => {
  const both = withSlot(withSlot(null, place(0), Buffer.from('a')), place(2), Buffer.from('ccc'))
  const one = withoutSlot(both, place(0))
  expect(one?.equals(withSlot(null, place(2), Buffer.from('ccc')))).toBe(true)
  expect(withoutSlot(both, place(1))?.equals(both)).toBe(true)
  expect(one === null ? one : withoutSlot(one, place(2))).toBe(null)
})

test('what is no value of so many slots is refused', () => {
  const two = withSlot(null, place(0, 2), Buffer.from('a'))
  for (const bytes of [two, Buffer.alloc(0), Buffer.from([3, 0, 0])]) {
    expect(() => slotOf(bytes, place(0))).toThrow(IntegrityError)
    expect(() => withSlot(bytes, place(0), Buffer.from('b'))).toThrow(/expected 3 slots/)
  }
})

test('names tell service and group, and change with the groups, not with their order', () => {
  const slots = slotsOf('model_v1', ['b_v1', 'a_v1', 'b_v1'])
  expect(slots).toEqual([
    { id: 'model_v1_fa6e8393!a_v1', service: 'model_v1', group: 'a_v1', place: { at: 0, of: 2 } },
    { id: 'model_v1_fa6e8393!b_v1', service: 'model_v1', group: 'b_v1', place: { at: 1, of: 2 } },
  ])
  expect(slotsOf('model_v1', ['a_v1', 'b_v1'])).toEqual(slots)
  const [other] = slotsOf('model_v1', ['a_v1', 'c_v1'])
  expect(other?.id).not.toBe(slots[0]?.id)
  expect(slots.map(({ id }) => parseSlotId(id))).toEqual(
    slots.map(({ service, group }) => ({ service, group })),
  )
  expect(slots.map(({ id }) => valuesName(id))).toEqual(['model_v1_fa6e8393!', 'model_v1_fa6e8393!'])
  expect(valuesName('a_v1')).toBe('a_v1')
  for (const id of [
    'a_v1',
    'model_v1!a_v1',
    'model_fa6e8393!a:b',
    'model_fa6e8393!a!b',
    '!',
    'm_fa6e8393!',
  ]) {
    expect([id, isSlotId(id), isStoredId(id)]).toEqual([id, false, id === 'a_v1'])
  }
})
