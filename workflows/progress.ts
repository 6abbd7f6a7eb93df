/** What a run shows while it goes: one value for the query, a table in the Temporal UI and a search attribute. */
import { defineQuery, setCurrentDetails, upsertSearchAttributes } from '@temporalio/workflow'
import type { GateOutcome, Override, PlannedRun } from './contract.ts'
import { queryNames, searchAttributes } from './names.ts'

export type BackfillStep =
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
  | 'cancelled'
  | 'failed'

export interface BackfillProgress {
  step: BackfillStep
  runId: string
  group: string
  intervals: number
  alreadyPublished: number
  chunks: number
  chunksDone: number
  rows: number
  gates: GateOutcome[]
  /** Who let the run through although a gate blocked. */
  override: Override | null
  /** What a person can do now, where the run waits for one. */
  waitingFor: string | null
}

export const progressQuery = defineQuery<BackfillProgress>(queryNames.progress)

export function newProgress(runId: string, group: string): BackfillProgress {
  return {
    step: 'planning',
    runId,
    group,
    intervals: 0,
    alreadyPublished: 0,
    chunks: 0,
    chunksDone: 0,
    rows: 0,
    gates: [],
    override: null,
    waitingFor: null,
  }
}

/** Takes over what the plan says; computing starts from nothing. */
export function planned(progress: BackfillProgress, plan: PlannedRun): void {
  const { intervals, alreadyPublished, chunks } = plan
  Object.assign(progress, {
    intervals,
    alreadyPublished,
    chunks,
    chunksDone: 0,
    rows: 0,
    gates: [],
    override: null,
  })
}

/** Moves to a step and shows it everywhere. */
export function show(progress: BackfillProgress, step: BackfillStep): void {
  if (progress.step !== step || step === 'planning') {
    upsertSearchAttributes([
      { key: searchAttributes.group, value: progress.group },
      { key: searchAttributes.status, value: step },
    ])
  }
  progress.step = step
  setCurrentDetails(describe(progress))
}

function describe(progress: BackfillProgress): string {
  const { step, group, runId, intervals, alreadyPublished, chunks, chunksDone, rows, waitingFor } = progress
  const lines = [
    `**${group}**: ${step}`,
    '',
    '| intervals | already published | chunks | rows | run |',
    '|---|---|---|---|---|',
    `| ${intervals} | ${alreadyPublished} | ${chunksDone} of ${chunks} | ${rows} | ${runId} |`,
  ]
  lines.push(...describeGates(progress))
  if (waitingFor !== null) lines.push('', waitingFor)
  return lines.join('\n')
}

function describeGates({ runId, gates, override }: BackfillProgress): string[] {
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
