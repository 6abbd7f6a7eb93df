/**
 * A hash of the code of a map group's function and of everything that it imports, so that a change of it changes the
 * fingerprints of the group's features.
 *
 * esbuild bundles the definitions module; of the bundle only what the function reaches counts: its owner, its prose, its
 * gates and other groups do not. A function's own text would not do, for it differs between loaders and lacks what it
 * calls. Where the definition is no plain `mapGroup({ … map: … })` of an exported name, more than needed counts, never less.
 */
import { createHash } from 'node:crypto'
import { dirname, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build, type Plugin } from 'esbuild'
import { InputError } from '../model/index.ts'

const groupName = 'asof_group'
const ownFolder = dirname(dirname(fileURLToPath(import.meta.url)))

/** Asof's own words change with its version, not with the definitions. */
const wordsStayOutside: Plugin = {
  name: 'asof-words-stay-outside',
  setup({ onResolve, resolve }) {
    onResolve(
      { filter: /(^asof$|model[\\/][a-z]+\.(ts|js)$)/i },
      async ({ path, importer, resolveDir, kind, pluginData }) => {
        if (pluginData === groupName) return undefined
        if (path === 'asof') return { path, external: true, sideEffects: false }
        const found = await resolve(path, { importer, resolveDir, kind, pluginData: groupName })
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
 * @param exported the name under which it exports the group; null where it has none
 * @throws InputError where esbuild cannot bundle it
 */
export async function codeHash(file: string, exported: string | null): Promise<string> {
  const from = JSON.stringify(file)
  const entry =
    exported === null ? `export * from ${from}` : `export { ${exported} as ${groupName} } from ${from}`
  const bundle = await bundled(entry, file)
  return createHash('sha256').update(reachable(bundle)).digest('hex')
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

/** The function and every statement that it reaches, in the order of the bundle. */
function reachable(bundle: string): string {
  const statements = statementsOf(bundle)
  const local = new RegExp(`^ {2}(\\S+) as ${groupName}`, 'm').exec(bundle)?.[1]
  const definition = statements.find((text) => text.startsWith(`var ${local} = mapGroup({\n`))
  const root = definition === undefined ? null : mapProperty(definition)
  if (definition === undefined || root === null) return statements.join('\n')
  const others = statements.filter(
    (text) => text !== definition && !text.startsWith('export {') && !isWords(text),
  )
  const counted = new Set<string>()
  const known = new Set(identifiersOf(root))
  for (let grew = true; grew;) {
    grew = false
    for (const text of others) {
      if (counted.has(text) || !subjectsOf(text).some((name) => known.has(name))) continue
      counted.add(text)
      for (const name of identifiersOf(text)) known.add(name)
      grew = true
    }
  }
  return [root, ...others.filter((text) => counted.has(text))].join('\n')
}

const isWords = (text: string) => text.startsWith('import ') && text.includes(' from "asof"')

/** esbuild prints a statement's later lines indented, or as closing brackets. */
function statementsOf(bundle: string): string[] {
  const statements: string[] = []
  for (const line of bundle.split('\n')) {
    if (line.startsWith('//') || line === '') continue
    if (/^[\s)\]}]/.test(line) && statements.length > 0) statements.push(`${statements.pop()}\n${line}`)
    else statements.push(line)
  }
  return statements
}

/** The lines of the property `map` of a definition; null where it has none of its own. */
function mapProperty(definition: string): string | null {
  const lines = definition.split('\n')
  const start = lines.findIndex((line) => /^ {2}map(:|,|\(|$)/.test(line))
  if (start < 0) return null
  const length = lines
    .slice(start + 1)
    .findIndex((line) => /^ {2}[^\s)\]}]/.test(line) || !line.startsWith('  '))
  return lines
    .slice(start, length < 0 ? undefined : start + 1 + length)
    .join('\n')
    .replace(/,$/, '')
}

const identifiersOf = (text: string) => text.match(/[\p{ID_Start}$_][\p{ID_Continue}$]*/gu) ?? []

/** What a statement declares; one that declares nothing (it fills a table, say) is about every name in it. */
function subjectsOf(text: string): string[] {
  const declared = /^(?:var|let|const|class|function\*?|async function\*?) ([\p{ID_Continue}$]+)/u.exec(
    text,
  )?.[1]
  return declared === undefined ? identifiersOf(text) : [declared]
}
