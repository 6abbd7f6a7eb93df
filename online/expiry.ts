/**
 * How long a store that lets values expire (Redis) keeps them: a bound on garbage, on the store's clock. It never is the
 * meaning of ttl, which is judged at every read (`read.ts`), so it comes well after it.
 */
const dayMs = 86_400_000

/** What is kept at least from its writing, whatever its event timestamp: a load that comes late still meets it. */
export const leastKeptMs = dayMs

const buriedMs = 30 * dayMs

/** From a value's event timestamp on; null for ever. */
export const keptMs = (ttlMs: number | null): number | null =>
  ttlMs === null ? null : Math.max(2 * ttlMs, ttlMs + dayMs)

/** How long a tombstone is kept from its writing. */
export const tombstoneKeptMs = (ttlMs: number | null): number => Math.max(keptMs(ttlMs) ?? 0, buriedMs)

/** Whether a value may be gone by now. */
export function mayHaveExpired(ttlMs: number | null, eventTimestampMicros: bigint, nowMs: number): boolean {
  const kept = keptMs(ttlMs)
  return kept !== null && Number(eventTimestampMicros / 1000n) + kept <= nowMs
}

/** The shorter of two ttls, where null is none. */
export const shorterTtl = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b)
