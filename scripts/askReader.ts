/** Asks the reader that runs here, with a token where it wants one. */
import { X509Certificate } from 'node:crypto'
import { request, type IncomingMessage, type RequestOptions } from 'node:http'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { connect, type TLSSocket } from 'node:tls'
import { InputError, UnavailableError } from '../model/index.ts'
import type { Config } from '../worker/config.ts'
import { readCertificate, readTokens } from '../worker/readerConfig.ts'

export interface ReaderAnswer {
  readonly status: number
  readonly body: string
}

/**
 * One GET, or a POST where there is a question.
 *
 * Over TLS the reader must show the very certificate that is configured here: on this machine it is reached by an
 * address that no certificate names. Nothing is sent before it has.
 *
 * @param url where the reader of this machine listens
 * @param question a body, as JSON
 * @throws UnavailableError where nothing answers there, or somebody else; InputError where the token does not count
 */
export async function askReader(
  { reader }: Config,
  url: string,
  path: string,
  question?: string,
): Promise<ReaderAnswer> {
  const [token] = readTokens(reader)
  const certificate = readCertificate(reader)
  const address = new URL(path, url)
  const options: RequestOptions = {
    method: question === undefined ? 'GET' : 'POST',
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(question === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(certificate === null
      ? {}
      : { createConnection: (_, use) => void pinned(address, certificate.cert, use) }),
  }
  // Over TLS, too, it is plain HTTP that goes into the connection.
  address.protocol = 'http:'
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(address, options, resolve).once('error', reject).end(question)
    })
    if (response.statusCode === 401) {
      throw new InputError(
        'The reader wants a token that is not set here. Set ASOF_READER_TOKENS or ASOF_READER_TOKENS_FILE as they were set for `asof dev`.',
      )
    }
    return { status: response.statusCode ?? 0, body: await text(response) }
  } catch (error) {
    if (error instanceof InputError) throw error
    throw new UnavailableError(
      `The reader on ${url} does not answer: ${(error as Error).message}. Stop it with \`asof stop\`, and start it again with \`asof dev\`.`,
    )
  }
}

/** A TLS connection to whoever shows this certificate, and to nobody else. */
function pinned(
  { hostname, port }: URL,
  cert: string,
  use: (error: Error | null, socket: Duplex) => void,
): TLSSocket {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  // Judged below, by the certificate itself instead of by who signed it for which name.
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false })
  socket.once('error', (error: Error) => use(error, socket))
  socket.once('secureConnect', () => {
    const shown = socket.getPeerX509Certificate()
    if (shown?.fingerprint256 === new X509Certificate(cert).fingerprint256) use(null, socket)
    else socket.destroy(new Error('it shows another certificate than ASOF_READER_TLS_CERT'))
  })
  return socket
}
