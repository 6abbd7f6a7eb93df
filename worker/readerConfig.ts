/** How the reader is reached, by whom, and how much it takes on: the variables `ASOF_READER_…`. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { z } from 'zod'
import { InputError } from '../model/index.ts'
import { checkListening, checkTokens, usualBounds, type Bounds } from '../reader/index.ts'

const text = z.string().min(1)
const wholeNumber = z
  .string()
  .regex(/^[1-9]\d{0,8}$/, 'not a whole number')
  .transform(Number)
const time = z
  .string()
  .regex(/^\d{1,6}(ms|s)$/, 'not a time such as 500ms or 2s')
  .transform((value) => Number.parseInt(value) * (value.endsWith('ms') ? 1 : 1000))
const port = wholeNumber.refine((value) => value < 65_536, 'not a port from 1 to 65535')
const tokenList = text.transform((value) => {
  const tokens = value.split(',').map((token) => token.trim())
  // Thrown here, not left to the schema: its errors show the value.
  checkTokens(tokens, 'ASOF_READER_TOKENS')
  return tokens
})

export const readerVariables = {
  ASOF_READER_HOST: text.default('127.0.0.1'),
  ASOF_READER_PORT: port.optional(),
  ASOF_READER_TOKENS: tokenList.default([]),
  ASOF_READER_TOKENS_FILE: text.optional(),
  ASOF_READER_ALLOW_ANONYMOUS: z.enum(['0', '1'], 'neither 1 nor 0').default('0'),
  ASOF_READER_TLS_CERT: text.optional(),
  ASOF_READER_TLS_KEY: text.optional(),
  ASOF_READER_SAMPLES: z.enum(['on', 'off'], 'neither on nor off').default('on'),
  ASOF_READER_CONCURRENCY: wholeNumber.default(usualBounds.concurrency),
  ASOF_READER_QUEUE: wholeNumber.default(usualBounds.queue),
  ASOF_READER_DEADLINE: time.refine((ms) => ms > 0, 'no time at all').default(usualBounds.deadlineMs),
  ASOF_READER_CONNECTIONS: wholeNumber.optional(),
  ASOF_READER_GRACE: time.default(0),
}

export interface ReaderConfig {
  readonly host: string
  /** Null for any free one. */
  readonly port: number | null
  /** As the environment has them; `readTokens` adds those of the file. */
  readonly tokens: readonly string[]
  /** An absolute path. */
  readonly tokensFile: string | null
  /** Whether it may listen beyond this machine and ask for no token. */
  readonly allowAnonymous: boolean
  /** Absolute paths of PEM files; null for plain HTTP. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /** Whether it keeps a sample of what it serves. */
  readonly samples: boolean
  readonly bounds: Pick<Bounds, 'concurrency' | 'queue' | 'deadlineMs'>
  /** Connections at most; null for as many as the system gives. */
  readonly maxConnections: number | null
  /** How long it goes on listening once it is told to stop. */
  readonly graceMs: number
}

/** @throws InputError for a certificate without its key */
export function readerConfigOf(
  values: z.output<z.ZodObject<typeof readerVariables>>,
  folder: string,
): ReaderConfig {
  const { ASOF_READER_TLS_CERT: cert, ASOF_READER_TLS_KEY: key } = values
  if ((cert === undefined) !== (key === undefined)) {
    throw new InputError(
      `ASOF_READER_TLS_${cert === undefined ? 'KEY' : 'CERT'} is set alone. TLS wants both: ASOF_READER_TLS_CERT and ASOF_READER_TLS_KEY.`,
    )
  }
  const file = values.ASOF_READER_TOKENS_FILE
  return {
    host: values.ASOF_READER_HOST,
    port: values.ASOF_READER_PORT ?? null,
    tokens: values.ASOF_READER_TOKENS,
    tokensFile: file === undefined ? null : resolve(folder, file),
    allowAnonymous: values.ASOF_READER_ALLOW_ANONYMOUS === '1',
    tls:
      cert === undefined || key === undefined
        ? null
        : { certFile: resolve(folder, cert), keyFile: resolve(folder, key) },
    samples: values.ASOF_READER_SAMPLES === 'on',
    bounds: {
      concurrency: values.ASOF_READER_CONCURRENCY,
      queue: values.ASOF_READER_QUEUE,
      deadlineMs: values.ASOF_READER_DEADLINE,
    },
    maxConnections: values.ASOF_READER_CONNECTIONS ?? null,
    graceMs: values.ASOF_READER_GRACE,
  }
}

/**
 * Every token that counts now, those of the file (one a line) after those of the environment.
 *
 * @throws InputError where the file cannot be read, holds none, or one that cannot be a token. A file without tokens is
 * no reader without tokens: whoever names one wants the door closed.
 */
export function readTokens({ tokens, tokensFile }: ReaderConfig): readonly string[] {
  if (tokensFile === null) return tokens
  const where = `ASOF_READER_TOKENS_FILE=${tokensFile}`
  const lines = readText(where, tokensFile)
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  if (lines.length === 0)
    throw new InputError(`${where}: there is no token in it. Write one a line, or unset it.`)
  checkTokens(lines, where)
  return [...tokens, ...lines]
}

/**
 * What the reader needs to open its door, read from the files that are named.
 *
 * @throws InputError as `readTokens` and `readCertificate` do, and where everybody could ask without anybody having meant it
 */
export function readAccess(config: ReaderConfig): {
  readonly tokens: readonly string[]
  readonly tls: Certificate | null
} {
  const { host, allowAnonymous } = config
  const tokens = readTokens(config)
  checkListening(host, { wantsToken: tokens.length > 0, allowAnonymous })
  return { tokens, tls: readCertificate(config) }
}

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** The certificate as it is now, or null for plain HTTP. @throws InputError where it cannot be read or used */
export function readCertificate({ tls }: ReaderConfig): Certificate | null {
  if (tls === null) return null
  const cert = readText(`ASOF_READER_TLS_CERT=${tls.certFile}`, tls.certFile)
  const key = readText(`ASOF_READER_TLS_KEY=${tls.keyFile}`, tls.keyFile)
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw new InputError(
      `ASOF_READER_TLS_CERT=${tls.certFile} and ASOF_READER_TLS_KEY=${tls.keyFile} are no certificate and its key: ${(error as Error).message}. Both are PEM, the key without a passphrase.`,
    )
  }
  return { cert, key }
}

function readText(where: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new InputError(`${where} cannot be read (${code}). Name a file that this user may read.`)
  }
}
