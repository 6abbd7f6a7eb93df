/**
 * MGETs over a connection of their own, written and read by hand: what a reader does with every request. A general client
 * makes an object, a promise and a timer of every command and looks at every value of its answer several times, which
 * together costs more than all that is done with them. Connecting, credentials, TLS and coming back are ioredis's all the
 * same: what it has connected is taken over once it is ready, and it is told when to connect again.
 *
 * Questions of one turn of the event loop go out in one write. Answers come in the order of the questions. The oldest one
 * that is not answered in time ends the connection, and with it all that are asked: a server that hangs answers none.
 */
import type { Redis } from 'ioredis'

type Found = (Buffer | null)[]

interface Asked {
  readonly resolve: (found: Found) => void
  readonly reject: (error: Error) => void
  readonly sentAtMs: number
}

export class RedisWire {
  private readonly client: Redis
  private readonly timeoutMs: number
  private readonly refused: (error: Error) => Error
  private stream: Redis['stream'] | null = null
  private readonly asked: Asked[] = []
  /** How many of `asked` are answered: taken off now and then, not one by one. */
  private answered = 0
  private unsent = ''
  /** Whether every character of `unsent` is one byte: most are, and those are written in a fraction of the time. */
  private isPlain = true
  private reader = new ReplyReader()
  private readonly watching: NodeJS.Timeout

  /**
   * @param client that speaks RESP2 and that nobody else sends commands with; it need not be connected yet
   * @param refused in whose words somebody is told what went wrong
   */
  constructor(client: Redis, timeoutMs: number, refused: (error: Error) => Error = (error) => error) {
    this.client = client
    this.refused = refused
    this.timeoutMs = timeoutMs
    client.on('ready', () => this.takeOver())
    client.on('close', () => this.lose(new Error('Connection is closed.')))
    this.watching = setInterval(() => this.endWhatHangs(), Math.max(10, timeoutMs / 10))
    this.watching.unref()
  }

  /** False until there is a connection, and while it is lost. */
  get isOpen(): boolean {
    return this.stream !== null
  }

  /** What stands under each name; null where that is nothing, or no string. @throws Error as Redis words it */
  mget(names: readonly string[]): Promise<Found> {
    return new Promise((resolve, reject) => {
      if (this.stream === null) throw this.refused(new Error('Connection is closed.'))
      if (this.unsent === '') setImmediate(() => this.send())
      this.unsent += `*${names.length + 1}\r\n$4\r\nMGET\r\n`
      for (const name of names) {
        const length = Buffer.byteLength(name)
        if (length !== name.length) this.isPlain = false
        this.unsent += `$${length}\r\n${name}\r\n`
      }
      this.asked.push({ resolve, reject, sentAtMs: performance.now() })
    })
  }

  close(): void {
    clearInterval(this.watching)
    this.client.disconnect()
    this.lose(new Error('Connection is closed.'))
  }

  private send(): void {
    const { unsent, isPlain } = this
    this.unsent = ''
    this.isPlain = true
    // Without a connection all that was asked has been refused.
    if (unsent !== '') this.stream?.write(unsent, isPlain ? 'latin1' : 'utf8')
  }

  private takeOver(): void {
    const { stream } = this.client
    this.stream = stream
    this.reader = new ReplyReader()
    stream.removeAllListeners('data')
    stream.on('data', (chunk: Buffer) => {
      if (this.stream === stream) this.take(chunk)
    })
  }

  private take(chunk: Buffer): void {
    try {
      for (const reply of this.reader.read(chunk)) {
        const one = this.asked[this.answered++]
        if (one === undefined) throw new Error('An answer to nothing.')
        if (reply instanceof Error) one.reject(this.refused(reply))
        else one.resolve(reply)
      }
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)))
    }
    if (this.answered === this.asked.length) this.asked.length = this.answered = 0
    else if (this.answered > mostAnswered) {
      this.asked.splice(0, this.answered)
      this.answered = 0
    }
  }

  private endWhatHangs(): void {
    const oldest = this.asked[this.answered]
    if (oldest !== undefined && performance.now() - oldest.sentAtMs > this.timeoutMs) {
      this.end(new Error('Command timed out'))
    }
  }

  /** The next connection begins with the next answer to come. */
  private end(error: Error): void {
    this.lose(error)
    this.client.disconnect(true)
  }

  private lose(error: Error): void {
    this.stream = null
    this.unsent = ''
    const open = this.asked.splice(0).slice(this.answered)
    this.answered = 0
    for (const { reject } of open) reject(this.refused(error))
  }
}

const mostAnswered = 1_024

/** Reads answers of MGET (RESP2) from pieces as they come: an array of strings, or an error. */
export class ReplyReader {
  private rest: Buffer | null = null
  private values: Found = []
  /** Of the answer that is being read; -1 between two of them. */
  private missing = -1

  /** @returns the answers that have become whole. @throws Error for what is neither */
  read(chunk: Buffer): (Found | Error)[] {
    const bytes = this.rest === null ? chunk : Buffer.concat([this.rest, chunk])
    const whole: (Found | Error)[] = []
    let at = 0
    for (;;) {
      if (this.missing === 0) {
        whole.push(this.values)
        this.values = []
        this.missing = -1
      }
      const end = endOfLine(bytes, at)
      if (end < 0) break
      const mark = bytes[at]
      if (this.missing < 0) {
        if (mark === minus) whole.push(new Error(bytes.toString('utf8', at + 1, end)))
        else if (mark === star) this.missing = lengthAt(bytes, at + 1, end)
        else throw strange(bytes, at, end)
        at = end + 2
        continue
      }
      if (mark !== dollar) throw strange(bytes, at, end)
      const length = lengthAt(bytes, at + 1, end)
      if (length < 0) {
        this.values.push(null)
        at = end + 2
      } else {
        const from = end + 2
        if (from + length + 2 > bytes.length) break
        this.values.push(bytes.subarray(from, from + length))
        at = from + length + 2
      }
      this.missing--
    }
    this.rest = at === bytes.length ? null : bytes.subarray(at)
    return whole
  }
}

const [star, dollar, minus, zero] = [0x2a, 0x24, 0x2d, 0x30]
const [carriageReturn, lineFeed] = [0x0d, 0x0a]

/** Where the line that begins at `at` ends; -1 where its end has not come yet. */
function endOfLine(bytes: Buffer, at: number): number {
  for (let end = at; end < bytes.length - 1; end++) {
    if (bytes[end] === carriageReturn && bytes[end + 1] === lineFeed) return end
  }
  return -1
}

/** Decimal digits, or -1. */
function lengthAt(bytes: Buffer, from: number, to: number): number {
  if (bytes[from] === minus) return -1
  let length = 0
  for (let at = from; at < to; at++) length = length * 10 + ((bytes[at] as number) - zero)
  return length
}

const strange = (bytes: Buffer, at: number, end: number) =>
  new Error(
    `What came is no answer of Redis to MGET: ${JSON.stringify(bytes.toString('latin1', at, Math.min(end, at + 40)))}`,
  )
