/**
 * Refuses payloads that are too large for Temporal, on the side of clients and of activities. What workflows themselves
 * make is refused in `workflows/payloadGuard.ts`.
 */
import { fileURLToPath } from 'node:url'
import {
  ApplicationFailure,
  defaultPayloadConverter,
  type DataConverter,
  type PayloadCodec,
  type SerializationContext,
} from '@temporalio/common'
import type { ActivityInterceptorsFactory, WorkerOptions } from '@temporalio/worker'
import { InputError } from '../model/index.ts'
import { failureTypes } from '../workflows/names.ts'
import { payloadRefusal } from '../workflows/payloadLimit.ts'

/** The interceptors that a bundle of workflows is made with. */
export const workflowGuardPath = fileURLToPath(
  new URL(`../workflows/payloadGuard${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url),
)

/** For every client. @throws InputError where an input, a memo or the like is too large */
export const clientDataConverter: DataConverter = {
  payloadCodecs: [guardCodec((refusal) => new InputError(refusal))],
}

/** For every worker; one that is given a bundle has the workflows' interceptors in it. */
export function guardedWorker({ bundled = false } = {}): Pick<
  WorkerOptions,
  'dataConverter' | 'interceptors'
> {
  return {
    dataConverter: { payloadCodecs: [guardCodec(tooLarge, ({ type }) => type === 'activity')] },
    interceptors: { activity: [guardResult], workflowModules: bundled ? [] : [workflowGuardPath] },
  }
}

const tooLarge = (refusal: string) => ApplicationFailure.nonRetryable(refusal, failureTypes.payload)

/** Says which activity it was, which the codec is not told. */
const guardResult: ActivityInterceptorsFactory = ({ info }) => ({
  inbound: {
    async execute(input, next) {
      const result = await next(input)
      const payload = defaultPayloadConverter.toPayload(result)
      const refusal = payloadRefusal(`The result of activity ${info.activityType}`, [payload])
      if (refusal !== null) throw tooLarge(refusal)
      return result
    },
  },
})

/**
 * Passes payloads on as they are, or throws.
 *
 * @param guards which payloads are looked at: an error over those of a workflow in a worker would repeat its task for ever
 */
function guardCodec(
  errorOf: (refusal: string) => Error,
  guards: (context: SerializationContext) => boolean = () => true,
): PayloadCodec {
  return {
    encode(payloads, context) {
      const isGuarded = context === undefined || guards(context)
      const refusal = isGuarded ? payloadRefusal(nameOf(context), payloads) : null
      return refusal === null ? Promise.resolve(payloads) : Promise.reject(errorOf(refusal))
    },
    decode: (payloads) => Promise.resolve(payloads),
  }
}

function nameOf(context: SerializationContext | undefined): string {
  if (context === undefined) return 'A payload'
  const workflow = `workflow ${context.workflowId ?? '(none)'}`
  return context.type === 'workflow'
    ? `What is meant for ${workflow}`
    : `What activity ${context.activityId ?? ''} of ${workflow} says of itself`
}
