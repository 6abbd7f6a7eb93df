/** The package as users run it: measured is what they have, not what tsx makes of our sources at every start. */
import { fileURLToPath } from 'node:url'
import { say } from '../scripts/output.ts'
import { run } from '../scripts/tools.mjs'

/** Builds `dist/`. @throws Error with what the build said where it failed */
export async function buildPackage(): Promise<void> {
  say('Building the package, which is measured.')
  const build = fileURLToPath(new URL('../scripts/build.mjs', import.meta.url))
  const { code, output } = await run(process.execPath, [build], {})
  if (code !== 0) throw new Error(`The package could not be built: ${output.trim().slice(-1000)}`)
}
