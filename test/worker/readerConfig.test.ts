/** ASOF_READER_…: how the reader is reached and by whom, and that what is wrong with it is said without its secrets. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { InputError } from '../../model/index.ts'
import { readConfig } from '../../worker/config.ts'
import { readAccess, readTokens } from '../../worker/readerConfig.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('reader-config')
const read = (environment: Record<string, string>) => readConfig(environment, folder).reader
const good = 'a-token-that-is-long'

test('loopback, any port, no token, plain HTTP unless something else is said', () => {
  expect(read({})).toMatchObject({
    host: '127.0.0.1',
    port: null,
    tokens: [],
    tokensFile: null,
    allowAnonymous: false,
    tls: null,
    bounds: { concurrency: 64, queue: 512, deadlineMs: 2_000 },
    maxConnections: null,
    graceMs: 0,
  })
  expect(read({ ASOF_READER_DEADLINE: '500ms', ASOF_READER_CONNECTIONS: '9' })).toMatchObject({
    bounds: { deadlineMs: 500 },
    maxConnections: 9,
  })
})

test('tokens of the environment come before those of the file', () => {
  writeFileSync(join(folder, 'tokens'), `${good}1\r\n\n${good}2`)
  const reader = read({ ASOF_READER_TOKENS: `${good}, ${good}0`, ASOF_READER_TOKENS_FILE: 'tokens' })
  expect(readTokens(reader)).toEqual([good, `${good}0`, `${good}1`, `${good}2`])
})

test.each([
  [
    { ASOF_READER_TOKENS: `${good},s3cret` },
    /TOKENS: token 2 of 2 is 6 characters long, at least 16.*openssl/,
  ],
  [{ ASOF_READER_TOKENS: `${good},` }, /token 2 of 2 is 0 characters/],
  [{ ASOF_READER_TOKENS: 's3cret s3cret s3cret' }, /character that no bearer token can have/],
  [{ ASOF_READER_TOKENS: 's3crét-s3crét-s3crét' }, /character that no bearer token can have/],
  [{ ASOF_READER_PORT: '65536' }, /ASOF_READER_PORT=65536: not a port/],
  [{ ASOF_READER_PORT: 'http' }, /ASOF_READER_PORT=http: not a whole number/],
  [{ ASOF_READER_DEADLINE: '2' }, /ASOF_READER_DEADLINE=2: not a time such as 500ms or 2s/],
  [{ ASOF_READER_DEADLINE: '0s' }, /ASOF_READER_DEADLINE=0s: no time at all/],
  [{ ASOF_READER_QUEUE: '-1' }, /ASOF_READER_QUEUE=-1: not a whole number/],
  [{ ASOF_READER_ALLOW_ANONYMOUS: 'yes' }, /ASOF_READER_ALLOW_ANONYMOUS=yes: neither 1 nor 0/],
  [{ ASOF_READER_TLS_CERT: 'cert.pem' }, /TLS_CERT is set alone.*ASOF_READER_TLS_KEY/],
  [{ ASOF_READER_TLS_KEY: 'key.pem' }, /TLS_KEY is set alone/],
])('%o is refused', (environment, message) => {
  const refused = () => read(environment)
  expect(refused).toThrow(InputError)
  expect(refused).toThrow(message)
  expect(refused).not.toThrow(/s3cr/)
})

test.each([
  ['nothing.txt', null, /ASOF_READER_TOKENS_FILE=.*nothing\.txt cannot be read \(ENOENT\)/],
  ['empty.txt', '\n \n', /empty\.txt: there is no token in it/],
  ['short.txt', `${good}\ns3cret`, /short\.txt: token 2 of 2 is 6 characters/],
])('a file of tokens that will not do: %s', (name, content, message) => {
  if (content !== null) writeFileSync(join(folder, name), content)
  const refused = () => readAccess(read({ ASOF_READER_TOKENS: good, ASOF_READER_TOKENS_FILE: name }))
  expect(refused).toThrow(InputError)
  expect(refused).toThrow(message)
  expect(refused).not.toThrow(/s3cret/)
})

test('a certificate that is none', () => {
  writeFileSync(join(folder, 'cert.pem'), 'nothing')
  const tls = { ASOF_READER_TLS_CERT: 'cert.pem', ASOF_READER_TLS_KEY: 'key.pem' }
  expect(() => readAccess(read(tls))).toThrow(/ASOF_READER_TLS_KEY=.*key\.pem cannot be read/)
  writeFileSync(join(folder, 'key.pem'), 's3cret')
  expect(() => readAccess(read(tls))).toThrow(/are no certificate and its key/)
  expect(() => readAccess(read(tls))).toThrow(InputError)
  expect(() => readAccess(read(tls))).not.toThrow(/s3cret/)
})

test('elsewhere than on loopback somebody must have said who may ask', () => {
  const elsewhere = { ASOF_READER_HOST: '0.0.0.0' }
  expect(() => readAccess(read(elsewhere))).toThrow(InputError)
  expect(readAccess(read({ ...elsewhere, ASOF_READER_TOKENS: good })).tokens).toEqual([good])
  expect(readAccess(read({ ...elsewhere, ASOF_READER_ALLOW_ANONYMOUS: '1' })).tokens).toEqual([])
})
