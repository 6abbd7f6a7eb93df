/**
 * The SQL of an aggregate group as a person reviews it: of its first interval after the epoch, with every source's files
 * under the source's name, so that the text is the same on every machine.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import type { BoundGroup } from '../model/bound.ts'
import { durationMs } from '../model/time.ts'
import { compileGroup } from './compile.ts'
import { bindSource, type SourceRelation } from './source.ts'
import type { SourceFile } from './sourceFiles.ts'

/** Line by line; null for groups that bring their SQL or a function themselves. */
export async function compiledText(
  connection: DuckDBConnection,
  bound: BoundGroup,
  files: readonly SourceFile[],
): Promise<{ setUp: string[]; tiles: string[]; rows: string[] } | null> {
  const { source, every } = bound.group
  if (bound.group.compute.kind !== 'aggregate' || source === null) return null
  const relation = withNamedFiles(await bindSource(connection, source, files))
  const range = { from: 0, to: durationMs(every) }
  const compiled = compileGroup(bound, relation, { range, runId: 'run', scratch: 'scratch' })
  return {
    setUp: compiled.setUp.flatMap(linesOf),
    tiles: linesOf(compiled.tiles),
    rows: linesOf(compiled.rows('tiles')),
  }
}

const linesOf = (sql: string) => sql.split('\n')

function withNamedFiles(relation: SourceRelation): SourceRelation {
  const { files, source, inputs } = relation
  return {
    ...relation,
    files: files.slice(0, 1).map((file) => ({ ...file, path: source.name })),
    inputs: inputs.map(withNamedFiles),
  }
}
