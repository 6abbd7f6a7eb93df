/** ASOF_ONLINE: which stores there are, and that what is wrong with it is said without its secrets. */
import { expect, test } from 'vitest'
import { InputError } from '../../model/index.ts'
import { readConfig } from '../../worker/config.ts'

const stores = (text: string) => readConfig({ ASOF_ONLINE: text }, '/').onlineStores

test('LMDB alone unless something else is said', () => {
  expect(readConfig({}, '/').onlineStores).toEqual([{ name: 'lmdb', url: null }])
  expect(stores('')).toEqual([{ name: 'lmdb', url: null }])
})

test('stores in their order, with their names', () => {
  expect(stores('redis://a, lmdb,second-2=rediss://u:p%2C=@b:6380/3')).toEqual([
    { name: 'redis', url: 'redis://a' },
    { name: 'lmdb', url: null },
    { name: 'second-2', url: 'rediss://u:p%2C=@b:6380/3' },
  ])
  const replicated = 'redis://u:p@a:6379/0?replicas=b:6380;c:6381'
  expect(stores(replicated)).toEqual([{ name: 'redis', url: replicated }])
  expect(stores('redis+cluster://u:p@a:7000?nodes=b:7001;[::1]:7002,c=rediss+cluster://a:7001')).toEqual([
    { name: 'redis', url: 'redis+cluster://u:p@a:7000?nodes=b:7001;[::1]:7002' },
    { name: 'c', url: 'rediss+cluster://a:7001' },
  ])
})

test.each([
  ['redis://:s3cret@a/1?replicas=b', /the entry for redis is neither/],
  ['redis+cluster://:s3cret@a/1', /the entry for redis is neither/],
  ['redis+cluster://:s3cret@a?nodes=b', /a cluster is redis\+cluster:/],
  ['redis+cluster://:s3cret@a?nodes=b:99999', /neither/],
  ['redis+cluster://:s3cret@a?node=b:7000', /neither/],
  ['redis+cluster://:s3cret@', /neither/],
  ['lmdb,lmdb', /two online stores called lmdb.*other=redis:/],
  ['redis://a,redis://b', /two online stores called redis/],
  ['redis://a/1,b=redis://user:s3cret@a:6379/1', /redis:\/\/a:6379\/1 under two names/],
  ['lmdb=redis://a', /"lmdb" cannot be the name of a Redis/],
  ['Big=redis://a', /"Big" cannot be/],
  ['../x=redis://a', /neither lmdb nor the address/],
  ['a b=redis://a', /"a b" cannot be/],
  ['lmdb,', /neither lmdb nor the address of a Redis/],
  ['valkey://:s3cret@a', /the entry for redis is neither.*rediss:\/\/ for TLS/],
  ['cache=redis://:s3cret@a/zero', /the entry for cache is neither/],
  ['redis://:s3,cret@a', /neither lmdb nor the address.*%2C for a comma/],
])('%s is refused', (text, message) => {
  const read = () => stores(text)
  expect(read).toThrow(InputError)
  expect(read).toThrow(message)
  expect(read).not.toThrow(/s3cret/)
  expect(read).not.toThrow(/s3|cret@/)
})
