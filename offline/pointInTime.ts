/**
 * The point-in-time join (rules 4, 5 and 7): to every label the one row of a group that would have been served at its time.
 *
 * A row can be seen from `known` on: the greatest of its event timestamp, its created timestamp and, for a live run, the
 * moment from which its run was known. Of the rows that a label can see, the greatest (event timestamp, created timestamp,
 * run id) wins. Where these two orders agree, which is so for all rows but late corrections, the winner is the last row in
 * `known`. So the rows are told apart by their *step*, the triple above, of which a table has few (one for each interval and
 * run), whatever the number of its rows:
 *
 * | rows | are | and are found |
 * |---|---|---|
 * | in line | every later step is known later, too | by the step that the label's time gives, in one hash join; where an entity has no row there, by a join over its rows |
 * | late | corrections: a later step was known sooner | where an entity has no row there, by a join over those that ever win |
 *
 * A row at the label's step is what the label finds. A greater one that is in line is known only later; a greater one that is
 * late has a later step that was known no later than itself, and so on up to one in line, so if the label could see it, its
 * step would be that one. Where an entity has no row at the step, a label takes the greater of two finds. A table whose rows
 * have timestamps of their own has no steps to speak of: all its rows are treated as late ones, which is right for any rows.
 *
 * What is known last at a label's time DuckDB finds by ASOF, which sorts all labels. Where little is known, each of it is
 * turned into the span of time in which nothing newer is known, and labels find theirs by hashing: the one step by the
 * stretch of time that they lie in (`stretches`), one row of an entity among all of its few (`newestKnown`).
 *
 * Only places and times go through the joins, then the rows themselves are read once. All of it runs in DuckDB, spills
 * beyond its memory limit, and holds the labels of one part.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { quoteIdentifier, quoteLiteral } from '../iceberg/duckdb/quote.ts'
import { query } from './duckdb.ts'

/** How many rows tell whether a table has steps, and how many of them share one where it has. */
const rowsLookedAt = 100_000
const rowsOfStep = 4
/** The middle hundredth of so many labels, in the order of their keys, tells whether every label has a row at its step. */
const labelsLookedAt = 10_000
/** Up to so many steps, of which so many meet in one stretch, are looked up by stretches. */
const mostSteps = 100_000
const stepsOfStretch = 4
/** How many stretches there are for each step: so few meet then where steps are regular. */
const stretchesOfStep = 4n
/** Of so many rows an entity has at most that it is quicker to look at each of them than to sort all labels. */
const fewRowsOfEntity = 16
/** In microseconds: behind every instant. */
const endOfTime = 2n ** 63n - 1n

export interface JoinedGroup {
  /** Names of the label columns that stand for the group's keys, in the order of the group's keys. */
  readonly labelKeys: readonly string[]
  readonly keys: readonly string[]
  readonly features: readonly string[]
  /** SQL of a relation of published rows with these columns, or of those that a label of the part might see. */
  relation(columns: readonly string[]): string
  /** Null: no lower end. */
  readonly ttlMicros: bigint | null
  /** From when the rows of live runs are known, in microseconds; null: they are not known yet. History has no entry. */
  readonly moments: ReadonlyMap<string, bigint | null>
  /** Off: rows count from their event timestamp on. */
  readonly knowledgeCutoff: boolean
}

export interface JoinOptions {
  /**
   * Name of a temporary table with `label_row` (BIGINT, unique, neighbours for the most part), `label_time` (TIMESTAMPTZ)
   * and the label keys.
   */
  readonly labels: string
  /** Name of the temporary table that is made: `label_row`, `event_ts`, and `f0`, `f1`, … for the features. */
  readonly into: string
  /** Takes all rows for late ones, whatever they look like. */
  readonly withoutSteps?: boolean
  readonly signal?: AbortSignal
}

/** Looks a group's rows up for the labels, and drops what that took in the end. */
export async function withGroupJoin<Result>(
  connection: DuckDBConnection,
  group: JoinedGroup,
  options: JoinOptions,
  use: (join: GroupJoin) => Promise<Result>,
): Promise<Result> {
  const join = new GroupJoin(connection, group, options)
  try {
    await join.look()
    return await use(join)
  } finally {
    await join.dropTables()
  }
}

interface Found {
  readonly rows: number
  /** How many labels they are of. */
  readonly labels: number
}

/** Rows that are yet to be read, for each label its own. */
export interface StraightRows {
  /** Of `label_row`, `event_ts`, `f0`, `f1`, … */
  readonly sql: string
  /** How many labels have one, if it is as it is likely to be. */
  readonly labels: number
}

