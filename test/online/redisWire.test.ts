/** The hand-written connection for MGET: replies in whatever pieces they come, and every end that a connection can have. */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { UnavailableError } from '../../model/index.ts'
import { RedisConnection } from '../../online/redisConnection.ts'
import { RedisWire, ReplyReader } from '../../online/redisWire.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'

const textsOf = (reply: (Buffer | null)[] | Error | undefined) =>
  reply instanceof Error ? reply.message : reply?.map((value) => value?.toString() ?? null)

describe('replies', () => {
  const written = Buffer.from(
    '*3\r\n$1\r\na\r\n$-1\r\n$4\r\n\r\n\r\n\r\n*0\r\n-NOPERM no\r\n*1\r\n$0\r\n\r\n*2\r\n$2\r\né\r\n$12\r\nabcdefghijkl\r\n',
  )
  const read = [['a', null, '\r\n\r\n'], [], 'NOPERM no', [''], ['é', 'abcdefghijkl']]

  test.each([1, 2, 3, 7, 1_000])('are the same in pieces of %i bytes', (size) => {
    const reader = new ReplyReader()
    const found = []
    for (let at = 0; at < written.length; at += size)
      found.push(...reader.read(written.subarray(at, at + size)))
    expect(found.map(textsOf)).toEqual(read)
  })

  test.each(['+OK\r\n', ':1\r\n', '*1\r\n:1\r\n', '\r\n'])(
    'that are none of MGET are refused: %j',
    (bytes) => {
      expect(() => new ReplyReader().read(Buffer.from(bytes))).toThrow(/no answer of Redis to MGET/)
    },
  )
})

describe('a wire', () => {
  let server: TestRedis
  beforeAll(async () => {
    server = await startRedis()
    await server.look((client) => client.mset('a', '1', 'é😀', '2', 'long', 'x'.repeat(300_000)))
  })
  afterAll(() => server.end())

  async function opened(timeoutMs = 5_000): Promise<{ wire: RedisWire; client: Redis }> {
    const client = new Redis(server.url, { protocol: 2, lazyConnect: true, retryStrategy: () => 20 })
    client.on('error', () => undefined)
    const wire = new RedisWire(client, timeoutMs)
    await client.connect()
    await expect.poll(() => wire.isOpen).toBe(true)
    return { wire, client }
  }

  test('answers questions in their order, whatever is asked at once', async () => {
    const { wire } = await opened()
    const asked = Array.from({ length: 2_000 }, (_, at) =>
      wire.mget(at % 7 === 0 ? ['long', 'a'] : ['a', 'é😀', 'no']),
    )
    const found = (await Promise.all(asked)).map(textsOf)
    found.forEach((texts, at) => {
      expect(texts).toEqual(at % 7 === 0 ? ['x'.repeat(300_000), '1'] : ['1', '2', null])
    })
    wire.close()
    await expect(wire.mget(['a'])).rejects.toThrow('Connection is closed')
  })

  test('passes on what Redis refuses, and goes on', async () => {
    await server.look(async (client) => {
      await client.call('ACL', 'SETUSER', 'narrow', 'on', '>secret', '~a', '+@all')
    })
    const client = new Redis(server.url.replace('//', '//narrow:secret@'), { protocol: 2, lazyConnect: true })
    const wire = new RedisWire(client, 5_000)
    await client.connect()
    await expect.poll(() => wire.isOpen).toBe(true)
    const [refused, found] = await Promise.allSettled([wire.mget(['b']), wire.mget(['a'])])
    expect(refused).toMatchObject({ reason: { message: expect.stringContaining('NOPERM') as string } })
    expect(found).toMatchObject({ value: [Buffer.from('1')] })
    wire.close()
  })

  test('fails what it was asked when its connection is cut, and comes back', async () => {
    const { wire, client } = await opened()
    server.pause()
    const asked = Promise.allSettled([wire.mget(['a']), wire.mget(['a'])])
    await new Promise((resolve) => setTimeout(resolve, 20))
    client.stream.destroy()
    expect(await asked).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }])
    expect(wire.isOpen).toBe(false)
    server.resume()
    await expect.poll(() => wire.isOpen).toBe(true)
    expect(await wire.mget(['a'])).toEqual([Buffer.from('1')])
    wire.close()
  })

  test('does not wait longer than it was told for a server that hangs', async () => {
    const { wire } = await opened(200)
    server.pause()
    try {
      await expect(wire.mget(['a'])).rejects.toThrow('timed out')
    } finally {
      server.resume()
    }
    await expect.poll(() => wire.isOpen).toBe(true)
    expect(await wire.mget(['a'])).toEqual([Buffer.from('1')])
    wire.close()
  })

  test('is no part of what somebody sees who reads: errors are those of the store', async () => {
    const connection = new RedisConnection({ url: server.url, store: 'test', timeoutMs: 300 })
    expect(await connection.mgetOften(['a', 'b'])).toEqual([Buffer.from('1'), null])
    // By now over the wire.
    await new Promise((resolve) => setTimeout(resolve, 100))
    server.pause()
    try {
      await expect(connection.mgetOften(['a'])).rejects.toThrow(UnavailableError)
    } finally {
      server.resume()
    }
    await expect.poll(() => connection.mgetOften(['a']).catch(() => null)).toEqual([Buffer.from('1')])
    connection.close()
    await expect(connection.mgetOften(['a'])).rejects.toThrow(/was closed/)
  })
})
