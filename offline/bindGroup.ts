/** Binds a group to its sources, whichever way it is computed. */
import type { DuckDBConnection } from '@duckdb/node-api'
import { defaultsOf, type BoundGroup } from '../model/bound.ts'
import type { FeatureGroup } from '../model/group.ts'
import { bindAggregates } from './bind.ts'
import { bindMap } from './bindMap.ts'
import { bindQuery } from './bindQuery.ts'
import type { SourceFile } from './sourceFiles.ts'

/**
 * Every timestamp of the sources is looked at.
 *
 * @param files of all sources, as a plan pins them
 * @throws InputError that names the group, the key or feature, the column and the cure.
 */
export async function bindGroup(
  connection: DuckDBConnection,
  group: FeatureGroup,
  files: readonly SourceFile[],
): Promise<BoundGroup> {
  const bound = await bindComputed(connection, group, files)
  // A default is checked as soon as the feature's type is known.
  defaultsOf(bound)
  return bound
}

async function bindComputed(
  connection: DuckDBConnection,
  group: FeatureGroup,
  files: readonly SourceFile[],
): Promise<BoundGroup> {
  switch (group.compute.kind) {
    case 'aggregate':
      return bindAggregates(connection, group, files)
    case 'query':
      return bindQuery(connection, group, files)
    case 'map':
      return bindMap(connection, group, files)
  }
}
