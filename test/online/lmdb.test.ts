/** LMDB: the conformance suite, and what is its own: folders, processes, a reader that is there before the data. */
import { randomInt } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { UnavailableError } from '../../model/index.ts'
import { openLmdb } from '../../online/lmdb.ts'
import { randomFrom } from '../offline/random.ts'
import { cardOf, markOf, onlineStoreConformance, order, readValues, rowOf } from './conformance.ts'
import { startWriter } from './writerProcess.ts'

const folders: string[] = []
async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'asof-lmdb-'))
  folders.push(folder)
  return folder
}
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))))

onlineStoreConformance('lmdb', async () => {
  const path = join(await newFolder(), 'online')
  const store = openLmdb({ path, store: 'test' })
  return {
    store,
    another: () => Promise.resolve(openLmdb({ path, store: 'test' })),
    cleanUp: () => store.close(),
  }
})

describe('lmdb batches', () => {
  const seed = randomInt(2 ** 31)
  test(`whatever runs of keys a batch has, the greater order stays (seed ${seed})`, async () => {
    const store = openLmdb({ path: await newFolder(), store: 'test' })
    const { below } = randomFrom(seed)
    const greatest = new Map<string, number>()
    for (let load = 0; load < 60; load++) {
      const sequence = 1 + below(20)
      // Runs in order and out of it, with keys that are there in the middle of those that are not.
      const starts = Array.from({ length: 1 + below(6) }, () => below(400))
      const keys = starts.flatMap((start) =>
        Array.from({ length: 1 + below(30) }, (_, at) => `k${start + at}`),
      )
      const isOlder = (key: string) => (greatest.get(key) ?? 0) < sequence
      const expected = new Set(keys.filter(isOlder)).size
      expect(
        await store.write(
          cardOf('a_v1'),
          order(sequence),
          keys.map((key) => rowOf(key, sequence)),
        ),
      ).toBe(expected)
      for (const key of keys.filter(isOlder)) greatest.set(key, sequence)
    }
    const stored = new Map<string, number>()
    for await (const row of store.scan('a_v1'))
      stored.set(String(row.keys[0]), Number(row.order.sequenceNumber))
    expect(stored).toEqual(greatest)
    await store.close()
  })

  test('entities are counted with those that are buried, and not those of other groups', async () => {
    const store = openLmdb({ path: await newFolder(), store: 'test' })
    expect(await store.count?.('a_v1')).toBe(0)
    await store.write(cardOf('a_v1'), order(1), [rowOf('a', 1), rowOf('b', 1), rowOf('c', 1)])
    await store.write(cardOf('a_v10'), order(1), [rowOf('a', 1)])
    await store.write(cardOf('a_v1'), order(2), [{ keys: ['a'], eventTimestampMicros: null, values: null }])
    expect(await store.count?.('a_v1')).toBe(3)
    await store.close()
  })
})

describe('lmdb folders', () => {
  test('a reader of a folder that is not there is told so, with the cure', async () => {
    const path = join(await newFolder(), 'nowhere')
    const openIt = () => openLmdb({ path, store: 'test', readOnly: true })
    expect(openIt).toThrow(UnavailableError)
    expect(openIt).toThrow(/nowhere cannot be read.*no such file.*ASOF_HOME/s)
  })

  test('a path that cannot be a folder is told so', async () => {
    const file = join(await newFolder(), 'file')
    await writeFile(file, '')
    expect(() => openLmdb({ path: join(file, 'online'), store: 'test' })).toThrow(UnavailableError)
    expect(() => openLmdb({ path: file, store: 'test' })).toThrow(UnavailableError)
  })

  test('a torn database is a store that does not answer, not a crash', async () => {
    const path = await newFolder()
    await writeFile(join(path, 'data.mdb'), 'this is no database'.repeat(1000))
    expect(() => openLmdb({ path, store: 'test' })).toThrow(UnavailableError)
    const reader = openLmdb({ path, store: 'test', readOnly: true })
    await expect(reader.listGroups()).rejects.toThrow(/no LMDB database.*load the groups again/)
  })

  test('two stores in one folder see nothing of each other', async () => {
    const path = await newFolder()
    const [one, two] = [openLmdb({ path, store: 'one' }), openLmdb({ path, store: 'onea' })]
    await one.write(cardOf('a_v1'), order(1), [rowOf('a', 1)])
    await two.write(cardOf('b_v1'), order(1), [rowOf('a', 2)])
    expect([await one.listGroups(), await two.listGroups()]).toEqual([['a_v1'], ['b_v1']])
    expect(await readValues(two, 'a_v1', [['a']])).toEqual([null])
    await one.close()
    await two.close()
    expect(() => openLmdb({ path, store: 'a:b' })).toThrow(/store "a:b"/)
  })
})

