/** What a change of a group's definition touches beyond the definition itself. */
import { durationMs, gateName, intervalCount, intervalEnds, type BoundGroup } from '../model/index.ts'
import {
  featureFingerprints,
  featuresNeededBy,
  type Change,
  type RegisteredService,
} from '../registry/index.ts'
import type { ActivityDeps } from './deps.ts'
import { missingWork } from './missingWork.ts'

export interface Impact {
  /** Published intervals that have to be computed again. */
  readonly recomputed: number
  /** Published intervals into whose rows added features go. */
  readonly filled: number
  /** Gates that look at what changes. */
  readonly gates: readonly string[]
  /** Registered services that take what changes. */
  readonly services: readonly string[]
}

export async function impactOf(
  { registry }: ActivityDeps,
  bound: BoundGroup,
  change: Change,
  services: readonly RegisteredService[],
): Promise<Impact> {
  const { group } = bound
  const touched = new Set([...change.added, ...change.fixed])
  const gates = group.gates.filter(({ feature }) => feature !== null && touched.has(feature)).map(gateName)
  const names = new Set([...touched].map((feature) => `${group.id}.${feature}`))
  const takers = services
    .filter(({ definition }) => featuresNeededBy(definition).some((feature) => names.has(feature)))
    .map(({ name }) => name)
  const isAllowed = change.verdict === 'additive' || change.verdict === 'fix'
  const missing = isAllowed ? await missingIntervals(registry, bound) : { recomputed: 0, filled: 0 }
  return { ...missing, gates: change.verdict === 'new' ? [] : gates, services: takers }
}

async function missingIntervals(
  registry: ActivityDeps['registry'],
  { group }: BoundGroup,
): Promise<Pick<Impact, 'recomputed' | 'filled'>> {
  const cadenceMs = durationMs(group.every)
  const { first, last } = await registry.ledgerSummary(group.id)
  if (first === null || last === null) return { recomputed: 0, filled: 0 }
  const all = { from: first - cadenceMs, to: last }
  const published = await registry.published(group.id, all)
  const there = new Set(published.map(({ end }) => end))
  const work = missingWork(intervalEnds(all, cadenceMs), published, featureFingerprints(group), cadenceMs)
  const counted = (fills: boolean) =>
    work
      .filter((one) => (one.fills !== null) === fills)
      .reduce((sum, { range }) => sum + intervalCount(range, cadenceMs), 0)
  // Gaps between published intervals were missing before.
  const gaps = intervalCount(all, cadenceMs) - there.size
  return { recomputed: counted(false) - gaps, filled: counted(true) }
}
