/** `asof init`: a small working store of one's own, with a test. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { InputError } from '../../model/index.ts'
import type { Config } from '../../worker/config.ts'
import { starterFiles } from '../starter.ts'
import { bold, print, say, type Format } from '../output.ts'

export function init(config: Config, folder: string, format: Format): Promise<void> {
  const into = resolve(config.baseFolder, folder)
  if (existsSync(into) && readdirSync(into).length > 0) {
    throw new InputError(
      `${into} is not empty, and \`asof init\` writes over nothing. Name a new or an empty folder.`,
      { folder: into },
    )
  }
  for (const [name, text] of Object.entries(starterFiles)) {
    const path = join(into, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  print(format, { folder: into, files: Object.keys(starterFiles) }, Object.keys(starterFiles).join('\n'))
  say(`A store of your own is in ${into}.`)
  say(`Next: ${bold(`cd ${folder} && npm install && npx asof check --write && npm test`)}`)
  return Promise.resolve()
}
