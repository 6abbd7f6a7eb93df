/** A definition as it is compiled: what a reviewer must notice when it changes, committed beside it as golden JSON. */
import type { FeatureGroup } from '../model/index.ts'
import { compiledText, listFilesOf } from '../offline/index.ts'
import { definitionJson, featureFingerprints, groupFingerprint } from '../registry/index.ts'
import type { ActivityDeps } from './deps.ts'
import { bindDefinition } from './registration.ts'

export interface CompiledDefinition {
  readonly id: string
  readonly fingerprint: string
  readonly keys: readonly { readonly name: string; readonly type: string }[]
  readonly features: Readonly<Record<string, { readonly type: string; readonly fingerprint: string }>>
  readonly definition: unknown
  /** Null where the definition itself holds the SQL, or a function. */
  readonly sql: unknown
}

/** @throws InputError for a definition that does not fit its source. */
export async function compileDefinition(
  deps: ActivityDeps,
  group: FeatureGroup,
): Promise<CompiledDefinition> {
  const bound = await bindDefinition(deps, group)
  const files = await listFilesOf(group.sources, deps.environment, deps.baseFolder)
  const fingerprints = featureFingerprints(group)
  const connection = await deps.duckdb.connect()
  try {
    return {
      id: group.id,
      fingerprint: groupFingerprint(group),
      keys: bound.keys,
      features: Object.fromEntries(
        bound.features.map(({ name, type }) => [name, { type, fingerprint: fingerprints[name] ?? '' }]),
      ),
      definition: definitionJson(group),
      sql: await compiledText(connection, bound, files),
    }
  } finally {
    connection.closeSync()
  }
}
