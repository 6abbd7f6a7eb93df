/**
 * What a cache remembers, within a bound in bytes: entries with the bytes of their values.
 *
 * Values are copied: what a connection hands out are pieces of its network buffers, and one short value would hold 64 KiB
 * of them. They are copied into chunks, for a buffer of its own costs each value more than its bytes and the garbage
 * collector more than that. Entries stand in segments in the order in which they came; when the bound is passed, the
 * oldest segment goes, and those of its entries that were asked for since move to the newest (CLOCK, a segment at a time),
 * up to half of it, so that room is made in bounded time however many of them are in use. A hit only sets a flag.
 */

export interface Entry {
  readonly text: string
  /** Where it stands for as long as it counts; whoever takes it out there has forgotten it. */
  readonly home: Map<string, Entry>
  /** Of a value; null where the store has none, undefined while it is asked. */
  bytes: Buffer | null | undefined
  /** No later than when the store was read. */
  readAtMs: number
  wasAsked: boolean
}

export interface CacheMemory {
  /** Bytes that are spoken for, at most `maxBytes` after every call. */
  readonly bytes: number
  /** Gives an entry its value. It must stand in its home. */
  put(entry: Entry, bytes: Buffer | null): void
  /** Entries are left in their homes. */
  clear(): void
}

/**
 * Of an entry without a value: the entry, its text, its place in its home and its view of the bytes. Measured with a
 * million of them (Node 20): 150 bytes without a value, 250 with one, up to 30 more after a home has grown.
 */
const bytesPerEntry = 300
const chunkBytes = 16 * 1024
const mostSegmentBytes = 256 * 1024

interface Segment {
  readonly entries: Entry[]
  bytes: number
  chunk: Buffer
  /** Of the chunk. */
  used: number
  newer: Segment | null
}

const newSegment = (): Segment => ({ entries: [], bytes: 0, chunk: noChunk, used: 0, newer: null })
const noChunk = Buffer.alloc(0)

export function cacheMemory(maxBytes: number): CacheMemory {
  const segmentBytes = Math.min(mostSegmentBytes, Math.ceil(maxBytes / 8))
  let oldest = newSegment()
  let newest = oldest
  let total = 0

  const append = (entry: Entry, bytes: Buffer | null) => {
    if (newest.bytes >= segmentBytes) newest = newest.newer = newSegment()
    const before = newest.bytes
    newest.entries.push(entry)
    newest.bytes += bytesPerEntry + 2 * entry.text.length
    entry.bytes = bytes === null ? null : copied(newest, bytes)
    total += newest.bytes - before
  }
  const forgetOldest = () => {
    const segment = oldest
    oldest = segment.newer ?? (newest = newSegment())
    total -= segment.bytes
    const most = total + segment.bytes / 2
    for (const entry of segment.entries) {
      const { text, home, bytes, wasAsked } = entry
      if (home.get(text) !== entry) continue
      entry.wasAsked = false
      if (wasAsked && total < most) append(entry, bytes ?? null)
      else home.delete(text)
    }
  }
  return {
    get bytes() {
      return total
    },
    put(entry, bytes) {
      append(entry, bytes)
      while (total > maxBytes) forgetOldest()
    },
    clear() {
      oldest = newest = newSegment()
      total = 0
    },
  }
}

/** A view of the copy. Segments pay for whole chunks. */
function copied(segment: Segment, bytes: Buffer): Buffer {
  if (bytes.length > segment.chunk.length - segment.used) {
    segment.chunk = Buffer.allocUnsafeSlow(Math.max(chunkBytes, bytes.length))
    segment.used = 0
    segment.bytes += segment.chunk.length
  }
  const start = segment.used
  segment.used += bytes.copy(segment.chunk, start)
  return segment.chunk.subarray(start, segment.used)
}
