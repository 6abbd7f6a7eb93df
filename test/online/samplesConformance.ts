/**
 * What every store of served samples must do, as one suite.
 *
 * @example
 * sampleStoreConformance('lmdb', async () => ({ store, another: async () => openLmdbSamples(...), cleanUp: async () => … }))
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { InputError } from '../../model/index.ts'
import { sampleCapacity, type SampleStore } from '../../online/samples.ts'

export interface SamplesUnderTest {
  readonly store: SampleStore
  /** A second handle on the same samples, as another process would open it. */
  another(): Promise<SampleStore>
  cleanUp(): Promise<void>
}

export async function allSamples(store: SampleStore, subject: string): Promise<Buffer[]> {
  const found: Buffer[] = []
  for await (const sample of store.read(subject)) found.push(sample)
  return found
}

const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => {
    const sample = Buffer.alloc(4)
    sample.writeUInt32BE(from + at)
    return sample
  })
const numbersOf = (samples: readonly Buffer[]) => samples.map((sample) => sample.readUInt32BE(0))

export function sampleStoreConformance(name: string, make: () => Promise<SamplesUnderTest>): void {
  describe(`served samples in ${name}`, () => {
    let made: SamplesUnderTest
    let store: SampleStore
    beforeAll(async () => {
      made = await make()
      store = made.store
    })
    afterAll(() => made?.cleanUp())

    test('nothing is there before the first, and dropping nothing is nothing', async () => {
      expect(await store.subjects()).toEqual([])
      expect(await allSamples(store, 'group/a_v1')).toEqual([])
      expect(await store.drop('group/a_v1')).toBe(false)
      await store.add('group/a_v1', [])
      expect(await store.subjects()).toEqual([])
    })

    test('what was added comes back bit for bit, newest first, by subject', async () => {
      const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
      await store.add('group/bits_v1', [Buffer.from('older'), bytes])
      await store.add('group/bits_v1', [Buffer.from(':;\n')])
      await store.add('group/bits_v10', numbered(0, 1))
      await store.add('service/bits_v1', numbered(7, 9))
      const found = await allSamples(store, 'group/bits_v1')
      expect(found.map((sample) => sample.toString('hex'))).toEqual(
        [Buffer.from(':;\n'), bytes, Buffer.from('older')].map((sample) => sample.toString('hex')),
      )
      expect(numbersOf(await allSamples(store, 'group/bits_v10'))).toEqual([0])
      expect(numbersOf(await allSamples(store, 'service/bits_v1'))).toEqual([8, 7])
      expect(await store.subjects()).toEqual(['group/bits_v1', 'group/bits_v10', 'service/bits_v1'])
    })

    test('a subject keeps the newest of its capacity, however they came', async () => {
      const subject = 'group/many_v1'
      for (let from = 0; from < sampleCapacity + 1_500; from += 500) {
        await store.add(subject, numbered(from, from + 500))
      }
      const last = sampleCapacity + 1_500
      const newest = (to: number) => Array.from({ length: sampleCapacity }, (_, at) => to - 1 - at)
      expect(numbersOf(await allSamples(store, subject))).toEqual(newest(last))
      await store.add(subject, numbered(last, 3 * sampleCapacity))
      expect(numbersOf(await allSamples(store, subject))).toEqual(newest(3 * sampleCapacity))
    })

    test('a subject that is dropped is gone, and no other; it can be filled again', async () => {
      await store.add('group/gone_v1', numbered(0, 1200))
      await store.add('group/gone_v10', numbered(0, 2))
      expect(await store.drop('group/gone_v1')).toBe(true)
      expect(await store.drop('group/gone_v1')).toBe(false)
      expect(await allSamples(store, 'group/gone_v1')).toEqual([])
      expect(await store.subjects()).not.toContain('group/gone_v1')
      expect(await allSamples(store, 'group/gone_v10')).toHaveLength(2)
      await store.add('group/gone_v1', numbered(5, 6))
      expect(numbersOf(await allSamples(store, 'group/gone_v1'))).toEqual([5])
    })

    test('two handles write into one, and neither loses what the other wrote', async () => {
      const other = await made.another()
      const subject = 'service/both'
      await Promise.all([
        ...numbered(0, 40).map((sample) => store.add(subject, [sample])),
        ...numbered(40, 80).map((sample) => other.add(subject, [sample])),
      ])
      const there = numbersOf(await allSamples(other, subject)).sort((a, b) => a - b)
      expect(there).toEqual(Array.from({ length: 80 }, (_, at) => at))
      await other.close()
    })

    test.each(['a_v1', 'group/', 'group/a:b', 'group/a/b', 'entity/a', 'group/*'])(
      '%s is no subject',
      async (no) => {
        await expect(Promise.resolve().then(() => store.add(no, numbered(0, 1)))).rejects.toThrow(InputError)
        await expect(allSamples(store, no)).rejects.toThrow(/group\/<id> or service\/<name>/)
        await expect(Promise.resolve().then(() => store.drop(no))).rejects.toThrow(InputError)
      },
    )

    test('a closed one says so', async () => {
      const closed = await made.another()
      await closed.close()
      await closed.close()
      await expect(closed.subjects()).rejects.toThrow(/was closed/)
    })
  })
}
