/**
 * The point-in-time join as anybody can check it by eye (rules 4, 5 and 7): for each label every row is looked at. Times are
 * microseconds since the epoch.
 */
export interface FeatureRow {
  readonly keys: readonly (string | bigint)[]
  readonly event: bigint
  /** Null: never known. */
  readonly created: bigint | null
  readonly run: string
  readonly values: readonly (number | null)[]
}

export interface Label {
  readonly keys: readonly (string | bigint | null)[]
  readonly at: bigint
}

export interface Rules {
  readonly ttl: bigint | null
  /** Null: not known yet. Runs that are not here are history. */
  readonly moments: ReadonlyMap<string, bigint | null>
  readonly knowledgeCutoff: boolean
}

export function served(rows: readonly FeatureRow[], label: Label, rules: Rules): FeatureRow | null {
  let best: FeatureRow | null = null
  for (const row of rows) {
    const isSame = row.keys.every((key, at) => key === label.keys[at])
    if (isSame && mayBeSeen(row, label.at, rules) && (best === null || isGreater(row, best))) best = row
  }
  return best
}

function mayBeSeen({ event, created, run }: FeatureRow, at: bigint, rules: Rules): boolean {
  if (created === null || event > at) return false
  if (rules.ttl !== null && event < at - rules.ttl) return false
  if (!rules.knowledgeCutoff) return true
  const moment = rules.moments.get(run)
  return created <= at && moment !== null && (moment === undefined || moment <= at)
}

function isGreater(one: FeatureRow, other: FeatureRow): boolean {
  if (one.event !== other.event) return one.event > other.event
  if (one.created !== other.created) return (one.created ?? 0n) > (other.created ?? 0n)
  if (one.run !== other.run) return one.run > other.run
  return textOf(one) > textOf(other)
}

/** Of rows that are equal in all that decides the greater values win, as text, null the least. */
const textOf = ({ values }: FeatureRow) =>
  values.map((value) => (value === null ? '' : `1${value.toFixed(1)}`)).join('\0')
