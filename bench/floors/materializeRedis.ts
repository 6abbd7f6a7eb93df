/**
 * The floor of a load into Redis: calls of the store's own script that were encoded before the clock starts, written to a
 * socket as they are, with a bounded number of them in flight. It reads nothing, encodes nothing and decides nothing.
 * Written here, by hand; of the online store only the script is used.
 */
import type { DuckDBConnection } from '@duckdb/node-api'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Script } from '../../online/redisConnection.ts'

const keysPerCall = 200
const callsInFlight = 16

/** Calls that write the rows of some files (`id`, `event_timestamp`, `f0` to `f9`) under `<prefix>:<id>`. */
export async function encodedCalls(
  connection: DuckDBConnection,
  files: readonly string[],
  { sha, prefix, schemaTag }: { sha: string; prefix: string; schemaTag: string },
): Promise<Buffer[]> {
  const head = Buffer.alloc(31)
  head[15] = 1
  head[16] = 1
  head.write(schemaTag, 18, 'hex')
  head[30] = 0x9a
  const calls: Buffer[] = []
  let keys: string[] = []
  let values: Buffer[] = []
  const close = () => {
    const texts = ['EVALSHA', sha, String(keys.length + 1), prefix, ...keys]
    const argument = (bytes: Buffer) => [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')]
    // Of any life, kept for ever; a tombstone for thirty days, if there were one.
    const settings = ['', '', '86400000', '2592000000'].map((text) => Buffer.from(text))
    const all = [...texts.map((text) => Buffer.from(text)), head.subarray(0, 16), ...settings, ...values]
    calls.push(Buffer.concat([Buffer.from(`*${all.length}\r\n`), ...all.flatMap(argument)]))
    keys = []
    values = []
  }
  const paths = files.map((file) => `'${file}'`).join(', ')
  const result = await connection.stream(
    `SELECT id, epoch_us(event_timestamp), f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 FROM read_parquet([${paths}])`,
  )
  for (;;) {
    const chunk = await result.fetchChunk()
    if (chunk === null || chunk.rowCount === 0) break
    for (const [id, at, ...doubles] of chunk.getRows()) {
      const value = Buffer.alloc(31 + 9 * doubles.length)
      head.copy(value)
      value.writeBigInt64BE(at as bigint, 22)
      for (const [place, double] of doubles.entries()) {
        value[31 + 9 * place] = 0xcb
        value.writeDoubleBE(double as number, 32 + 9 * place)
      }
      keys.push(`${prefix}:${String(id)}`)
      values.push(value)
      if (keys.length === keysPerCall) close()
    }
  }
  if (keys.length > 0) close()
  return calls
}

/** Sends them all. Returns how many keys Redis says it wrote. */
export async function materializeRedisFloor(
  port: number,
  { text }: Script,
  calls: readonly Buffer[],
): Promise<number> {
  const socket = connect({ host: '127.0.0.1', port })
  socket.setNoDelay(true)
  await once(socket, 'connect')
  socket.write(`*3\r\n$6\r\nSCRIPT\r\n$4\r\nLOAD\r\n$${Buffer.byteLength(text)}\r\n${text}\r\n`)
  await once(socket, 'data')
  let sent = 0
  let written = 0
  let answered = 0
  let rest = ''
  const send = () => socket.write(calls[sent++] as Buffer)
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject)
    socket.on('data', (data) => {
      const lines = (rest + data.toString('latin1')).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (!line.startsWith(':')) reject(new Error(`Redis answered ${line}`))
        written += Number(line.slice(1))
        answered++
        if (sent < calls.length) send()
      }
      if (answered === calls.length) resolve()
    })
    while (sent < Math.min(callsInFlight, calls.length)) send()
  })
  socket.destroy()
  return written
}