/** What a row's step consists of, as tables call it and as the join does. */
const placeColumns = {
  event_timestamp: 'event_ts',
  created_timestamp: 'created_ts',
  run_id: 'run_id',
} as const

export class GroupJoin {
  private readonly made: string[] = []
  private readonly connection: DuckDBConnection
  private readonly group: JoinedGroup
  private readonly options: JoinOptions
  private readonly keys: readonly string[]
  private readonly into: string

  constructor(connection: DuckDBConnection, group: JoinedGroup, options: JoinOptions) {
    this.connection = connection
    this.group = group
    this.options = options
    this.keys = group.keys.map((_, at) => `k${at}`)
    this.into = quoteIdentifier(options.into)
  }

  /** Gives each label its step. */
  async look(): Promise<void> {
    await this.makeSteps()
    await this.lookAtSteps()
  }

  /**
   * What `run` would make, where it is likely that every label that can see a step has exactly one row at it: whoever reads it
   * at once saves a table, and has to see to it that it was so. Null where more has to be looked up, or is likely to.
   */
  async straight(): Promise<StraightRows | null> {
    if (this.known !== null || (await this.someAreMissing())) return null
    return { sql: this.readRows('look'), labels: await this.count('look') }
  }

  /** Makes the table; labels that find nothing have no row in it. @returns how many found one */
  async run(): Promise<number> {
    await this.query(`CREATE TEMP TABLE ${this.into} AS ${this.readRows('look')}`)
    const found = await this.countFound()
    const rest = await this.restOf(found)
    if (rest === null) return this.oneRowEach(found)
    await this.make('fetch', await this.lookFurther(rest))
    for (const name of ['below', 'late']) await this.query(`DROP TABLE IF EXISTS ${this.table(name)}`)
    await this.query(`INSERT INTO ${this.into} ${this.readRows('fetch')}`)
    return this.oneRowEach(await this.countFound())
  }

  async dropTables(): Promise<void> {
    for (const name of this.made) await query(this.connection, `DROP TABLE IF EXISTS ${name}`)
  }

  /** A null key matches nothing. A null time never comes here; ASOF would let it see the future. */
  private get labels(): string {
    const { labelKeys } = this.group
    const columns = labelKeys.map((name, at) => `${quoteIdentifier(name)} AS k${at}`)
    const present = labelKeys.map((name) => `${quoteIdentifier(name)} IS NOT NULL`)
    return `(SELECT label_row, label_time, ${columns.join(', ')} FROM ${quoteIdentifier(this.options.labels)}
      WHERE label_time IS NOT NULL AND ${present.join(' AND ')})`
  }

  /**
   * The steps of the table with when they are known. A row without a created timestamp was never known, nor was one of a run
   * whose load has not come to its end.
   */
  private async makeSteps(): Promise<void> {
    const { moments, knowledgeCutoff } = this.group
    const rows = this.group.relation(['event_timestamp', 'created_timestamp', 'run_id'])
    await this.make(
      'moments',
      `SELECT * FROM (VALUES (NULL::VARCHAR, NULL::TIMESTAMPTZ)${[...moments]
        .map(
          ([run, micros]) =>
            `, (${quoteLiteral(run)}, ${micros === null ? 'NULL' : `make_timestamptz(${micros})`})`,
        )
        .join('')}) AS moments(run_id, moment) WHERE run_id IS NOT NULL`,
    )
    const known = knowledgeCutoff ? 'greatest(event_timestamp, created_timestamp, moment)' : 'event_timestamp'
    const unseen = knowledgeCutoff ? 'AND (moments.run_id IS NULL OR moment IS NOT NULL)' : ''
    if (this.options.withoutSteps === true || (await this.hasOwnTimes(rows))) {
      await this.make('steps', this.noSteps)
      await this.make('late_steps', this.noSteps)
      this.known = {
        select: known,
        join: `LEFT JOIN ${this.table('moments')} AS moments USING (run_id)`,
        where: unseen,
      }
      return
    }
    await this.make('seen', `SELECT DISTINCT event_timestamp, created_timestamp, run_id FROM ${rows}`)
    this.telling = await this.tellingColumns()
    await this.make(
      'steps',
      `WITH found AS (
         SELECT event_timestamp AS event_ts, created_timestamp AS created_ts, run_id, ${known} AS known
         FROM ${this.table('seen')} LEFT JOIN ${this.table('moments')} AS moments USING (run_id)
         WHERE created_timestamp IS NOT NULL ${unseen})
       SELECT *, coalesce(known < min(known) OVER (ORDER BY event_ts, created_ts, run_id
         ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), true) AS in_line FROM found`,
    )
    await this.make('late_steps', `SELECT * EXCLUDE (in_line) FROM ${this.table('steps')} WHERE NOT in_line`)
    await this.query(`DELETE FROM ${this.table('steps')} WHERE NOT in_line`)
  }

