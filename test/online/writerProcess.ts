/**
 * A second process that writes to an LMDB store: imported, it starts one; run, it is one.
 *
 * Every line on its standard input is a load: rows `k0`, `k1`, … that all hold the sequence number. It answers with
 * one line when the load has been written.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { openLmdb } from '../../online/lmdb.ts'
import { valueSchema } from '../../online/value.ts'

export interface Load {
  readonly group: string
  readonly sequence: number
  readonly rows: number
  readonly finish: boolean
}

const path = fileURLToPath(import.meta.url)

export function startWriter(folder: string) {
  const child = spawn(process.execPath, ['--import', 'tsx', path, folder], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const ended = once(child, 'exit')
  return {
    async load(load: Load): Promise<void> {
      child.stdin.write(`${JSON.stringify(load)}\n`)
      const answer = (await answers.next()) as IteratorResult<string, undefined>
      if (answer.value !== 'written') throw new Error(`writer: ${answer.value ?? 'ended'}`)
    },
    async stop(): Promise<void> {
      child.stdin.end()
      await ended
    },
    async kill(): Promise<void> {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function work(folder: string): Promise<void> {
  const store = openLmdb({ path: folder, store: 'test' })
  for await (const line of createInterface({ input: process.stdin })) {
    const { group, sequence, rows, finish } = JSON.parse(line) as Load
    const order = { incarnation: 1n, sequenceNumber: BigInt(sequence) }
    const card = {
      group,
      keys: [{ name: 'origin', type: 'string' as const }],
      schema: valueSchema([{ name: 'departures', type: 'int64' }]),
      defaults: {},
      ttlMs: 7 * 864e5,
      cadenceMs: 36e5,
    }
    const all = Array.from({ length: rows }, (_, index) => ({
      keys: [`k${index}`],
      eventTimestampMicros: BigInt(sequence) * 10n,
      values: [BigInt(sequence)],
    }))
    await store.write(card, order, all)
    if (finish) await store.finishLoad(group, { snapshotId: `1.${sequence}`, order, loadedAtMs: 1000 })
    process.stdout.write('written\n')
  }
  await store.close()
}

if (process.argv[1] === path) await work(process.argv[2] as string)
