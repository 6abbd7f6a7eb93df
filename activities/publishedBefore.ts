/** The rows that were published before a run's first interval, for the gates that compare with them. */
import { readDataFiles, type Table } from '../iceberg/index.ts'
import { durationMs, type BoundGroup, type EpochMs } from '../model/index.ts'
import { historyIntervals, type History } from '../quality/index.ts'
import type { ActivityDeps } from './deps.ts'
import { newestVersions, rowsIn } from './publishedRows.ts'
import type { RunPlan } from './runFiles.ts'

/** By how many intervals a gate looks back; files are planned once, for the gate that looks back furthest. */
export async function publishedBefore(
  { registry, fileIO }: ActivityDeps,
  table: Table,
  bound: BoundGroup,
  plan: Pick<RunPlan, 'ranges' | 'cadenceMs'>,
): Promise<(last: number) => History> {
  const wanted = historyIntervals(bound.group.gates)
  const before = plan.ranges[0]?.from ?? 0
  const ends = wanted === 0 ? [] : await lastPublished(registry, bound, before, wanted)
  const first = ends[0]
  const localPath = (location: string) => fileIO.localPath(location)
  if (first === undefined) {
    const relation = readDataFiles({ schema: table.schema, files: [], localPath })
    return () => ({ relation, intervals: 0 })
  }
  const from = (end: EpochMs) => end - plan.cadenceMs
  const rows = newestVersions(
    await rowsIn({ table, ranges: [{ from: from(first), to: before }], localPath }),
    bound,
  )
  return (last) => {
    const covered = ends.slice(-last)
    const after = BigInt(from(covered[0] ?? first)) * 1000n
    const relation = `(SELECT * FROM ${rows} WHERE event_timestamp > make_timestamptz(${after}))`
    return { relation, intervals: covered.length }
  }
}

/** Looks back in growing steps, so that a long ledger is not read whole. */
async function lastPublished(
  registry: ActivityDeps['registry'],
  bound: BoundGroup,
  before: EpochMs,
  wanted: number,
): Promise<EpochMs[]> {
  const cadenceMs = durationMs(bound.group.every)
  const { first } = await registry.ledgerSummary(bound.group.id)
  if (first === null) return []
  for (let span = wanted * cadenceMs * 2; ; span *= 4) {
    const published = await registry.published(bound.group.id, { from: before - span, to: before })
    if (published.length >= wanted || before - span < first)
      return published.slice(-wanted).map(({ end }) => end)
  }
}
