import { expect, test } from 'vitest'
import { IntegrityError } from '../../model/index.ts'
import { constant, instantMicros } from '../../quality/constant.ts'

test.each([
  ['2001-01-08', 978_912_000_000_000n],
  ['2001-01-08T01:00:00+01:00', 978_912_000_000_000n],
  ['2001-01-08T00:00:00.5Z', 978_912_000_500_000n],
  ['2001-01-08T00:00:00.000001Z', 978_912_000_000_001n],
  ['1969-12-31T23:59:59.999999Z', -1n],
])('%s is known to the microsecond', (instant, micros) => {
  expect(instantMicros(instant)).toBe(micros)
})

test('text goes into SQL quoted, and what registration would refuse is a fault of ours', () => {
  expect(constant("O'Hare", 'string')).toBe("'O''Hare'")
  expect(() => constant(1, 'string')).toThrow(IntegrityError)
})