  /** Whether rows have timestamps of their own rather than those of a cadence: a look at some of them tells. */
  private async hasOwnTimes(rows: string): Promise<boolean> {
    const [some] = await this.query(
      `SELECT count(*) AS rows, greatest(approx_count_distinct(event_timestamp), approx_count_distinct(created_timestamp)) AS times
       FROM (SELECT event_timestamp, created_timestamp FROM ${rows} LIMIT ${rowsLookedAt})`,
    )
    const [seen, times] = [Number(some?.['rows'] ?? 0), Number(some?.['times'] ?? 0)]
    return seen === rowsLookedAt && times > seen / rowsOfStep
  }

  /** The fewest columns that tell the steps of all rows apart: where no hour has two steps, its event timestamp alone. */
  private telling: readonly (keyof typeof placeColumns)[] = ['event_timestamp', 'created_timestamp', 'run_id']

  private async tellingColumns(): Promise<typeof this.telling> {
    const [counted = {}] = await this.query(
      `SELECT count(*) AS steps, count(DISTINCT event_timestamp) AS events,
         count(DISTINCT (event_timestamp, created_timestamp)) AS pairs FROM ${this.table('seen')}`,
    )
    const { steps, events, pairs } = counted
    if (events === steps) return ['event_timestamp']
    return pairs === steps ? ['event_timestamp', 'created_timestamp'] : this.telling
  }

  /** How rows that have no steps tell when they are known. */
  private known: { select: string; join: string; where: string } | null = null
  private readonly noSteps =
    'SELECT NULL::TIMESTAMPTZ AS event_ts, NULL::TIMESTAMPTZ AS created_ts, NULL::VARCHAR AS run_id, NULL::TIMESTAMPTZ AS known WHERE false'

  /** The row of the newest step in line that a label can see: what nearly all labels find. */
  private async lookAtSteps(): Promise<void> {
    const stretches = await this.makeStretches()
    const steps =
      stretches === null
        ? `ASOF JOIN ${this.table('steps')} AS steps ON label_time >= known`
        : `JOIN ${this.table('stretches')} AS steps
           ON least(epoch_us(label_time) // ${stretches.width}, ${stretches.last}) = stretch AND epoch_us(label_time) < until`
    const columns = this.telling.map((name) => placeColumns[name])
    await this.make(
      'look',
      `SELECT labels.*, ${columns.join(', ')} FROM ${this.labels} AS labels ${steps}
       WHERE label_time >= known ${this.fresh}`,
    )
  }

  /** Looks at labels of entities whose keys are neighbours: where a table's rows are sorted, little of it is read. */
  private async someAreMissing(): Promise<boolean> {
    const [bounds = {}] = await this.query(
      `SELECT min(k0) AS least, max(k0) AS greatest, any_value(typeof(k0)) AS type FROM (
         SELECT k0, row_number() OVER (ORDER BY k0) - 1 AS place, count(*) OVER () AS rows
         FROM ${this.table('look')} USING SAMPLE ${labelsLookedAt} ROWS)
       WHERE place BETWEEN rows // 2 AND rows // 2 + ${labelsLookedAt / 100}`,
    )
    if (bounds['type'] === null) return false
    const [least, greatest] = [bounds['least'], bounds['greatest']].map(
      (bound) => `CAST(${quoteLiteral(String(bound))} AS ${String(bounds['type'])})`,
    )
    const between = `BETWEEN ${least} AND ${greatest}`
    const [key = ''] = this.group.keys
    const rows = this.group.relation([...this.group.keys, ...this.telling])
    const missing = await this.query(
      `SELECT 1 FROM (SELECT * FROM ${this.table('look')} WHERE k0 ${between}) AS places
       ANTI JOIN (SELECT * FROM ${rows} WHERE ${quoteIdentifier(key)} ${between}) AS published
       ON ${this.onPlaces} LIMIT 1`,
    )
    return missing.length > 0
  }

