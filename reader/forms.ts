/** The two forms of bodies and answers: JSON and MessagePack. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Unpackr } from 'msgpackr'
import { InputError } from '../model/index.ts'
import type { Form } from './answers.ts'
import { parseExactJson } from './exactJson.ts'

export const contentTypes: Readonly<Record<Form, string>> = {
  json: 'application/json; charset=utf-8',
  msgpack: 'application/msgpack',
}

/** A body as it came; its text is null where it is MessagePack. */
export interface Body {
  readonly text: string | null
  readonly bytes: Buffer
}

const isPacked = (header: string | undefined) => header?.includes('msgpack') === true

/** MessagePack for whoever says that it takes it, JSON for all others. */
export const formOf = ({ headers }: FastifyRequest): Form => (isPacked(headers.accept) ? 'msgpack' : 'json')

const noBytes = Buffer.alloc(0)

export function readBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    done(null, { text: text as string, bytes: noBytes } satisfies Body)
  })
  const packedTypes = ['application/msgpack', 'application/x-msgpack', 'application/vnd.msgpack']
  app.addContentTypeParser(packedTypes, { parseAs: 'buffer' }, (_request, bytes, done) => {
    done(null, { text: null, bytes: bytes as Buffer } satisfies Body)
  })
}

const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: 'bigint' })

/** @throws InputError for what cannot be read */
export function parseBody(body: Body | undefined): unknown {
  if (body === undefined) throw new InputError('There is no body. Send JSON or MessagePack.')
  try {
    return body.text === null ? (unpackr.unpack(body.bytes) as unknown) : parseExactJson(body.text)
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    throw new InputError(
      `The body is no ${body.text === null ? 'MessagePack' : 'JSON'} that can be read: ${said}.`,
    )
  }
}
