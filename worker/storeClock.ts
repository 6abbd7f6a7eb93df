/**
 * The store's one clock (rule 11) in a process: this machine's, with an offset that the registry keeps.
 *
 * Another process may move a set clock forward at any time (`asof clock`). Every step of a run asks for the time and so
 * reads the offset anew; what cannot wait for an answer goes by the newest one that was read.
 */
import { formatInstant, InputError, parseInstant, type EpochMs } from '../model/index.ts'
import type { Registry } from '../registry/index.ts'

export interface StoreClock {
  /** As it was read last; 0 for the machine's own clock. */
  readonly offsetMs: number
  /** What a set clock says of itself in answers and logs; null for the machine's own. */
  readonly note: string | null
  /** Reads the offset first where the clock is set. */
  now(): Promise<EpochMs>
  /** By the offset that was read last. */
  lastKnownNow(): EpochMs
}

/**
 * Opens the clock of a store and makes it where there is none yet.
 *
 * @param setClockMs the instant at which the clock of a new store starts; null for the real time
 * @throws InputError where the clock is to be set and the store was made with the real one
 */
export async function openStoreClock(registry: Registry, setClockMs: EpochMs | null): Promise<StoreClock> {
  // An offset of 0 would say that the clock is not set.
  const asked = setClockMs === null ? 0 : setClockMs - Date.now() || 1
  let offsetMs = await registry.initialiseClock(asked)
  if (setClockMs !== null && offsetMs === 0) {
    throw new InputError(
      'ASOF_CLOCK is set, but this store was made with the real clock, and a clock is set only when a store is made. Unset ASOF_CLOCK, or name a new store with ASOF_HOME.',
    )
  }
  return {
    get offsetMs() {
      return offsetMs
    },
    get note() {
      return offsetMs === 0 ? null : `set clock, ${Math.round(offsetMs / 1000)} s from this machine's`
    },
    async now() {
      if (offsetMs !== 0) {
        const read = await registry.clockOffsetMs()
        // Of two that read at once, the one that answers last may have read first.
        offsetMs = Math.max(offsetMs, read)
      }
      return Date.now() + offsetMs
    },
    lastKnownNow: () => Date.now() + offsetMs,
  }
}

const lookEveryMs = 1_000

/**
 * Looks every second whether a set clock was moved; the machine's own is never looked at again.
 *
 * @param say told at once that the clock is set, and again whenever it has moved
 * @returns stops looking; the registry may be closed after it
 */
export function followClock(clock: StoreClock, say: (sentence: string) => void): () => Promise<void> {
  if (clock.note === null) return () => Promise.resolve()
  const saidOf = (what: string) =>
    say(`${what}: it is ${formatInstant(clock.lastKnownNow())} there (${clock.note}).`)
  saidOf("The store's clock is set")
  let known = clock.offsetMs
  let looking: Promise<unknown> = Promise.resolve()
  const look = async () => {
    await clock.now()
    if (clock.offsetMs !== known) saidOf("The store's clock was moved forward")
    known = clock.offsetMs
  }
  const timer = setInterval(() => {
    // A registry that does not answer now is asked again in a second.
    looking = look().catch(() => undefined)
  }, lookEveryMs)
  return async () => {
    clearInterval(timer)
    await looking
  }
}

/** Where the store's clock is moved to. */
export type ClockMove = { readonly to: EpochMs } | { readonly forwardMs: number }

/** Instants are written with four digits for the year. */
const lastInstant = parseInstant('9999-12-31T23:59:59Z')

/**
 * Moves a set clock forward, for every process of the store. Of two at once each takes effect.
 *
 * @throws InputError for the machine's clock, an instant that has passed on the store's, or one beyond the year 9999
 */
export async function moveStoreClock(
  registry: Registry,
  move: ClockMove,
): Promise<{ from: EpochMs; to: EpochMs }> {
  for (;;) {
    const offsetMs = await registry.clockOffsetMs()
    const machineMs = Date.now()
    const from = machineMs + offsetMs
    if (offsetMs === 0) throw notSet()
    const to = 'to' in move ? move.to : from + move.forwardMs
    refuseInstant(from, to)
    if (await registry.moveClock(offsetMs, to - machineMs)) return { from, to }
  }
}

function notSet(): InputError {
  return new InputError(
    'This store was made with the real clock, which nobody moves. A clock is set when a store is made: name a new one, as in ASOF_HOME=<folder> ASOF_CLOCK=2001-07-01T00:00:00Z asof apply.',
  )
}

function refuseInstant(from: EpochMs, to: EpochMs): void {
  if (to > lastInstant) {
    throw new InputError(
      `The store's clock cannot be moved beyond ${formatInstant(lastInstant)}: it is ${formatInstant(from)} there now.`,
    )
  }
  if (to <= from) {
    throw new InputError(
      `The store's clock moves forward, never back: it is ${formatInstant(from)} there, and ${formatInstant(to)} has passed. Name a later instant, or a new store with ASOF_HOME.`,
    )
  }
}