  /**
   * Cuts time into stretches of one width, and makes a table of the steps that are the newest known ones at some time of
   * each. All of the time behind the last step is one stretch.
   *
   * @returns the width in microseconds and the last stretch; null where there are too many steps, or too many in one stretch
   */
  private async makeStretches(): Promise<{ width: bigint; last: bigint } | null> {
    const [found = {}] = await this.query(
      `SELECT count(*) AS steps, epoch_us(min(known)) AS first, epoch_us(max(known)) AS last FROM ${this.table('steps')}`,
    )
    const { steps, first, last } = found
    if (typeof steps !== 'bigint' || typeof first !== 'bigint' || typeof last !== 'bigint') return null
    if (steps > mostSteps) return null
    const width = (last - first) / (steps * stretchesOfStep) + 1n
    await this.make(
      'stretches',
      `SELECT *, unnest(generate_series(epoch_us(known) // ${width}, least(until - 1, ${last}) // ${width})) AS stretch
       FROM (${this.spans('steps', [])})`,
    )
    const most = await this.mostOf('stretches', ['stretch'])
    return most > stepsOfStretch ? null : { width, last: last / width }
  }

  /** Rows with the end, in microseconds and exclusive, of the time in which of theirs nothing newer is known. */
  private spans(rows: string, keys: readonly string[]): string {
    const of = keys.length === 0 ? '' : `PARTITION BY ${keys.join(', ')}`
    return `SELECT *, coalesce(lead(epoch_us(known)) OVER (${of} ORDER BY known), ${endOfTime}) AS until FROM ${this.table(rows)}`
  }

  /** How many rows there are at most that share these columns. */
  private async mostOf(rows: string, columns: readonly string[]): Promise<number> {
    const [found] = await this.query(
      `SELECT max(count) AS most FROM (SELECT count(*) AS count FROM ${this.table(rows)} GROUP BY ${columns.join(', ')})`,
    )
    return Number(found?.['most'] ?? 0)
  }

  /** SQL of the labels whose entity has no row at their step; null where there are none. */
  private async restOf({ labels }: Found): Promise<string | null> {
    if (this.known !== null) return this.labels
    if ((await this.count('look')) === labels) return null
    await this.make(
      'rest',
      `SELECT label_row, label_time, ${this.keys.join(', ')} FROM ${this.table('look')} ANTI JOIN ${this.into} USING (label_row)`,
    )
    return this.table('rest')
  }

  /** SQL of the places that those labels find: the newest row in line of their entity, or a late one that is greater. */
  private async lookFurther(rest: string): Promise<string> {
    const finds: string[] = []
    if (this.known === null) {
      await this.makeBelow(rest)
      finds.push(await this.newestKnown(rest, 'below'))
    }
    if (this.known !== null || !(await this.isEmpty('late_steps'))) {
      await this.makeLate(rest)
      finds.push(await this.newestKnown(rest, 'late'))
    }
    if (finds.length === 1) return finds.join()
    return `SELECT * FROM (${finds.join(' UNION ALL ')}) QUALIFY row_number() OVER (
      PARTITION BY label_row ORDER BY event_ts DESC, created_ts DESC, run_id DESC) = 1`
  }

  /** The rows in line of the labels' entities. */
  private makeBelow(labels: string): Promise<void> {
    return this.make(
      'below',
      `SELECT ${this.keys.join(', ')}, event_ts, created_ts, run_id, known
       FROM (${this.places}) AS places JOIN ${this.table('steps')} AS steps USING (event_ts, created_ts, run_id)
       SEMI JOIN ${labels} AS labels USING (${this.keys.join(', ')})`,
    )
  }

  /**
   * Late rows of the labels' entities: of an entity's, in the order in which they came to be known, those alone ever win that
   * are greater than all that were known before.
   */
  private makeLate(labels: string): Promise<void> {
    const keys = this.keys.join(', ')
    const rows =
      this.known === null
        ? `SELECT places.*, known FROM (${this.places}) AS places JOIN ${this.table('late_steps')} USING (event_ts, created_ts, run_id)`
        : `SELECT places.*, ${this.known.select.replaceAll('_timestamp', '_ts')} AS known FROM (${this.places}) AS places
           ${this.known.join} WHERE created_ts IS NOT NULL ${this.known.where}`
    return this.make(
      'late',
      `WITH ranked AS (
         SELECT *, row_number() OVER (PARTITION BY ${keys} ORDER BY event_ts, created_ts, run_id) AS rank
         FROM (${rows}) AS late SEMI JOIN ${labels} AS labels USING (${keys})),
       led AS (
         SELECT *, max(rank) OVER (PARTITION BY ${keys} ORDER BY known, rank DESC
           ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS best FROM ranked)
       SELECT ${keys}, event_ts, created_ts, run_id, known FROM led WHERE best IS NULL OR rank > best`,
    )
  }

