/**
 * Keeps a sample of what is served (`online/samples.ts`), beside the answers and never in their way.
 *
 * A request is one chance for each group and service that it reads: of those that are picked one row is taken, at random,
 * and copied. Picks wait in memory for at most a second, and there are never more than `mostPicks` of a subject, chosen
 * fairly among all requests of that time: a quiet subject is sampled whole, a busy one evenly. While a write is under way the
 * choice goes on, so a slow store gets thinner samples, not a longer queue. What a store does not take is lost, and counted.
 */
import type { EpochMs } from '../model/index.ts'
import {
  encodeGroupSample,
  groupSubject,
  serviceSubject,
  type GroupCursor,
  type LoadMark,
  type SampleStore,
} from '../online/index.ts'
import type { AskedRows } from './body.ts'
import type { GroupAnswer } from './groupJson.ts'
import { reservoir, type Reservoir } from './reservoir.ts'
import { microsOf, vectorSample } from './vectorSample.ts'
import type { Vectors } from './vectors.ts'

/** Of one subject at each write, which are a second apart: its 10,000 samples span 400 seconds at the least. */
const mostPicks = 25
const writeEveryMs = 1_000
/** A sample is some hundred bytes; one beyond this (vectors, lists) is not worth the room of so many others. */
const mostBytes = 1 << 16
/** All that waits or is being written. */
const mostBytesWaiting = 1 << 23
/** How long the end of the process waits for the last write. */
const lastWriteMs = 2_000

export interface SampleCounts {
  readonly written: number
  /** Picked and not written: too large, one too many, or not taken by the store. */
  readonly lost: number
  /** Bytes that wait to be written, or are being written. */
  readonly bytesWaiting: number
}

export interface Sampler {
  group(answer: GroupAnswer): void
  vectors(vectors: Vectors, rows: AskedRows): void
  counts(): SampleCounts
  /** Writes what waits, for as long as that may take at an end. */
  close(): Promise<void>
}

export interface SamplerOptions {
  readonly store: SampleStore
  /** Told when the store begins to refuse samples, and when it takes them again. */
  readonly say?: (sentence: string) => void
}

/** Samples nothing. */
export const noSampler: Sampler = {
  group: () => undefined,
  vectors: () => undefined,
  counts: () => ({ written: 0, lost: 0, bytesWaiting: 0 }),
  close: () => Promise.resolve(),
}

interface Pick {
  /** Picks of one subject are written in the order in which they were served. */
  readonly at: number
  readonly bytes: Buffer
}

interface Subject {
  readonly name: string
  readonly choice: Reservoir
  /** By place; one whose row was lost has none. */
  picks: (Pick | undefined)[]
}

export function createSampler({ store, say = () => undefined }: SamplerOptions): Sampler {
  const groups = new Map<string, Subject>()
  const services = new Map<string, Subject>()
  const counts = { written: 0, lost: 0 }
  let picked = 0
  let bytesWaiting = 0
  let isRefused = false
  let timer: NodeJS.Timeout | null = null
  let writing: Promise<unknown> | null = null

  const offer = (subject: Subject, sampleOf: () => Buffer | null): void => {
    const place = subject.choice.next()
    if (place < 0) return
    const bytes = attempt(sampleOf)
    if (bytes === null) return
    const more = bytes.length - (subject.picks[place]?.bytes.length ?? 0)
    if (bytes.length > mostBytes || bytesWaiting + more > mostBytesWaiting) {
      counts.lost++
      return
    }
    bytesWaiting += more
    subject.picks[place] = { at: picked++, bytes }
    timer ??= setTimeout(write, writeEveryMs).unref()
  }
  /** Nothing that goes wrong here may cost an answer. */
  const attempt = (sampleOf: () => Buffer | null): Buffer | null => {
    try {
      return sampleOf()
    } catch {
      counts.lost++
      return null
    }
  }

  const write = (): void => {
    timer = null
    if (writing === null) writing = writeAll().finally(() => (writing = null))
    else timer = setTimeout(write, writeEveryMs).unref()
  }
  const writeAll = () => Promise.all([...groups.values(), ...services.values()].map(writeSubject))
  const writeSubject = async (subject: Subject): Promise<void> => {
    const picks = subject.picks.filter((one) => one !== undefined).sort((a, b) => a.at - b.at)
    subject.picks = []
    subject.choice.clear()
    if (picks.length === 0) return
    try {
      await store.add(
        subject.name,
        picks.map(({ bytes }) => bytes),
      )
      counts.written += picks.length
      if (isRefused) say(`Served samples are kept again in ${store.name}.`)
      isRefused = false
    } catch (error) {
      counts.lost += picks.length
      if (!isRefused) say(`Served samples are lost until ${store.name} takes them: ${String(error)}`)
      isRefused = true
    } finally {
      for (const { bytes } of picks) bytesWaiting -= bytes.length
    }
  }

  return {
    group({ card, cursor, question, nowMs }) {
      offer(subjectOf(groups, card.group, groupSubject), () => {
        const place = anyOf(question.entityIds.length)
        const key = question.entityIds[place]
        return key === undefined ? null : groupSample({ cursor, complete: card.complete, nowMs }, key, place)
      })
    },
    vectors(vectors, rows) {
      const row = anyOf(vectors.rows)
      for (const { cursor, complete, places, texts } of vectors.lookups) {
        offer(subjectOf(groups, cursor.card.group, groupSubject), () => {
          const place = places === null ? row : (places[row] ?? -1)
          const key = texts[place]
          return key === undefined
            ? null
            : groupSample({ cursor, complete, nowMs: vectors.nowMs }, key, place)
        })
      }
      const { service } = vectors.plan
      if (service === null) return
      offer(subjectOf(services, service, serviceSubject), () =>
        vectors.rows === 0 ? null : vectorSample(service, vectors, rows, row),
      )
    },
    counts: () => ({ ...counts, bytesWaiting }),
    async close() {
      if (timer !== null) clearTimeout(timer)
      timer = null
      const all = async () => {
        await writing
        await writeAll()
      }
      await within(lastWriteMs, all())
    },
  }
}

const anyOf = (count: number) => Math.floor(Math.random() * count)

function subjectOf(
  subjects: Map<string, Subject>,
  name: string,
  subjectName: (name: string) => string,
): Subject {
  const there = subjects.get(name)
  if (there !== undefined) return there
  const subject: Subject = { name: subjectName(name), choice: reservoir(mostPicks), picks: [] }
  subjects.set(name, subject)
  return subject
}

interface Read {
  readonly cursor: GroupCursor
  readonly complete: LoadMark
  readonly nowMs: EpochMs
}

/** @param place of the key among those that were asked */
const groupSample = ({ cursor, complete, nowMs }: Read, key: string, place: number): Buffer =>
  encodeGroupSample({
    ...{ kind: 'group', atMicros: microsOf(nowMs), key, value: cursor.found.values[place] ?? null },
    ...{ snapshotId: complete.snapshotId, ttlMs: cursor.card.ttlMs },
  })

/** Resolves when the work is done, or when it has taken too long. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const patience = new Promise((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([work, patience])
  clearTimeout(timer)
}
