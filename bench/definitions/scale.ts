/** Three groups with keys of their own, for the scale run: nothing computes them, their rows are written straight in. */
import { entity, env, feature, parquet, queryGroup } from '../../model/index.ts'

const sources = [parquet({ name: 'rows', path: env('WIDE_PATH'), timestamp: 'at' })]
const every = '1h'
const [version, owner] = [1, 'bench']

const doubles = (count: number) => Array.from({ length: count }, (_, at) => `f${at}`)
const sqlOf = (keys: string, count: number) =>
  `SELECT ${keys}, $to AS event_timestamp, ${doubles(count).join(', ')} FROM rows WHERE "at" >= $from AND "at" < $to`
const featuresOf = (count: number) =>
  Object.fromEntries(doubles(count).map((name) => [name, feature('float64')]))

export const users = queryGroup({
  ...{ name: 'users', version, owner, every, sources, description: 'Ten doubles of a user' },
  entity: entity({ name: 'user', keys: { id: 'string' } }),
  sql: sqlOf('id', 10),
  features: featuresOf(10),
})

export const places = queryGroup({
  ...{ name: 'places', version, owner, every, sources, description: 'Five doubles of a place' },
  entity: entity({ name: 'place', keys: { place: 'int64' } }),
  sql: sqlOf('place', 5),
  features: featuresOf(5),
})

export const visits = queryGroup({
  ...{ name: 'visits', version, owner, every, sources, description: 'Five doubles of a user at a place' },
  entity: entity({ name: 'visit', keys: { id: 'string', place: 'int64' } }),
  sql: sqlOf('id, place', 5),
  features: featuresOf(5),
})
