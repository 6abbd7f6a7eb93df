/** Binds a map group: its keys and the columns that its function sees are there and fit. */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { BoundGroup } from '../model/bound.ts'
import { IntegrityError } from '../model/errors.ts'
import type { FeatureGroup } from '../model/group.ts'
import { checkKey } from './bind.ts'
import { checkTimestamps } from './checkTimes.ts'
import { declaredTypes } from './declaredTypes.ts'
import { mapOf, valueSql } from './mapEvents.ts'
import { bindSources, type SourceRelation } from './source.ts'
import type { SourceFile } from './sourceFiles.ts'

/** @throws InputError that names the group, the key or column and the cure. */
export async function bindMap(
  connection: DuckDBConnection,
  group: FeatureGroup,
  files: readonly SourceFile[],
): Promise<BoundGroup> {
  const [relation] = await bindSources(connection, group.sources, files)
  if (relation === undefined) throw new IntegrityError(`feature group ${group.id} has no source.`)
  const bound = bindMapColumns(group, relation)
  await checkTimestamps(connection, relation)
  return bound
}

/** From the columns alone. @throws InputError as `bindMap` does. */
export function bindMapColumns(group: FeatureGroup, relation: SourceRelation): BoundGroup {
  const keys = Object.entries(group.entity.keys).map(([name, type]) => {
    checkKey(group, relation, name, type)
    return { name, type }
  })
  for (const name of mapOf(group).columns) valueSql(group, relation, name, name)
  return { group, keys, features: declaredTypes(group) }
}
