/**
 * A hash of the code of a definition's function and of everything that it imports, so that a change of it changes the
 * fingerprints of a map group's features and the hash of on-demand features.
 *
 * esbuild bundles the definitions module; of the bundle only what the function reaches counts (reachableCode.ts): its
 * owner, its prose, its gates and other definitions do not. A function's own text would not do, for it differs between
 * loaders and lacks what it calls. Where the definition is no plain `mapGroup({ … map: … })` of an exported name, and no
 * plain `onDemand({ … compute: … })` in a variable or in its service, more than needed counts, never less.
 */
import { createHash } from 'node:crypto'
import { dirname, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { InputError } from '../model/index.ts'
import { exportedName, reachableCode } from './reachableCode.ts'

const ownFolder = dirname(dirname(fileURLToPath(import.meta.url)))

/** Asof's own words change with its version, not with the definitions. */
const wordsStayOutside: Plugin = {
  name: 'asof-words-stay-outside',
  setup({ onResolve, resolve }) {
    onResolve(
      { filter: /(^asof$|model[\\/][a-z]+\.(ts|js)$)/i },
      async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData === exportedName) return undefined
        if (path === 'asof') return { path, external: true, sideEffects: false }
        const found = await resolve(path, { importer, resolveDir, kind, pluginData: exportedName })
        const isWords = found.path.startsWith(`${ownFolder}${sep}model${sep}`)
        return isWords ? { path: 'asof', external: true, sideEffects: false } : undefined
      },
    )
  },
}

/**
 * Hex of a SHA-256.
 *
 * @param file the definitions module
 * @param exported the name under which it exports the definition; null where it has none
 * @param onDemandName what on-demand features are called, by which those that are not exported are found
 * @throws InputError where esbuild cannot bundle it
 */
export async function codeHash(
  file: string,
  exported: string | null,
  onDemandName: string | null = null,
): Promise<string> {
  const from = JSON.stringify(file)
  const entry =
    exported === null ? `export * from ${from}` : `export { ${exported} as ${exportedName} } from ${from}`
  const bundle = await bundled(entry, file)
  return createHash('sha256').update(reachableCode(bundle, onDemandName)).digest('hex')
}

async function bundled(entry: string, file: string): Promise<string> {
  try {
    const { outputFiles } = await build({
      stdin: { contents: entry, resolveDir: dirname(file), loader: 'ts' },
      ...{ bundle: true, write: false, format: 'esm', platform: 'node', target: 'node20', charset: 'utf8' },
      ...{ treeShaking: true, legalComments: 'none', logLevel: 'silent' },
      // Every statement starts at the beginning of a line, and nothing else does: no text runs over several lines.
      supported: { 'template-literal': false },
      plugins: [wordsStayOutside],
    })
    return outputFiles[0]?.text ?? ''
  } catch (cause) {
    const said = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause)
    throw new InputError(
      `The definitions ${file} cannot be bundled for their fingerprint: ${said}`,
      { file },
      { cause },
    )
  }
}
