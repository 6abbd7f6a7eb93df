/** `npm run bench -- --peers`: the training set beside Feast's, from the same Parquet with the same DuckDB underneath. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { say } from '../../scripts/output.ts'
import { ensureFeast, ensureTemporal, feastVersion } from '../../scripts/tools.mjs'
import { measured, type Row } from '../measure.ts'
import type { Bench, Subject } from '../subject.ts'
import { inWorld, takeTurns, type Other } from '../trainingWorld.ts'

const row: Row = {
  what: 'training set of 1,000,000 labels over 10,000,000 rows beside Feast, the whole workflow',
  floor: `Feast ${feastVersion}, get_historical_features with its DuckDB offline store`,
  goal: { below: 1 },
}

export const feastTrainingSet: Subject = {
  rows: [row],
  async measure(bench) {
    await ensureTemporal(say)
    const python = await ensureFeast(say)
    return inWorld(bench, 1_000_000, async (world) => {
      const { taken } = await takeTurns(bench, world, world.plain, feast(bench, python))
      return [measured(row, 's', taken)]
    })
  },
}

/** Feast's join knows nothing of when a row was known. */
const feast = ({ scratch }: Bench, python: string): Other => ({
  request: { knowledgeCutoff: false },
  async seconds({ labels, features, into }) {
    const folder = mkdtempSync(join(scratch, 'feast-'))
    const rows = join(features[0] ?? '', '..', '*.parquet')
    const said = await runPython(python, [folder, rows, labels, into])
    rmSync(folder, { recursive: true })
    return Number(said)
  },
})

function runPython(python: string, args: readonly string[]): Promise<string> {
  const script = fileURLToPath(new URL('feastTrainingSet.py', import.meta.url))
  // Its telemetry and its warnings are nobody's business here.
  const child = spawn(python, ['-I', '-W', 'ignore', script, ...args], {
    env: { ...process.env, FEAST_USAGE: 'False' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [said, errors] = ['', '']
  child.stdout.on('data', (text) => (said += String(text)))
  child.stderr.on('data', (text) => (errors += String(text)))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) resolve(said.trim().split('\n').at(-1) ?? '')
      else reject(new Error(`Feast failed: ${errors.trim().slice(-1000)}`))
    })
  })
}
