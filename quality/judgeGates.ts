/**
 * Judges a run's staged rows: one query for the figures of all gates, one more for each gate that compares
 * distributions, and for each that found violations.
 *
 * @example
 * const reports = await judgeGates(group.gates, context, async (sql) => (await connection.runAndReadAll(sql)).getRowObjects())
 * if (overallVerdict(reports) === 'block') ...
 */
import { InputError, IntegrityError } from '../model/errors.ts'
import { gateName, type Gate, type GateReport } from '../model/gate.ts'
import type { Bin, Figures, GateContext, Judgement, Sample } from './gate.ts'
import { qualityGateOf } from './gates.ts'
import { quoteName } from './sql.ts'

/** Runs SQL on DuckDB; a row by column name. */
export type Query = (sql: string) => Promise<Readonly<Record<string, unknown>>[]>

const sampleSize = 10

/**
 * In the order of the gates.
 *
 * @throws InputError where the run covers no interval
 */
export async function judgeGates(
  gates: readonly Gate[],
  context: GateContext,
  query: Query,
): Promise<GateReport[]> {
  if (!(context.intervals >= 1)) {
    throw new InputError(`gates judge a run of at least one interval, not of ${context.intervals}.`, {
      intervals: context.intervals,
    })
  }
  const figures = await takeFigures(gates, context, query)
  const reports: GateReport[] = []
  for (const [index, gate] of gates.entries()) {
    reports.push(await reportOn(gate, figures[index] ?? {}, context, query))
  }
  return reports
}

/** The worst of the verdicts; `pass` where there is no gate. */
export function overallVerdict(reports: readonly Pick<GateReport, 'verdict'>[]): GateReport['verdict'] {
  const verdicts = reports.map(({ verdict }) => verdict)
  return verdicts.includes('block') ? 'block' : verdicts.includes('warn') ? 'warn' : 'pass'
}

/** How many published intervals before the run the gates look back at; 0 where none does. */
export function historyIntervals(gates: readonly Gate[]): number {
  return Math.max(0, ...gates.map(({ params }) => ('last' in params ? params.last : 0)))
}

/** One query: equal figures of several gates are taken once. */
async function takeFigures(gates: readonly Gate[], context: GateContext, query: Query): Promise<Figures[]> {
  const wanted = gates.map((gate) => Object.entries(qualityGateOf(gate).figures(gate, context)))
  const expressions = [...new Set(wanted.flat().map(([, expression]) => expression))]
  if (expressions.length === 0) return []
  const items = expressions.map((expression, index) => `${expression} AS ${quoteName(`figure_${index}`)}`)
  // Counting makes it an aggregate: one row comes out even where the rest are subqueries and nothing was staged.
  const [row] = await query(`SELECT count(*), ${items.join(', ')}\nFROM ${context.staged} AS staged`)
  const values = new Map(
    expressions.map((expression, index) => [expression, figureOf(row?.[`figure_${index}`], expression)]),
  )
  return wanted.map((entries) =>
    Object.fromEntries(entries.map(([name, expression]) => [name, values.get(expression) ?? null])),
  )
}

function figureOf(value: unknown, expression: string): number | null {
  if (value === null) return null
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value)
  throw new IntegrityError(`gates: the figure ${expression} is ${typeof value}, not a number.`, {
    expression,
  })
}

async function reportOn(
  gate: Gate,
  figures: Figures,
  context: GateContext,
  query: Query,
): Promise<GateReport> {
  const kind = qualityGateOf(gate)
  const judgement = kind.judge(gate, figures, context, await countBins(gate, context, query))
  const sql = judgement.ok ? null : kind.violations(gate, context)
  const unnamed = judgement.ok || sql !== null ? '' : '; it judges the run as a whole and names no row'
  return {
    name: gateName(gate),
    verdict: judgement.ok ? 'pass' : gate.onViolation,
    sentence: `${gateName(gate)}: ${judgement.sentence}${unnamed}.`,
    figures: judgement.figures,
    violationCount: judgement.violationCount,
    violations:
      sql === null ? sampleOf(judgement) : (await query(`${sql}\nLIMIT ${sampleSize}`)).map(asTexts),
  }
}

async function countBins(gate: Gate, context: GateContext, query: Query): Promise<Bin[]> {
  const sql = qualityGateOf(gate).bins?.(gate, context) ?? null
  const rows = sql === null ? [] : await query(sql)
  return rows.map(({ bin, published, staged }) => ({
    bin: String(bin),
    published: Number(published),
    staged: Number(staged),
  }))
}

function sampleOf({ ok, sample = [] }: Judgement): Sample {
  return ok ? [] : sample
}

function asTexts(row: Readonly<Record<string, unknown>>): Sample[number] {
  return Object.fromEntries(
    Object.entries(row).map(([column, value]) => [column, typeof value === 'string' ? value : null]),
  )
}
