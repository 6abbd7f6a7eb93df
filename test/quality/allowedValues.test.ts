import { expect, test } from 'vitest'
import { allowedValues } from '../../model/index.ts'
import { allowedValues as quality } from '../../quality/allowedValues.ts'
import { gateBench } from './bench.ts'

const { judge } = gateBench()
const airports = allowedValues('value', ['ATL', "O'Hare"])

test('passes where all values are allowed; null is not judged', async () => {
  expect(await judge(airports, ["'ATL'", "'O''Hare'", 'NULL'], 'string')).toMatchObject({
    verdict: 'pass',
    figures: { values: 2, others: 0, allowed: 2 },
    sentence: 'allowed_values(value): 0 of 2 values are none of the 2 allowed.',
  })
  expect(await judge(airports, [], 'string')).toMatchObject({ verdict: 'pass' })
})

test('blocks or warns with the rows that hold others', async () => {
  const values = ["'ATL'", "'atl'", "''", 'NULL']
  const report = await judge(airports, values, 'string')
  expect(report).toMatchObject({ verdict: 'block', violationCount: 2 })
  expect(report.violations.map(({ origin, value }) => [origin, value])).toEqual([
    ['k001', 'atl'],
    ['k002', ''],
  ])
  const warning = allowedValues('value', ['ATL'], { onViolation: 'warn' })
  expect(await judge(warning, values, 'string')).toMatchObject({ verdict: 'warn' })
})

test('values are compared in the type of the feature', async () => {
  const big = allowedValues('value', [9007199254740993n, 1])
  expect(await judge(big, ['9007199254740993', '1'], 'int64')).toMatchObject({ verdict: 'pass' })
  expect(await judge(big, ['9007199254740992'], 'int64')).toMatchObject({ violationCount: 1 })
  expect(await judge(allowedValues('value', [0.1]), ['0.1'], 'float32')).toMatchObject({ verdict: 'pass' })
  expect(await judge(allowedValues('value', [0.1]), ['0.1', "'NaN'"])).toMatchObject({ violationCount: 1 })
  expect(await judge(allowedValues('value', [NaN]), ["'NaN'"])).toMatchObject({ verdict: 'pass' })
  expect(await judge(allowedValues('value', [true]), ['true', 'false'], 'boolean')).toMatchObject({
    violations: [{ value: 'false' }],
  })
  const instant = allowedValues('value', ['2001-01-08T01:00:00.000001+01:00'])
  const stored = ["'2001-01-08 00:00:00.000001Z'", "'2001-01-08 00:00:00Z'"]
  expect(await judge(instant, stored, 'timestamp')).toMatchObject({
    violations: [{ value: '2001-01-08T00:00:00.000000Z' }],
  })
})

test.each([
  ['int32', [2 ** 31], '2147483648 is no int32'],
  ['int64', [1.5], '1.5 is no int64'],
  ['int64', [2n ** 63n], '9223372036854775808 is no int64'],
  ['int64', ['1'], '"1" is no int64'],
  ['string', [1], '1 is no string'],
  ['boolean', [0], '0 is no boolean'],
  ['float64', [1n], '1 is no float64'],
  ['timestamp', ['noon'], '"noon" is no timestamp'],
  ['list<string>', ['a'], '"a" is no list<string>'],
  ['float32', [1], null],
] as const)('registration looks whether a %s can be one of %s', (type, values, problem) => {
  expect(quality.refuses(type, allowedValues('value', values), 'value')).toBe(problem)
})