describe('lmdb across processes', () => {
  test('a reader opened before the first write sees what another process writes, load by load', async () => {
    const path = await newFolder()
    const reader = openLmdb({ path, store: 'test', readOnly: true })
    expect(await reader.listGroups()).toEqual([])
    expect(await readValues(reader, 'a_v1', [['k0']])).toEqual([null])
    const writer = startWriter(path)
    for (let load = 1; load <= 4; load++) {
      // Each load is larger than the last, so the database grows under the reader.
      await writer.load({ group: 'a_v1', sequence: load, rows: load * 20_000, finish: load !== 2 })
      const keys = ['k0', `k${load * 20_000 - 1}`, `k${load * 20_000}`].map((key) => [key])
      const found = await readValues(reader, 'a_v1', keys)
      expect(found.map((value) => value?.values[0] ?? null)).toEqual([BigInt(load), BigInt(load), null])
      const done = BigInt(load === 2 ? 1 : load)
      expect((await reader.readCard('a_v1'))?.complete?.order.sequenceNumber).toBe(done)
    }
    await expect(reader.write(cardOf('a_v1'), order(9), [])).rejects.toThrow(/read only/)
    await writer.stop()
    expect((await readValues(reader, 'a_v1', [['k0']]))[0]?.values).toEqual([4n])
    await reader.close()
  })

  test('reading goes on while another process writes: every value is whole and none goes back', async () => {
    const path = await newFolder()
    const writer = startWriter(path)
    await writer.load({ group: 'a_v1', sequence: 1, rows: 500, finish: true })
    const reader = openLmdb({ path, store: 'test', readOnly: true })
    let writing = true
    const loads = (async () => {
      for (let load = 2; load <= 30; load++)
        await writer.load({ group: 'a_v1', sequence: load, rows: 500, finish: true })
      writing = false
    })()
    const keys = Array.from({ length: 500 }, (_, index) => [`k${index}`])
    let last = 0n
    let reads = 0
    while (writing) {
      const values = (await readValues(reader, 'a_v1', keys)).map((value) => value?.values[0])
      // One transaction wrote them, one snapshot reads them: all 500 are of one load.
      expect(new Set(values).size).toBe(1)
      expect((values[0] as bigint) >= last).toBe(true)
      last = values[0] as bigint
      reads++
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await loads
    expect(reads).toBeGreaterThan(5)
    await writer.stop()
    await reader.close()
  })

  test('two processes that load the same entities at once end at the greater order', async () => {
    const path = await newFolder()
    const writers = [startWriter(path), startWriter(path)] as const
    await Promise.all([
      writers[0].load({ group: 'a_v1', sequence: 2, rows: 20_000, finish: true }),
      writers[1].load({ group: 'a_v1', sequence: 1, rows: 20_000, finish: true }),
    ])
    const store = openLmdb({ path, store: 'test' })
    let rows = 0
    for await (const { value } of store.scan('a_v1')) {
      expect(value?.values).toEqual([2n])
      rows++
    }
    expect(rows).toBe(20_000)
    expect((await store.readCard('a_v1'))?.complete).toEqual(markOf(order(2)))
    await Promise.all(writers.map((writer) => writer.stop()))
    await store.close()
  })

  test('a writer that is killed in the middle of a load leaves whole values and an open store', async () => {
    const path = await newFolder()
    const writer = startWriter(path)
    await writer.load({ group: 'a_v1', sequence: 1, rows: 1000, finish: true })
    void writer.load({ group: 'a_v1', sequence: 2, rows: 400_000, finish: true }).catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await writer.kill()
    const store = openLmdb({ path, store: 'test' })
    for (const value of await readValues(
      store,
      'a_v1',
      Array.from({ length: 1000 }, (_, index) => [`k${index}`]),
    )) {
      expect([1n, 2n]).toContain(value?.values[0])
    }
    expect((await store.readCard('a_v1'))?.complete).toEqual(markOf(order(1)))
    expect(await store.write(cardOf('a_v1'), order(3), [rowOf('k0', 3)])).toBe(1)
    await store.close()
  })
})
