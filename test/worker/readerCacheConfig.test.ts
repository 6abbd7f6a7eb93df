/** ASOF_READER_CACHE: what a reader keeps in memory, and what cannot be. */
import { expect, test } from 'vitest'
import { InputError } from '../../model/index.ts'
import { readConfig } from '../../worker/config.ts'

const read = (text: string, online = 'redis://a') =>
  readConfig({ ASOF_READER_CACHE: text, ASOF_ONLINE: online }, '/').readerCache

test.each([
  ['', null],
  ['off', null],
  ['ttl=500ms,size=64MB', { ttlMs: 500, maxBytes: 64 * 2 ** 20 }],
  ['ttl=2s', { ttlMs: 2_000, maxBytes: 64 * 2 ** 20 }],
  ['ttl=1m,size=2GB', { ttlMs: 60_000, maxBytes: 2 * 2 ** 30 }],
  ['tracking', { ttlMs: null, maxBytes: 64 * 2 ** 20 }],
  ['tracking,size=1MB', { ttlMs: null, maxBytes: 2 ** 20 }],
])('%j', (text, cache) => {
  expect(read(text)).toEqual(cache)
})

test.each([
  ['on', /"on" is none\. Write off, ttl=500ms,size=64MB or tracking,size=64MB/],
  ['ttl', /"ttl" is none/],
  ['ttl=0ms', /"ttl=0ms" is none/],
  ['ttl=500', /"ttl=500" is none/],
  ['ttl=1h', /"ttl=1h" is none/],
  ['size=64MB', /"size=64MB" is none/],
  ['size=64MB,ttl=1s', /is none/],
  ['tracking,ttl=1s', /is none/],
  ['ttl=1s,size=0MB', /"size=0MB" is none/],
  ['tracking,size=', /"size=" is none/],
  ['off,size=64MB', /is none/],
])('%s is refused', (text, message) => {
  expect(() => read(text)).toThrow(InputError)
  expect(() => read(text)).toThrow(message)
})

test('LMDB is kept for a time, and tells of no changes', () => {
  expect(read('ttl=1s', 'lmdb,redis://a')?.ttlMs).toBe(1_000)
  expect(read('tracking', 'redis://a,lmdb')?.ttlMs).toBe(null)
  expect(() => read('tracking', 'lmdb,redis://a')).toThrow(/serves from lmdb.*name a Redis first/)
})

test('several servers each tell of their own changes, so only a time is kept', () => {
  for (const online of ['redis+cluster://a:7000', 'redis://a:6379/0?replicas=b:6380']) {
    expect(read('ttl=1s', online)?.ttlMs).toBe(1_000)
    expect(() => read('tracking', online)).toThrow(/several servers.*single Redis first/)
  }
})