  /** A bit for each label tells in a tenth of the time of `count(DISTINCT …)` how many were found. */
  private async countFound(): Promise<Found> {
    const [all = {}] = await this.query(
      `SELECT count(*) AS rows, min(label_row) AS first, max(label_row) AS last FROM ${this.into}`,
    )
    if (all['rows'] === 0n) return { rows: 0, labels: 0 }
    const [found] = await this.query(
      `SELECT bit_count(bitstring_agg(label_row, ${String(all['first'])}, ${String(all['last'])})) AS labels FROM ${this.into}`,
    )
    return { rows: Number(all['rows']), labels: Number(found?.['labels']) }
  }

  /**
   * Rows that are equal in all that decides are told apart by their values, so that one and the same wins in whatever order
   * they lie on disk.
   */
  private async oneRowEach({ rows, labels }: Found): Promise<number> {
    if (rows === labels) return labels
    const values = this.group.features.map((_, at) => `CAST(f${at} AS VARCHAR) DESC NULLS LAST`)
    await this.query(
      `CREATE OR REPLACE TEMP TABLE ${this.into} AS SELECT * FROM ${this.into}
       QUALIFY row_number() OVER (PARTITION BY label_row ORDER BY ${[...values, 'event_ts'].join(', ')}) = 1`,
    )
    return labels
  }

  /** Of the rows of a label's entity the last one that was known. */
  private async newestKnown(labels: string, rows: string): Promise<string> {
    const keys = this.keys.map((key) => `labels.${key} = places.${key}`).join(' AND ')
    const isFew = (await this.mostOf(rows, this.keys)) <= fewRowsOfEntity
    const places = isFew
      ? `JOIN (${this.spans(rows, this.keys)}) AS places ON ${keys} AND epoch_us(label_time) < until`
      : `ASOF JOIN ${this.table(rows)} AS places ON ${keys} AND label_time >= known`
    // What ASOF was told is said again of what it found.
    return `SELECT labels.label_row, labels.label_time, ${this.keys.map((key) => `labels.${key}`).join(', ')}, event_ts, created_ts, run_id
      FROM ${labels} AS labels ${places} WHERE label_time >= known ${this.fresh}`
  }

  /** Of a label's row everything is known but its values: they are read here. */
  private readRows(places: string): string {
    const { keys, features } = this.group
    const columns = [...keys, ...this.telling, ...features]
    const values = features.map((name, at) => `published.${quoteIdentifier(name)} AS f${at}`)
    return `SELECT ${['places.label_row', 'places.event_ts', ...values].join(', ')}
      FROM ${this.group.relation(columns)} AS published JOIN ${this.table(places)} AS places
      ON ${this.onPlaces}`
  }

  private get onPlaces(): string {
    return [
      ...this.group.keys.map((name, at) => `published.${quoteIdentifier(name)} = places.k${at}`),
      ...this.telling.map((name) => `published.${name} = places.${placeColumns[name]}`),
    ].join(' AND ')
  }

  private get places(): string {
    const { keys } = this.group
    const columns = keys.map((name, at) => `${quoteIdentifier(name)} AS k${at}`)
    return `SELECT ${columns.join(', ')}, event_timestamp AS event_ts, created_timestamp AS created_ts, run_id
      FROM ${this.group.relation([...keys, 'event_timestamp', 'created_timestamp', 'run_id'])}`
  }

  private get fresh(): string {
    const { ttlMicros } = this.group
    return ttlMicros === null ? '' : `AND epoch_us(event_ts) >= epoch_us(label_time) - ${ttlMicros}`
  }

  private table(name: string): string {
    return quoteIdentifier(`${this.options.into} ${name}`)
  }

  private async make(name: string, select: string): Promise<void> {
    const table = this.table(name)
    this.made.push(table)
    await this.query(`CREATE TEMP TABLE ${table} AS ${select}`)
  }

  private async count(name: string): Promise<number> {
    const [counted] = await this.query(`SELECT count(*) AS rows FROM ${this.table(name)}`)
    return Number(counted?.['rows'])
  }

  private async isEmpty(name: string): Promise<boolean> {
    return (await this.query(`SELECT 1 FROM ${this.table(name)} LIMIT 1`)).length === 0
  }

  private query(sql: string) {
    return query(this.connection, sql, this.options.signal)
  }
}
