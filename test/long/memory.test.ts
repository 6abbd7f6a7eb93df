/** Memory is bounded by what DuckDB may hold, whatever the size of the data. */
import { execFile } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('largeGroup.ts', import.meta.url))

async function peakOf(days: number): Promise<{ rows: number; peakMegabytes: number }> {
  const folder = mkdtempSync(join(tmpdir(), 'asof-memory-'))
  const tsx = fileURLToPath(import.meta.resolve('tsx'))
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--import',
    tsx,
    script,
    folder,
    String(days),
  ])
  return JSON.parse(stdout) as { rows: number; peakMegabytes: number }
}

test('three times the data take the same memory: 400 MB of DuckDB and Node beside it', async () => {
  const small = await peakOf(15)
  const large = await peakOf(45)
  console.log(
    `peaks: ${small.peakMegabytes} MB for ${small.rows} rows, ${large.peakMegabytes} MB for ${large.rows} rows`,
  )
  expect(large.rows).toBeGreaterThan(3 * small.rows)
  expect(large.peakMegabytes).toBeLessThan(1_000)
  expect(large.peakMegabytes).toBeLessThan(1.4 * small.peakMegabytes)
})
