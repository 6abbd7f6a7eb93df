/**
 * Served samples in Redis.
 *
 * | key | type | value |
 * |---|---|---|
 * | `<store>:!samples` | set | the subjects |
 * | `<store>:!samples:<subject>` | list | samples, newest first |
 *
 * No group's name holds an exclamation mark, so these meet no key of values. A subject is one key, and every command
 * has one key, so a cluster takes them as they are. Both expire, on Redis' own clock: a bound on garbage, no more.
 */
import { checkStorageName } from './key.ts'
import { isCluster, replicatedAddress } from './redisAddress.ts'
import { RedisClusterConnection } from './redisClusterConnection.ts'
import { RedisConnection, script, type RedisOptions, type Servers } from './redisConnection.ts'
import { checkSubject, sampleCapacity, type SampleStore } from './samples.ts'

/** A week of nightly checks, and a day for those that came late. */
const lifeSeconds = 8 * 86_400
const samplesPerPage = 500

/**
 * Adds samples in one step, so that a list is never longer than it may be, nor without its end. `KEYS[1]`: the list.
 * `ARGV`: how many it may hold, for how many seconds, then the samples, oldest first, which Lua passes on a thousand at a time.
 */
const addSamples = script(`
for from = 3, #ARGV, 1000 do
  redis.call('LPUSH', KEYS[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
redis.call('LTRIM', KEYS[1], 0, ARGV[1] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[2])
return #ARGV - 2`)

/** Opens them on a connection of their own, so that no read waits behind a write of samples. @throws InputError */
export function openRedisSamples(options: RedisOptions): SampleStore {
  const { store, name = 'redis' } = options
  checkStorageName('store', store)
  const subjectsKey = `${store}:!samples`
  const keyOf = (subject: string) => {
    checkSubject(subject)
    return `${subjectsKey}:${subject}`
  }
  const connect = (): Servers =>
    isCluster(options.url)
      ? new RedisClusterConnection(options)
      : new RedisConnection({ ...options, url: replicatedAddress(options.url).primary })
  let connection = connect()
  let isClosed = false
  const renew = (failed: Servers) => {
    if (isClosed || failed !== connection) return
    connection = connect()
    failed.close()
  }

  return {
    name,
    async add(subject, samples) {
      const key = keyOf(subject)
      if (samples.length === 0) return
      const newest = samples.slice(-sampleCapacity)
      const used = connection
      try {
        await used.run(addSamples, [key], [String(sampleCapacity), String(lifeSeconds), ...newest])
        await used.attempt('write', (client) =>
          Promise.all([client.sadd(subjectsKey, subject), client.expire(subjectsKey, lifeSeconds)]),
        )
      } catch (error) {
        // What a server that hangs was sent stays in the connection's queue: with the connection it goes.
        renew(used)
        throw error
      }
    },

    async *read(subject) {
      const key = keyOf(subject)
      for (let from = 0; ; from += samplesPerPage) {
        const page = await connection.attempt('read', (client) =>
          client.lrangeBuffer(key, from, from + samplesPerPage - 1),
        )
        yield* page
        if (page.length < samplesPerPage) return
      }
    },

    async subjects() {
      const all = await connection.attempt('read', (client) => client.smembers(subjectsKey))
      const lengths = await Promise.all(
        all.map((subject) => connection.attempt('read', (client) => client.exists(keyOf(subject)))),
      )
      return all.filter((_, at) => lengths[at] === 1).sort()
    },

    async drop(subject) {
      const key = keyOf(subject)
      const removed = await connection.attempt('write', (client) => client.unlink(key))
      await connection.attempt('write', (client) => client.srem(subjectsKey, subject))
      return removed > 0
    },

    close() {
      isClosed = true
      connection.close()
      return Promise.resolve()
    },
  }
}
