/**
 * Labels of a scoring set: every entity of a group, once, in the order of its keys, all at one instant.
 *
 * An entity is known by the first of its rows that is: it is in the set if a label at that instant could see one of them,
 * were it not for its age (rules 4 and 5), in the snapshot that the set pins. An entity that came later is not, for nobody
 * could have scored it; one whose newest row is too old is, and finds nothing, as it would be served nothing.
 */
import { planScan, quoteIdentifier, quoteLiteral, readDataFiles, type Filter } from '../../iceberg/index.ts'
import {
  formatInstant,
  IntegrityError,
  parseInstant,
  type EntityLabels,
  type EpochMs,
} from '../../model/index.ts'
import { query } from '../../offline/index.ts'
import type { ActivityDeps } from '../deps.ts'
import type { Pins } from './pinGroups.ts'

/** What the labels call their instant. */
export const scoringTime = 'as_of'

export interface EntityLabelsPlace {
  readonly pins: Pins
  /** The instant, unless the request names one. */
  readonly now: EpochMs
  readonly knowledgeCutoff: boolean
  /** Where the labels go, as Parquet. */
  readonly path: string
}

export async function entityLabels(
  deps: ActivityDeps,
  { entitiesOf, at }: EntityLabels,
  { pins, now, knowledgeCutoff, path }: EntityLabelsPlace,
): Promise<void> {
  const pinned = pins.get(entitiesOf)
  if (pinned === undefined) throw new IntegrityError(`Feature group ${entitiesOf} was not pinned.`)
  const { known, pin } = pinned
  const instant = at === undefined ? now : parseInstant(at, 'labels: at')
  const micros = BigInt(instant) * 1000n
  const seen = knowledgeCutoff ? ['event_timestamp', 'created_timestamp'] : ['event_timestamp']
  const filters = seen.map((column): Filter => ({ column, op: 'le', value: micros }))
  const { files } =
    pin.snapshotId === null
      ? { files: [] }
      : await planScan(known.table, {
          snapshotId: BigInt(pin.snapshotId),
          filter: { op: 'and', filters },
        })
  const keys = known.bound.keys.map(({ name }) => name)
  const rows = readDataFiles({
    ...{ schema: known.table.schema, files },
    columns: [...keys, 'event_timestamp', 'created_timestamp', 'run_id'],
    localPath: (location) => deps.fileIO.localPath(location),
  })
  const unknownRuns = Object.entries(pin.moments)
    .filter(([, moment]) => knowledgeCutoff && (moment === null || BigInt(moment) > micros))
    .map(([run]) => quoteLiteral(run))
  const conditions = [
    'created_timestamp IS NOT NULL',
    ...seen.map((column) => `epoch_us(${column}) <= ${micros}`),
    ...(unknownRuns.length === 0 ? [] : [`run_id NOT IN (${unknownRuns.join(', ')})`]),
  ]
  const names = keys.map(quoteIdentifier).join(', ')
  const connection = await deps.duckdb.connect()
  try {
    await query(
      connection,
      `COPY (SELECT DISTINCT ${names}, TIMESTAMPTZ '${formatInstant(instant)}' AS ${scoringTime} FROM ${rows} WHERE ${conditions.join(' AND ')} ORDER BY ${names}) TO ${quoteLiteral(path)} (FORMAT parquet)`,
    )
  } finally {
    connection.closeSync()
  }
}
