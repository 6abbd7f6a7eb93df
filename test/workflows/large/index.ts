/** Workflows that make payloads of any size, wherever a workflow can make one. */
import {
  ActivityFailure,
  continueAsNew,
  defineQuery,
  defineUpdate,
  executeChild,
  proxyActivities,
  setHandler,
  sleep,
} from '@temporalio/workflow'

export interface Large {
  where:
    | 'input'
    | 'result'
    | 'activity input'
    | 'activity result'
    | 'heartbeat'
    | 'failure'
    | 'child'
    | 'continue as new'
    | 'update'
  sizeInBytes: number
  text?: string
}

export interface LargeActivities {
  measured(input: { text: string }): Promise<number>
  made(input: { sizeInBytes: number }): Promise<string>
  failed(input: { sizeInBytes: number }): Promise<void>
  noted(input: { sizeInBytes: number }): Promise<void>
}

const steps = proxyActivities<LargeActivities>({
  startToCloseTimeout: '30 seconds',
  retry: { maximumAttempts: 2, initialInterval: '10 milliseconds' },
})

export const answerQuery = defineQuery<string, [number]>('answer')
export const resultUpdate = defineUpdate<string, [{ sizeInBytes: number; text?: string }]>('result')
const textOf = (sizeInBytes: number) => 'x'.repeat(sizeInBytes)

/** Ends with the sentence of what was refused, so that a test sees that workflow code can catch it. */
export async function large({ where, sizeInBytes }: Large): Promise<string> {
  setHandler(answerQuery, textOf)
  setHandler(resultUpdate, (given) => Promise.resolve(textOf(given.sizeInBytes)))
  if (where === 'result') return textOf(sizeInBytes)
  if (where === 'update') await sleep('1 minute')
  try {
    if (where === 'activity input') await steps.measured({ text: textOf(sizeInBytes) })
    if (where === 'activity result') await steps.made({ sizeInBytes })
    if (where === 'failure') await steps.failed({ sizeInBytes })
    if (where === 'heartbeat') await steps.noted({ sizeInBytes })
    if (where === 'child')
      await executeChild(large, { args: [{ where: 'input', sizeInBytes, text: textOf(sizeInBytes) }] })
  } catch (error) {
    const cause = error instanceof ActivityFailure ? error.cause : error
    return `refused: ${cause instanceof Error ? cause.message : 'nothing'}`
  }
  if (where === 'continue as new')
    await continueAsNew<typeof large>({ where: 'input', sizeInBytes, text: textOf(sizeInBytes) })
  return 'went through'
}
