/** `npm run bench -- --peers`: the reader beside Feast's Python server, over the same Redis and the same values. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { say } from '../../scripts/output.ts'
import { freePort } from '../../scripts/stack.ts'
import { ensureFeast, feastVersion, run } from '../../scripts/tools.mjs'
import { measured, type Row } from '../measure.ts'
import { takeTurns } from '../reader.ts'
import { askedRows } from '../sameAnswers.ts'
import { askingOf, firstStranger, inServedWorld, json, type ServedWorld } from '../servedWorld.ts'
import type { Subject } from '../subject.ts'
import { wideFeatures } from '../wideStore.ts'
import type { Asking } from '../wrk.ts'

const floor = `Feast ${feastVersion}, feast serve with one worker`
const counts = [1, 100]
const rows = counts.map((count): Row => {
  const what = `read ${count === 1 ? 'one entity' : `${count} entities`} over HTTP from Redis beside Feast, JSON`
  return { what, floor, goal: { atLeast: 1 } }
})

// Its telemetry and its warnings are nobody's business here.
const environment = { FEAST_USAGE: 'False', PYTHONWARNINGS: 'ignore' }
const patienceMs = 60_000

export const feastReader: Subject = {
  rows,
  async measure(bench) {
    const python = await ensureFeast(say)
    return inServedWorld(bench, async (world) => {
      const folder = join(bench.scratch, 'feast')
      await fill(python, folder, world)
      const feast = await serve(python, folder)
      try {
        await refuseDifferentValues(askingOf(world, world.ours, 1), askingFeast(world, feast.url, 1))
        const all = []
        for (const [at, row] of rows.entries()) {
          const count = counts[at] ?? 0
          const ours = askingOf(world, world.ours, count)
          const taken = await takeTurns(world.wrk, ours, askingFeast(world, feast.url, count))
          all.push(measured(row, 'requests/s', taken))
        }
        return all
      } finally {
        await feast.stop()
      }
    })
  },
}

const askingFeast = ({ ids }: ServedWorld, url: string, entities: number): Asking => {
  const features = wideFeatures.map((name) => `served:${name}`)
  const body = [`{"features":${JSON.stringify(features)},"entities":{"id":["`, '"]}}'] as const
  return { url: `${url}/get-online-features`, accept: json, ...{ ids, entities, body } }
}

async function fill(python: string, folder: string, { redis, files }: ServedWorld): Promise<void> {
  mkdirSync(folder)
  const script = fileURLToPath(new URL('feastOnline.py', import.meta.url))
  const { code, output } = await run(
    python,
    ['-I', script, folder, `127.0.0.1:${redis.port}`, ...files],
    environment,
  )
  if (code !== 0) throw new Error(`Feast did not fill its online store: ${output.trim().slice(-1000)}`)
}

async function serve(python: string, folder: string): Promise<{ url: string; stop(): Promise<void> }> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const program = join(dirname(python), 'feast')
  // It would start itself anew in the middle of a turn, after a thousand requests.
  const options = ['--workers', '1', '--no-access-log', '--max-requests', '1000000000']
  const child = spawn(
    program,
    ['--chdir', folder, 'serve', '--host', '127.0.0.1', '--port', String(port), ...options],
    { env: { ...process.env, ...environment }, stdio: ['ignore', 'ignore', 'pipe'] },
  )
  let lastWords = ''
  child.stderr.on('data', (text) => (lastWords = (lastWords + String(text)).slice(-1000)))
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline && child.exitCode === null;) {
    const health = await fetch(`${url}/health`).catch(() => null)
    if (health?.ok === true) return { url, stop }
    await sleep(200)
  }
  await stop()
  throw new Error(`Feast's server did not start: ${lastWords.trim()}`)
}

interface FeastAnswer {
  readonly metadata: { readonly feature_names: readonly string[] }
  /** By feature, then by entity. */
  readonly results: readonly { readonly values: readonly unknown[] }[]
}

/** What is there and young enough is the same; what is older than its ttl Feast serves all the same. */
async function refuseDifferentValues(ours: Asking, feast: Asking): Promise<void> {
  const asked = readFileSync(ours.ids, 'utf8')
    .split('\n')
    .slice(firstStranger - 1000, firstStranger)
  const mine = await askedRows(ours, asked)
  const response = await fetch(feast.url, {
    method: 'POST',
    headers: { 'content-type': json },
    body: feast.body[0] + asked.join('","') + feast.body[1],
  })
  const { metadata, results } = (await response.json()) as FeastAnswer
  const columns = wideFeatures.map((name) => results[metadata.feature_names.indexOf(name)]?.values)
  for (const [at, id] of asked.entries()) {
    const { values = [], statuses = [] } = mine[at] ?? {}
    if (statuses.includes('OUTSIDE_MAX_AGE')) continue
    const theirs = columns.map((column) => column?.[at] ?? null)
    if (values.length > 0 && values.every((value, place) => Object.is(value, theirs[place]))) continue
    throw new Error(
      `For ${id} the reader answers ${JSON.stringify(values)}, and Feast ${JSON.stringify(theirs)}.`,
    )
  }
}
