/**
 * Of a bundle that esbuild has printed: the function of one definition and the statements that it reaches, by name.
 *
 * It reads lines, not a syntax tree, and relies on how esbuild prints: a statement starts at the beginning of a line, a
 * property of a definition two spaces further in. What it cannot find counts as the whole bundle.
 */

/** The name under which the bundle exports the definition. It counts where the whole bundle does, so it stays as it is. */
export const exportedName = 'asof_group'

/** The property in which a constructor takes the function. */
const functionOf: Readonly<Record<string, string>> = { mapGroup: 'map', onDemand: 'compute' }

/** The function and every statement that it reaches, in the order of the bundle. */
export function reachableCode(bundle: string, onDemandName: string | null): string {
  const statements = statementsOf(bundle)
  const found = exportedFunction(statements, bundle) ?? namedFunction(statements, onDemandName)
  if (found === null) return statements.join('\n')
  const others = statements.filter(
    (text) => text !== found.definition && !text.startsWith('export {') && !isWords(text),
  )
  const counted = new Set<string>()
  const known = new Set(identifiersOf(found.property))
  for (let grew = true; grew;) {
    grew = false
    for (const text of others) {
      if (counted.has(text) || !subjectsOf(text).some((name) => known.has(name))) continue
      counted.add(text)
      for (const name of identifiersOf(text)) known.add(name)
      grew = true
    }
  }
  return [found.property, ...others.filter((text) => counted.has(text))].join('\n')
}

interface Found {
  /** The whole statement. */
  readonly definition: string
  /** The lines of the property with the function. */
  readonly property: string
}

function exportedFunction(statements: readonly string[], bundle: string): Found | null {
  const local = new RegExp(`^ {2}(\\S+) as ${exportedName}`, 'm').exec(bundle)?.[1]
  for (const [word, name] of Object.entries(functionOf)) {
    for (const called of localNames(statements, word)) {
      const definition = statements.find((text) => text.startsWith(`var ${local} = ${called}({\n`))
      const property = definition === undefined ? null : propertyOf(definition.split('\n'), name)
      if (definition !== undefined && property !== null) return { definition, property }
    }
  }
  return null
}

/** On-demand features by their name, in a statement of their own or in the list of their service. */
function namedFunction(statements: readonly string[], onDemandName: string | null): Found | null {
  if (onDemandName === null) return null
  const words = localNames(statements, 'onDemand')
  const services = localNames(statements, 'featureService')
  const found = statements.flatMap((definition) => {
    const lines = definition.split('\n')
    const [, called = ''] = /^var \S+ = ([^\s(]+)\(\{$/.exec(lines[0] ?? '') ?? []
    const blocks = words.includes(called) ? [lines] : services.includes(called) ? listed(lines, words) : []
    return blocks
      .filter((block) => block.includes(`  name: ${JSON.stringify(onDemandName)},`))
      .map((block) => ({ definition, property: propertyOf(block, functionOf['onDemand'] ?? '') }))
  })
  const [only] = found
  return only === undefined || only.property === null || found.length > 1
    ? null
    : { definition: only.definition, property: only.property }
}

/**
 * Definitions in the list `onDemand: […]` of a service, as if each stood alone. Those inside a function are none of them:
 * what they take from its arguments would not be counted.
 */
function listed(lines: readonly string[], words: readonly string[]): string[][] {
  const list = lines.findIndex((line) => line.startsWith('  onDemand: ['))
  const opens = words.flatMap((word) => [
    ...[`  onDemand: [${word}({`, `  }), ${word}({`],
    ...(lines[list] === '  onDemand: [' ? [`    ${word}({`] : []),
  ])
  return lines.flatMap((line, at) => {
    if (list < 0 || at < list || !opens.includes(line)) return []
    const indent = line.search(/\S/)
    const rest = lines.slice(at + 1)
    const length = rest.findIndex((one) => one.search(/\S/) <= indent)
    return [[line.slice(indent), ...rest.slice(0, length).map((one) => one.slice(indent)), '})']]
  })
}

/** What the modules of a bundle call one of Asof's words: each imports it, and esbuild numbers the second and later ones. */
function localNames(statements: readonly string[], word: string): string[] {
  const names = statements.filter(isWords).flatMap((text) => {
    const imported = /\{([^}]*)\}/.exec(text)?.[1] ?? ''
    return imported.split(',').flatMap((one) => {
      const [name, local] = one.trim().split(/\s+as\s+/)
      return name === word ? [local ?? name] : []
    })
  })
  return [...new Set(names)]
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

/** The lines of a property of a definition; null where it has none of its own. */
function propertyOf(lines: readonly string[], name: string): string | null {
  const start = lines.findIndex((line) => new RegExp(`^ {2}${name}(:|,|\\(|$)`).test(line))
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
