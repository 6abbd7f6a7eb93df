/** Servers of one file of tests, which end with it. */
import { afterAll } from 'vitest'
import { startRedis, type TestRedis, type TestRedisOptions } from './redis.ts'

/** Called at the top of a file: what it returns may be called anywhere in it. */
export function redisServers(): (options?: TestRedisOptions) => Promise<TestRedis> {
  const servers: TestRedis[] = []
  afterAll(() => Promise.all(servers.map((server) => server.end())))
  return async (options) => {
    const server = await startRedis(options)
    servers.push(server)
    return server
  }
}
