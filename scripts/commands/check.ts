/**
 * `asof check`, for CI: the definitions load, fit their sources' columns and DuckDB's binder, and compile to what is
 * committed beside them as golden JSON (`compiled/<group>.json`), so that a review shows every change of meaning.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { compileDefinition } from '../../activities/index.ts'
import { InputError } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import type { Store } from '../../worker/openStore.ts'
import { goldenDifferences, goldenText } from '../goldenJson.ts'
import { bold, CheckFailed, green, print, red, say, type Format } from '../output.ts'
import { withStore } from './withStore.ts'

interface Finding {
  readonly group: string
  readonly ok: boolean
  readonly differences: readonly string[]
}

export async function check(config: Config, write: boolean, format: Format): Promise<void> {
  const folder = compiledFolder(config.features)
  const compiled = await withStore(config, compileAll)
  const findings = [...compiled].map(([group, text]) =>
    typeof text === 'string' ? settle(folder, group, text, write) : finding(group, [text.problem]),
  )
  const all = [...findings, ...strayFiles(folder, new Set(compiled.keys()), write)]
  print(format, all, all.map(findingText).join('\n'))
  if (all.every(({ ok }) => ok)) return
  const mend = `mend what stands above, then ${bold('asof check --write')} again`
  const accept = `where the change is meant, ${bold('asof check --write')} and commit ${folder}; \`asof plan\` says what follows from it`
  say(`Next: ${write ? mend : accept}.`)
  throw new CheckFailed()
}

/** Beside the definitions module. */
export function compiledFolder(features: string): string {
  const isFolder = existsSync(features) && statSync(features).isDirectory()
  return join(isFolder ? features : dirname(features), 'compiled')
}

async function compileAll(store: Store): Promise<Map<string, string | { problem: string }>> {
  const compiled = new Map<string, string | { problem: string }>()
  for (const group of store.definitions.groups.values()) {
    try {
      compiled.set(group.id, goldenText(await compileDefinition(store, group)))
    } catch (error) {
      if (!(error instanceof InputError)) throw error
      compiled.set(group.id, { problem: error.message })
    }
  }
  return compiled
}

function settle(folder: string, group: string, text: string, write: boolean): Finding {
  const path = join(folder, `${group}.json`)
  if (write) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(path, text)
  }
  if (!existsSync(path)) return finding(group, [`${path} is missing`])
  const committed = readFileSync(path, 'utf8')
  return finding(
    group,
    committed === text ? [] : goldenDifferences(parsed(committed, path), JSON.parse(text)),
  )
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InputError(
      `${path} is no JSON. Write it again with \`asof check --write\`.`,
      { path },
      { cause },
    )
  }
}

function strayFiles(folder: string, groups: ReadonlySet<string>, write: boolean): Finding[] {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : []
  const stray = names.map((name) => name.slice(0, -'.json'.length)).filter((group) => !groups.has(group))
  if (write) for (const group of stray) rmSync(join(folder, `${group}.json`))
  return write ? [] : stray.map((group) => finding(group, ['is compiled and not defined any more']))
}

const finding = (group: string, differences: readonly string[]): Finding => ({
  ...{ group, ok: differences.length === 0, differences },
})

function findingText({ group, ok, differences }: Finding): string {
  return [`${ok ? green('ok ') : red('no ')} ${group}`, ...differences.map((one) => `      ${one}`)].join(
    '\n',
  )
}
