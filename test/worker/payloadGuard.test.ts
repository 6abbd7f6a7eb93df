/** Payloads over 256 KiB are refused in words, on a real server, wherever one can be made. */
import { fileURLToPath } from 'node:url'
import { Context } from '@temporalio/activity'
import { Client, WorkflowFailedError } from '@temporalio/client'
import { ApplicationFailure } from '@temporalio/common'
import type { TestWorkflowEnvironment } from '@temporalio/testing'
import { Worker } from '@temporalio/worker'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toFailure } from '../../activities/failures.ts'
import { InputError } from '../../model/index.ts'
import { guardedWorker } from '../../worker/payloadGuard.ts'
import { payloadLimitInBytes, payloadRefusal, payloadSizeInBytes } from '../../workflows/payloadLimit.ts'
import { startTemporal } from '../support/temporal.ts'
import { answerQuery, resultUpdate, type Large, type LargeActivities } from '../workflows/large/index.ts'

const taskQueue = 'large'
const tooMuch = payloadLimitInBytes + 1
const little = 1_000
let temporal: TestWorkflowEnvironment
let worker: Worker
let running: Promise<void>
let measured = 0
let started = 0

const activities: LargeActivities = {
  measured: ({ text }) => Promise.resolve((measured += text.length)),
  made: ({ sizeInBytes }) => Promise.resolve('x'.repeat(sizeInBytes)),
  failed: ({ sizeInBytes }) => {
    if (sizeInBytes === little) return Promise.resolve()
    const text = 'x'.repeat(3 * 2 ** 20)
    throw toFailure(new InputError(text, { sql: text }, { cause: new Error(text) })) as Error
  },
  async noted({ sizeInBytes }) {
    const { heartbeat, cancelled } = Context.current()
    heartbeat('x'.repeat(sizeInBytes))
    if (sizeInBytes > payloadLimitInBytes) await cancelled
  },
}

beforeAll(async () => {
  temporal = await startTemporal()
  worker = await Worker.create({
    connection: temporal.nativeConnection,
    taskQueue,
    workflowsPath: fileURLToPath(new URL('../workflows/large/index.ts', import.meta.url)),
    activities,
    ...guardedWorker(),
  })
  running = worker.run()
})
afterAll(async () => {
  worker?.shutdown()
  await running
  await temporal?.teardown()
})

const start = (input: Large, client = temporal.client) =>
  client.workflow.start('large', {
    taskQueue,
    workflowId: `large-${(started += 1)}`,
    workflowExecutionTimeout: '20 seconds',
    args: [input],
  })
/** The result, or the sentence and type of the failure. */
async function outcomeOf(input: Large, client?: Client): Promise<string> {
  try {
    return (await (await start(input, client)).result()) as string
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error
    const { cause } = error
    return cause instanceof ApplicationFailure ? `${cause.type}: ${cause.message}` : String(cause)
  }
}

test.each<[Large['where'], RegExp]>([
  ['result', /^PayloadTooLarge: The result of workflow large has 257 KiB, more than the 256 KiB/],
  ['activity input', /^refused: The input of activity measured has 257 KiB/],
  ['activity result', /^refused: The result of activity made has 257 KiB/],
  ['heartbeat', /^refused: HEARTBEAT_DETAILS_CONVERSION_FAILED/],
  ['failure', /^refused: x{3500} … \(3141728 characters are left out here\) … x{500}$/],
  ['child', /^refused: The input of workflow large has 257 KiB/],
  ['continue as new', /^PayloadTooLarge: The input of workflow large, continued as new, has 257 KiB/],
])('%s: what is small goes through, what is large is refused and ends at once', async (where, sentence) => {
  measured = 0
  expect(await outcomeOf({ where, sizeInBytes: little })).toMatch(/^(went through|x{1000})$/)
  const began = performance.now()
  expect(await outcomeOf({ where, sizeInBytes: tooMuch })).toMatch(sentence)
  expect(performance.now() - began).toBeLessThan(10_000)
  expect(measured).toBeLessThan(tooMuch)
})

describe('a client', () => {
  const text = 'x'.repeat(tooMuch)

  test('is refused before anything is sent', async () => {
    const refused = start({ where: 'input', sizeInBytes: 0, text })
    await expect(refused).rejects.toThrow(InputError)
    const sentence = new RegExp(`What is meant for workflow large-${started} has 257 KiB, .*send its path`)
    await expect(refused).rejects.toThrow(sentence)
    const handle = temporal.client.workflow.getHandle(`large-${started}`)
    await expect(handle.describe()).rejects.toThrow(/not found/)
  })

  test('of others, such as the UI, starts a run that ends at once with the sentence', async () => {
    const { connection } = temporal
    const others = new Client({ connection })
    expect(await outcomeOf({ where: 'input', sizeInBytes: 0, text }, others)).toMatch(
      /^PayloadTooLarge: The input of workflow large/,
    )
  })

  test('cannot update, query or be answered with more', async () => {
    const handle = await start({ where: 'update', sizeInBytes: 0 })
    const update = (sizeInBytes: number, given?: string) =>
      handle.executeUpdate(resultUpdate, { args: [{ sizeInBytes, text: given }] })
    expect(await update(little)).toHaveLength(little)
    await expect(update(0, text)).rejects.toThrow(InputError)
    const others = new Client({ connection: temporal.connection }).workflow.getHandle(handle.workflowId)
    const rejected = others.executeUpdate(resultUpdate, { args: [{ sizeInBytes: 0, text }] })
    await expect(rejected).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/The input of update result has 257/) as string },
    })
    await expect(update(tooMuch)).rejects.toMatchObject({
      cause: { message: expect.stringMatching(/The result of update result has 257/) as string },
    })
    expect(await handle.query(answerQuery, little)).toHaveLength(little)
    await expect(handle.query(answerQuery, tooMuch)).rejects.toThrow(/The answer of query answer has 257/)
    await handle.terminate()
  })
})

test('the limit is to the byte, and counts what all payloads of a message have together', () => {
  const data = (size: number) => ({ data: new Uint8Array(size), metadata: { encoding: new Uint8Array(10) } })
  expect(payloadSizeInBytes([data(5), data(7), { data: null, metadata: null }])).toBe(32)
  const rest = payloadLimitInBytes - 32
  expect(payloadRefusal('It', [data(rest), data(12)])).toBe(null)
  expect(payloadRefusal('It', [data(rest), data(13)])).toMatch(
    /^It has 257 KiB, more than the 256 KiB that Asof/,
  )
})
