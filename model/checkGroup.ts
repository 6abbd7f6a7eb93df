/** What a group's parts must be to each other, whichever way it is computed. */
import { checkGates } from './checkGates.ts'
import { InputError } from './errors.ts'
import { bucketPartition, windowsOf, type FeatureGroup } from './group.ts'
import { durationMs } from './time.ts'
import { windowMs } from './window.ts'

/** Columns that every table has beside its keys and features; the last is what DuckDB calls a row's place in any file. */
export const reservedColumns = ['event_timestamp', 'created_timestamp', 'run_id', 'file_row_number'] as const

/** @throws InputError that names the group, the feature and the cure. */
export function checkGroup(group: FeatureGroup, what: string): void {
  checkNames(group, what)
  checkBuckets(group, what)
  checkGates(group, what)
  checkTimes(group, what)
}

function checkNames(group: FeatureGroup, what: string): void {
  const taken = new Set<string>([...reservedColumns, ...Object.keys(group.entity.keys)])
  for (const name of Object.keys(group.features)) {
    if (taken.has(name)) {
      throw new InputError(
        `${what}: feature ${name} has the name of a key or of a column that every table has (${reservedColumns.join(', ')}). Give it another name.`,
        { feature: name },
      )
    }
  }
  for (const key of Object.keys(group.entity.keys)) {
    if ((reservedColumns as readonly string[]).includes(key)) {
      throw new InputError(
        `${what}: key ${key} of entity ${group.entity.name} is a reserved name. Give it another one.`,
      )
    }
  }
}

function checkBuckets({ buckets, entity, features }: FeatureGroup, what: string): void {
  if (buckets === null) return
  const keys = Object.keys(entity.keys)
  if (!keys.includes(buckets.key)) {
    throw new InputError(
      `${what}: buckets: ${buckets.key} is no key of entity ${entity.name}, which has ${keys.join(', ')}. Take one of them.`,
      { key: buckets.key },
    )
  }
  const partition = bucketPartition(buckets)
  if ([...keys, ...Object.keys(features)].includes(partition)) {
    throw new InputError(
      `${what}: ${partition} is what the table's buckets of ${buckets.key} are called. Give the column another name.`,
      { column: partition },
    )
  }
}

/** Windows and times of life that no data can fit. */
function checkTimes(group: FeatureGroup, what: string): void {
  const available = durationMs(group.availableAfter)
  // An interval is computed when it is due, and read again until its lateness has passed.
  const readUntil = Math.max(available, durationMs(group.lateness))
  if (group.ttl !== null && durationMs(group.ttl) < durationMs(group.every) + available) {
    throw new InputError(
      `${what}: ttl ${group.ttl} is shorter than the cadence ${group.every} plus availableAfter ${group.availableAfter}: values would be gone before the next ones come. Use a longer ttl.`,
    )
  }
  for (const { retention, completeFrom, name } of group.sources) {
    for (const { feature, over } of windowsOf(group)) {
      if (over === 'unbounded' && completeFrom === undefined) {
        throw new InputError(
          `${what}: feature ${feature}: an unbounded window counts from the moment since which its source is complete, and source ${name} does not say it. Give the source a completeFrom, or the feature a window such as '30d'.`,
          feature === null ? {} : { feature },
        )
      }
      if (retention === undefined || windowMs(over) + readUntil <= durationMs(retention)) continue
      const which = feature === null ? 'a' : `feature ${feature}: a`
      throw new InputError(
        `${what}: ${which} window of ${over} plus ${readUntil > available ? `lateness ${group.lateness}` : `availableAfter ${group.availableAfter}`} reaches back further than source ${name} keeps events (${retention}). Use a shorter window.`,
        feature === null ? {} : { feature },
      )
    }
  }
}
