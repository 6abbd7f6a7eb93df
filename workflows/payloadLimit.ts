/**
 * The greatest payload that Asof hands to Temporal. Imports nothing, so anybody may import it.
 *
 * A server ends a workflow whose arguments or results are larger than 2 MiB, and lets a call of more than 4 MiB hang
 * until a timeout. Asof refuses long before that, in words.
 */
export const payloadLimitInBytes = 256 * 1024

/** As much of Temporal's payload as counts. */
export interface EncodedPayload {
  readonly metadata?: Readonly<Record<string, Uint8Array>> | null
  readonly data?: Uint8Array | null
}

/** Of all payloads of one message together, as the server counts them. */
export function payloadSizeInBytes(payloads: readonly EncodedPayload[]): number {
  let size = 0
  for (const { metadata, data } of payloads) {
    size += data?.byteLength ?? 0
    for (const value of Object.values(metadata ?? {})) size += value.byteLength
  }
  return size
}

/** Null where the payloads may go; else the sentence that refuses them, which begins with `what` they are. */
export function payloadRefusal(what: string, payloads: readonly EncodedPayload[]): string | null {
  const size = payloadSizeInBytes(payloads)
  if (size <= payloadLimitInBytes) return null
  const kibibytes = Math.ceil(size / 1024)
  return `${what} has ${kibibytes} KiB, more than the ${payloadLimitInBytes / 1024} KiB that Asof lets through Temporal. Write it to a file and send its path.`
}
