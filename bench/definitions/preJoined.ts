/** Three groups of ten doubles of a user, and two models over all of them, of which one is pre-joined. */
import { entity, env, feature, featureService, parquet, queryGroup } from '../../model/index.ts'

const numbers = Array.from({ length: 10 }, (_, at) => at)
const user = entity({ name: 'user', keys: { id: 'string' } })
const users = parquet({ name: 'users', path: env('WIDE_PATH'), timestamp: 'at' })

/** Features of one name in two groups would have to be called by both. */
const groupOf = (name: string) =>
  queryGroup({
    ...{ name, version: 1, owner: 'bench', description: 'Ten doubles of a user, served for thirty days' },
    ...{ entity: user, sources: [users], every: '1d', ttl: '30d' },
    sql: `SELECT id, $to AS event_timestamp, ${numbers.map((at) => `f${at} AS ${name}_${at}`).join(', ')} FROM users WHERE "at" >= $from AND "at" < $to`,
    features: Object.fromEntries(numbers.map((at) => [`${name}_${at}`, feature('float64')])),
  })

export const first = groupOf('first')
export const second = groupOf('second')
export const third = groupOf('third')

const features = [first, second, third].map((group) => group.pick(...Object.keys(group.features)))
export const apart = featureService({ name: 'apart_v1', features })
export const joined = featureService({ name: 'joined_v1', features, preJoined: true })
