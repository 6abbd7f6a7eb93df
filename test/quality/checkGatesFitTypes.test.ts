import { expect, test } from 'vitest'
import {
  csv,
  entity,
  featureGroup,
  inRange,
  InputError,
  listOf,
  max,
  notEmpty,
  nullRate,
  scalarTypes,
  uniqueRows,
  type FeatureType,
} from '../../model/index.ts'
import { checkGatesFitTypes } from '../../quality/checkGatesFitTypes.ts'

const group = featureGroup({
  name: 'readings',
  version: 1,
  owner: 'a@example.com',
  description: 'Readings',
  entity: entity({ name: 'sensor', keys: { sensor: 'string' } }),
  source: csv({ name: 'readings', path: 'readings.csv', timestamp: 'at' }),
  every: '1h',
  features: { highest: max('value', { over: '1h' }) },
  gates: [notEmpty(), uniqueRows(), nullRate('highest', { max: 0.1 }), inRange('highest', 0, 1)],
})
const check = (type: FeatureType) =>
  checkGatesFitTypes({
    group,
    keys: [{ name: 'sensor', type: 'string' }],
    features: [{ name: 'highest', type }],
  })

test('a range needs a number; the other gates take every type', () => {
  const refused = [...scalarTypes, listOf('float64')].filter((type) => {
    try {
      check(type)
      return false
    } catch (error) {
      expect(error).toBeInstanceOf(InputError)
      return true
    }
  })
  expect(refused).toEqual(['boolean', 'string', 'timestamp', 'list<float64>'])
  expect(() => check('string')).toThrow(
    'feature group readings_v1: gate in_range(highest) cannot check feature highest: it needs a number, not a string. Take the gate away or put it on another feature.',
  )
})
