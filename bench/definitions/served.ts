/** A group of ten doubles, for reading: nothing computes it, its rows are written straight into its table. */
import { entity, env, feature, featureService, parquet, queryGroup } from '../../model/index.ts'

const names = Array.from({ length: 10 }, (_, at) => `f${at}`)

export const served = queryGroup({
  name: 'served',
  version: 1,
  owner: 'bench',
  description: 'Ten doubles of a user, served for thirty days',
  entity: entity({ name: 'user', keys: { id: 'string' } }),
  sources: [parquet({ name: 'users', path: env('WIDE_PATH'), timestamp: 'at' })],
  every: '1d',
  ttl: '30d',
  sql: `SELECT id, $to AS event_timestamp, ${names.join(', ')} FROM users WHERE "at" >= $from AND "at" < $to`,
  features: Object.fromEntries(names.map((name) => [name, feature('float64')])),
})

export const servedModel = featureService({ name: 'served_model_v1', features: [served.pick(...names)] })
