/** The reader's process loads no engine: it starts faster and stays smaller, and a fault of DuckDB is none of its own. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

/** The native libraries of a process that has imported a module. */
async function nativeLibraries(module: string): Promise<string[]> {
  const file = new URL(`../../${module}`, import.meta.url).href
  const code = `await import(${JSON.stringify(file)}); console.log(JSON.stringify(process.report.getReport().sharedObjects)); process.exit(0)`
  const loader = ['--import', fileURLToPath(import.meta.resolve('tsx'))]
  const { stdout } = await promisify(execFile)(process.execPath, [
    ...loader,
    ...['--input-type=module', '-e', code],
  ])
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '[]') as string[]
}

const engines = /duckdb|temporal/

test('the worker has DuckDB, and the reader has it not, nor Temporal', async () => {
  expect((await nativeLibraries('worker/runWorker.ts')).some((name) => engines.test(name))).toBe(true)
  const ofReader = await nativeLibraries('worker/runReader.ts')
  expect(ofReader.length).toBeGreaterThan(3)
  expect(ofReader.filter((name) => engines.test(name))).toEqual([])
})
