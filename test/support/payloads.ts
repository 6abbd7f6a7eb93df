/** Every payload of a message of Temporal, wherever it lies in it. */
import { payloadSizeInBytes, type EncodedPayload } from '../../workflows/payloadLimit.ts'

export interface FoundPayload {
  readonly path: string
  readonly sizeInBytes: number
}

/** Inputs, results, memos, search attributes, headers, details, summaries: whatever has data and metadata. */
export function payloadsOf(message: unknown, path = ''): FoundPayload[] {
  if (typeof message !== 'object' || message === null || message instanceof Uint8Array) return []
  if (Array.isArray(message)) return message.flatMap((each, at) => payloadsOf(each, `${path}[${at}]`))
  if (isPayload(message)) return [{ path, sizeInBytes: payloadSizeInBytes([message]) }]
  return Object.entries(message).flatMap(([name, value]) => payloadsOf(value, `${path}.${name}`))
}

export function largestPayload(message: unknown): FoundPayload {
  return payloadsOf(message).reduce((most, each) => (each.sizeInBytes > most.sizeInBytes ? each : most), {
    path: 'none',
    sizeInBytes: 0,
  })
}

function isPayload(message: object): message is EncodedPayload {
  return 'data' in message && message.data instanceof Uint8Array && 'metadata' in message
}
