/** Loads a user's definitions: a TypeScript or JavaScript module, or a folder with an index. */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { register } from 'tsx/esm/api'
import { codeHash } from './codeHash.ts'
import { AsofError, collectDefinitions, InputError, type Definitions } from '../model/index.ts'

const indexNames = ['index.ts', 'index.mts', 'index.js', 'index.mjs']

/** @throws InputError where there is no module, or it does not load, or defines one thing twice. */
export async function loadDefinitions(path: string): Promise<Definitions> {
  const file = moduleFile(path)
  // The packed package is JavaScript: it needs a loader for a user's TypeScript. From the sources there is one already.
  const unregister = import.meta.url.endsWith('.ts') ? null : register()
  try {
    const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>
    const definitions = collectDefinitions(module)
    await hashCode(file, module, definitions)
    return definitions
  } catch (error) {
    if (error instanceof AsofError) throw error
    const message = isRequireCycle(error) ? commonJs : error instanceof Error ? error.message : String(error)
    throw new InputError(`The definitions ${file} do not load: ${message}`, { file }, { cause: error })
  } finally {
    await unregister?.()
  }
}

/** What Node says of TypeScript in a package of CommonJS, which `npm init` makes; its own sentence helps nobody. */
const isRequireCycle = (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'ERR_REQUIRE_CYCLE_MODULE'
const commonJs =
  'the package around them is CommonJS. Write "type": "module" into its package.json, or name the file .mts.'

/** Functions count by their code, which only their module's files tell. */
async function hashCode(
  file: string,
  module: Readonly<Record<string, unknown>>,
  { groups, onDemand }: Definitions,
): Promise<void> {
  const exportedAs = (definition: unknown) =>
    Object.keys(module).find((name) => module[name] === definition) ?? null
  for (const group of groups.values()) {
    if (group.compute.kind !== 'map') continue
    group.compute.codeHash = await codeHash(file, exportedAs(group))
  }
  for (const definition of onDemand.values()) {
    definition.codeHash = await codeHash(file, exportedAs(definition), definition.name)
  }
}

function moduleFile(path: string): string {
  if (!existsSync(path)) {
    throw new InputError(
      `There are no definitions at ${path}. Set ASOF_FEATURES to your definitions module, a .ts file or a folder with an index.ts.`,
      { path },
    )
  }
  if (!statSync(path).isDirectory()) return path
  const index = indexNames.map((name) => join(path, name)).find((file) => existsSync(file))
  if (index === undefined) {
    throw new InputError(
      `The folder ${path} has no ${indexNames.join(', ')}. Set ASOF_FEATURES to your definitions module.`,
      {
        path,
      },
    )
  }
  return index
}
