/**
 * Served samples: what readers have served lately, kept in the online store for whoever asks later whether it was right.
 *
 * A sample (`sampleFormat.ts`) belongs to a *subject*: `group/<id>` or `service/<name>`. Of each subject a store keeps the
 * newest `sampleCapacity`, whoever wrote them. Samples are droppable: a store may lose them, and nothing that is served
 * depends on them.
 *
 * Siblings: `lmdbSamples.ts`, `redisSamples.ts`. Every store passes `test/online/samplesConformance.ts`.
 */
import { InputError } from '../model/index.ts'
import { isStorageName } from './key.ts'

/**
 * Samples that are kept of a subject: with so many, a share of a hundredth that is wrong is told from none nearly always,
 * and a busy subject's reach back over at least a hundred seconds of reads.
 */
export const sampleCapacity = 10_000

export interface SampleStore {
  /** As the online store's. */
  readonly name: string
  /** Adds samples, oldest first; what is beyond the capacity goes, the oldest first. @throws UnavailableError */
  add(subject: string, samples: readonly Buffer[]): Promise<void>
  /** Newest first; none for a subject that is unknown. A sample may come twice where others are added meanwhile. */
  read(subject: string): AsyncIterable<Buffer>
  /** Those of which there are samples, in order. */
  subjects(): Promise<string[]>
  /** @returns whether there were any */
  drop(subject: string): Promise<boolean>
  close(): Promise<void>
}

export const groupSubject = (id: string): string => `group/${id}`
export const serviceSubject = (name: string): string => `service/${name}`

/** @throws InputError for what could not stand between colons, or names nothing that is sampled */
export function checkSubject(subject: string): void {
  const [kind, name, ...more] = subject.split('/')
  const isKind = kind === 'group' || kind === 'service'
  if (isKind && name !== undefined && isStorageName(name) && more.length === 0) return
  throw new InputError(
    `${JSON.stringify(subject)} is no subject of samples. Write group/<id> or service/<name>.`,
    { subject },
  )
}
