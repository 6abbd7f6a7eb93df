/** `asof show <run>`: how a run went, what each gate found, and who let it through all the same. */
import { formatInstant, type GateReport } from '../../model/index.ts'
import type { Store } from '../../worker/openStore.ts'
import { bold, table } from '../output.ts'

export interface Shown {
  data: unknown
  text: string
}

/** Null where there is no such run. */
export async function showRun({ registry }: Store, runId: string): Promise<Shown | null> {
  const run = await registry.run(runId)
  if (run === null) return null
  const gates = await registry.gateReports(runId)
  const overrides = await registry.overrides(runId)
  const head = `${bold(run.runId)}  ${run.group} ${run.mode} ${formatInstant(run.range.from)}..${formatInstant(run.range.to)}: ${run.status}${run.reason === null ? '' : ` (${run.reason})`}`
  const decided = overrides.map(
    ({ name, reason, decidedAt }) => `overridden by ${name} at ${formatInstant(decidedAt)}: ${reason}`,
  )
  return { data: { run, gates, overrides }, text: [head, ...decided, ...gateLines(gates)].join('\n') }
}

/** A table of all gates, then what was found by each that did not pass. */
function gateLines(gates: readonly GateReport[]): string[] {
  if (gates.length === 0) return []
  const rows = gates.map(({ name, verdict, violationCount, figures }) => [
    verdict,
    name,
    String(violationCount),
    figureTexts(figures),
  ])
  const found = gates
    .filter(({ verdict }) => verdict !== 'pass')
    .flatMap((gate) => ['', `${gate.verdict} ${gate.sentence}`, ...violationLines(gate)])
  return ['', table(['verdict', 'gate', 'violations', 'figures'], rows), ...found]
}

function figureTexts(figures: GateReport['figures']): string {
  return Object.entries(figures)
    .map(([name, value]) => `${name} ${value ?? 'none'}`)
    .join(', ')
}

function violationLines({ violations, violationCount }: GateReport): string[] {
  if (violations.length === 0) return []
  const more = violations.length < violationCount ? [`(${violations.length} of ${violationCount})`] : []
  return [violationTable(violations), ...more]
}

/** The sample of offending rows. */
export function violationTable(violations: GateReport['violations']): string {
  const header = Object.keys(violations[0] ?? {})
  return table(
    header,
    violations.map((row) => header.map((name) => row[name] ?? 'null')),
  )
}
