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
import { RedisConnection, type RedisOptions } from './redisConnection.ts'
import { checkSubject, sampleCapacity, type SampleStore } from './samples.ts'

/** A week of nightly checks, and a day for those that came late. */
const lifeSeconds = 8 * 86_400
const samplesPerPage = 500

/** Opens them on a connection of their own, so that no read waits behind a write of samples. @throws InputError */
export function openRedisSamples(options: RedisOptions): SampleStore {
  const { store, name = 'redis' } = options
  checkStorageName('store', store)
  const subjectsKey = `${store}:!samples`
  const keyOf = (subject: string) => {
    checkSubject(subject)
    return `${subjectsKey}:${subject}`
  }
  let connection = new RedisConnection(options)
  let isClosed = false
  const renew = (failed: RedisConnection) => {
    if (isClosed || failed !== connection) return
    connection = new RedisConnection(options)
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
        await used.attempt('write', (client) => {
          const pushed = client
            .multi()
            .lpush(key, ...newest)
            .ltrim(key, 0, sampleCapacity - 1)
          return done(pushed.expire(key, lifeSeconds))
        })
        await used.attempt('write', (client) =>
          done(client.multi().sadd(subjectsKey, subject).expire(subjectsKey, lifeSeconds)),
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

type Transaction = ReturnType<Parameters<Parameters<RedisConnection['attempt']>[1]>[0]['multi']>

/** Runs a transaction; the first of its commands that failed speaks for it. */
async function done(transaction: Transaction): Promise<void> {
  const results = await transaction.exec()
  for (const [error] of results ?? []) if (error !== null) throw error
}
