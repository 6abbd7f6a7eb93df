/** What a run shows while it goes: one value for the query, a table in the Temporal UI and a search attribute. */
import { defineQuery, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow'
import type { GateOutcome, Override, PlannedRun } from './contract.ts'
import { queryNames, searchAttributes } from './names.ts'

export type RunStep =
  | 'planning'
  | 'computing'
  | 'staging'
  | 'judging'
  | 'waiting'
  | 'publishing'
  | 'materializing'
  | 'published'
  | 'nothing_to_do'
  | 'aborted'
  | 'parked'
  | 'cancelled'
  | 'failed'

export interface RunProgress {
  step: RunStep
  runId: string
  group: string
  intervals: number
  alreadyPublished: number
  /** What a refresh reads again, leaves to a waiting run, and can compute no more. */
  reread: number
  held: number
  incomplete: number
  /** Published rows that a refresh did not find any more. */
  vanished: number
  chunks: number
  chunksDone: number
  rows: number
  gates: GateOutcome[]
  /** Who let the run through although a gate blocked. */
  override: Override | null
  /** What a person can do now, where the run waits for one. */
  waitingFor: string | null
}

export const progressQuery = defineQuery<RunProgress>(queryNames.progress)

export function newProgress(runId: string, group: string): RunProgress {
  return {
    step: 'planning',
    runId,
    group,
    ...{ intervals: 0, alreadyPublished: 0, reread: 0, held: 0, incomplete: 0, vanished: 0 },
    chunks: 0,
    chunksDone: 0,
    rows: 0,
    gates: [],
    override: null,
    waitingFor: null,
  }
}

/** Takes over what the plan says; computing starts from nothing. */
export function planned(progress: RunProgress, plan: PlannedRun): void {
  const { intervals, alreadyPublished, reread, held, incomplete, chunks } = plan
  Object.assign(progress, {
    ...{ intervals, alreadyPublished, reread, held, incomplete, chunks },
    ...{ vanished: 0, chunksDone: 0, rows: 0 },
    gates: [],
    override: null,
  })
}

/** Moves to a step and shows it everywhere. */
export function show(progress: RunProgress, step: RunStep): void {
  if (progress.step !== step || step === 'planning') {
    upsertSearchAttributes([
      { key: searchAttributes.group, value: progress.group },
      { key: searchAttributes.status, value: step },
    ])
  }
  progress.step = step
  setCurrentDetails(describe(progress))
}

function describe(progress: RunProgress): string {
  const { step, group, runId, intervals, alreadyPublished, chunks, chunksDone, rows, waitingFor } = progress
  const lines = [
    `**${group}**: ${step}`,
    '',
    '| intervals | already published | chunks | rows | run |',
    '|---|---|---|---|---|',
    `| ${intervals} | ${alreadyPublished} | ${chunksDone} of ${chunks} | ${rows} | ${runId} |`,
  ]
  lines.push(...describeRefresh(progress), ...describeGates(progress))
  if (waitingFor !== null) lines.push('', waitingFor)
  return lines.join('\n')
}

function describeRefresh({ reread, held, incomplete, vanished }: RunProgress): string[] {
  const said = [
    ...(reread === 0 ? [] : [`${reread} published intervals are read again for late events.`]),
    ...(held === 0 ? [] : [`${held} due intervals are left to a run that a gate holds.`]),
    ...(incomplete === 0
      ? []
      : [`${incomplete} due intervals cannot be computed: their sources no longer have all events.`]),
    ...(vanished === 0 ? [] : [`${vanished} published rows were not found any more; they stay.`]),
  ]
  return said.length === 0 ? [] : ['', ...said]
}

function describeGates({ runId, gates, override }: RunProgress): string[] {
  if (gates.length === 0) return []
  const lines = ['', '| verdict | gate |', '|---|---|']
  for (const { verdict, sentence } of gates) lines.push(`| ${verdict} | ${cell(sentence)} |`)
  // Rows never travel through Temporal; the reports lie in the registry.
  if (gates.some(({ verdict }) => verdict !== 'pass'))
    lines.push('', `Offending rows: \`asof show ${runId}\``)
  if (override !== null) lines.push('', `Overridden by ${override.name}: ${override.reason}`)
  return lines
}

/** Text inside of a table's cell. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
