/** `asof init`: a small working store of one's own, with a test. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { InputError, IntegrityError } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import { starterFiles } from '../starter.ts'
import { bold, print, say, type Format } from '../output.ts'

/** What `npm install asof` leaves in a folder: beside it a store may begin. */
const npmFiles = ['package.json', 'package-lock.json', 'node_modules', '.npmrc', '.git', '.gitignore']

export function init(config: Config, folder: string, format: Format): Promise<void> {
  const into = resolve(config.baseFolder, folder)
  const there = existsSync(into) ? readdirSync(into) : []
  refuseForeign(into, there)
  const files = Object.entries(starterFiles(ownVersion())).filter(([name]) => !there.includes(name))
  for (const [name, text] of files) {
    const path = join(into, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  const names = files.map(([name]) => name)
  print(format, { folder: into, files: names }, names.join('\n'))
  say(`A store of your own is in ${into}.`)
  const enter = into === config.baseFolder ? '' : `cd ${folder} && `
  const install = there.includes('node_modules') ? '' : 'npm install && '
  say(`Next: ${bold(`${enter}${install}npx asof check --write && npx asof plan`)}`)
  return Promise.resolve()
}

/** @throws InputError where something is in the folder that is not npm's, or where its package is not a module */
function refuseForeign(into: string, there: readonly string[]): void {
  const foreign = there.filter((name) => !npmFiles.includes(name))
  if (foreign.length > 0) {
    throw new InputError(
      `${into} holds ${foreign.slice(0, 3).join(', ')}, and \`asof init\` writes over nothing. Name a new folder: \`asof init my-features\`.`,
      { folder: into },
    )
  }
  if (!there.includes('package.json')) return
  const { type } = JSON.parse(readFileSync(join(into, 'package.json'), 'utf8')) as { type?: string }
  if (type !== 'module') {
    throw new InputError(
      `${join(into, 'package.json')} does not say "type": "module", which definitions need. Run \`npm pkg set type=module\`, or name a new folder: \`asof init my-features\`.`,
      { folder: into },
    )
  }
}

/** The version of this package, whose sources lie one folder deeper when they are built. */
function ownVersion(): string {
  for (const parent of ['../../package.json', '../../../package.json']) {
    const file = new URL(parent, import.meta.url)
    if (!existsSync(file)) continue
    const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name: string; version: string }
    if (name === 'asof') return version
  }
  throw new IntegrityError('The package.json of asof is not where it belongs. Install asof again.')
}
