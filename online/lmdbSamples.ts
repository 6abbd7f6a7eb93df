/**
 * Served samples in LMDB: an environment of its own beside the online store's, because a reader opens that one for
 * reading only, and writes these.
 *
 * One table: `<store>:<subject>:` and a counter, 64 bits big-endian, to a sample. Counters of a subject go up by one, so
 * its samples lie in the order in which they came, and what is more than the capacity behind the newest is removed by the
 * transaction that adds. Writes are committed on a thread of LMDB's own.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { AsofError } from '../model/index.ts'
import { checkStorageName } from './key.ts'
import { makeFolder, openRoot, unavailable, type LmdbOptions } from './lmdbTables.ts'
import { checkSubject, sampleCapacity, type SampleStore } from './samples.ts'

type Samples = RootDatabase<Buffer, Buffer>
type Access = 'read' | 'write' | 'drop'

const samplesPerPage = 500

/** Makes the folder with the first sample. */
export function openLmdbSamples(options: LmdbOptions): SampleStore {
  const { path, store } = options
  checkStorageName('store', store)
  let opened: Samples | null = null
  let isClosed = false

  /** Null where nothing was ever written, and nothing is to be. */
  const open = (what: Access): Samples | null => {
    if (isClosed) throw unavailable(options, 'was closed', null)
    if (opened !== null) return opened
    if (what === 'write') makeFolder(options)
    else if (!existsSync(join(path, 'data.mdb'))) return null
    opened = openRoot(options)
    return opened
  }
  const attempt = async <T>(
    what: Access,
    work: (samples: Samples) => T | Promise<T>,
    none: T,
  ): Promise<T> => {
    try {
      const samples = open(what)
      if (samples === null) return none
      if (what === 'read') samples.resetReadTxn()
      return await work(samples)
    } catch (error) {
      if (error instanceof AsofError) throw error
      throw unavailable(options, `cannot ${what}`, error)
    }
  }

  return {
    name: 'lmdb',
    add(subject, added) {
      checkSubject(subject)
      const newest = added.slice(-sampleCapacity)
      return attempt(
        'write',
        (samples) => samples.transaction(() => append(samples, store, subject, newest)),
        undefined,
      )
    },

    async *read(subject) {
      checkSubject(subject)
      let before = counterKey(store, subject, lastCounter)
      for (;;) {
        const page = await attempt(
          'read',
          (samples) => pageBefore(samples, before, counterKey(store, subject, 0n)),
          [],
        )
        for (const { value } of page) yield value
        const last = page.at(-1)
        if (last === undefined) return
        before = last.key
      }
    },

    subjects: () => attempt('read', (samples) => subjectsOf(samples, `${store}:`), []),

    async drop(subject) {
      checkSubject(subject)
      const range = { start: counterKey(store, subject, 0n), end: counterKey(store, subject, lastCounter) }
      const remove = (samples: Samples) => samples.transaction(() => removeAll(samples, range) > 0)
      return attempt('drop', remove, false)
    },

    async close() {
      if (isClosed) return
      isClosed = true
      await opened?.close()
    },
  }
}

const lastCounter = 0xffff_ffff_ffff_ffffn

function counterKey(store: string, subject: string, counter: bigint): Buffer {
  const prefix = Buffer.from(`${store}:${subject}:`)
  const key = Buffer.alloc(prefix.length + 8)
  prefix.copy(key)
  key.writeBigUInt64BE(counter, prefix.length)
  return key
}

const counterOf = (key: Buffer): bigint => key.readBigUInt64BE(key.length - 8)

function append(samples: Samples, store: string, subject: string, added: readonly Buffer[]): void {
  const range = { start: counterKey(store, subject, lastCounter), end: counterKey(store, subject, 0n) }
  const [last] = samples.getKeys({ ...range, reverse: true, limit: 1 })
  let next = last === undefined ? 1n : counterOf(last) + 1n
  for (const sample of added) samples.putSync(counterKey(store, subject, next++), sample)
  const oldest = next - BigInt(sampleCapacity)
  if (oldest > 0n) removeAll(samples, { start: range.end, end: counterKey(store, subject, oldest) })
}

function removeAll(samples: Samples, range: { readonly start: Buffer; readonly end: Buffer }): number {
  const keys = Array.from(samples.getKeys(range))
  for (const key of keys) samples.removeSync(key)
  return keys.length
}

/** Short pages, so that a slow consumer holds no read transaction. */
const pageBefore = (samples: Samples, before: Buffer, end: Buffer) =>
  Array.from(
    samples.getRange({ start: before, exclusiveStart: true, end, reverse: true, limit: samplesPerPage }),
    ({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value) }),
  )

/** Jumps from the first sample of one subject to the first of the next. */
function subjectsOf(samples: Samples, prefix: string): string[] {
  const found: string[] = []
  let start = Buffer.from(prefix)
  const end = Buffer.from(`${prefix.slice(0, -1)};`)
  for (;;) {
    const [key] = samples.getKeys({ start, end, limit: 1 })
    // Keys end in a colon and more, so a name comes after one that begins with it.
    if (key === undefined) return found.sort()
    const subject = key.toString('utf8', prefix.length, key.length - 9)
    found.push(subject)
    start = Buffer.from(`${prefix}${subject};`)
  }
}
