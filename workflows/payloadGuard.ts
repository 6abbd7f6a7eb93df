/**
 * Interceptors that refuse large payloads where a workflow makes them or is given them.
 *
 * It has to happen here: whatever throws after the workflow's own code repeats the workflow task for ever. An
 * ApplicationFailure thrown here is an error of the workflow's code, which it can compensate and which ends it.
 */
import {
  ApplicationFailure,
  defaultPayloadConverter,
  workflowInfo,
  type WorkflowInboundCallsInterceptor,
  type WorkflowInterceptors,
  type WorkflowOutboundCallsInterceptor,
} from '@temporalio/workflow'
import { failureTypes } from './names.ts'
import { payloadRefusal } from './payloadLimit.ts'

function refuseLarge(what: string, values: readonly unknown[]): void {
  const payloads = values.map((value) => defaultPayloadConverter.toPayload(value))
  const refusal = payloadRefusal(what, payloads)
  if (refusal !== null) throw ApplicationFailure.nonRetryable(refusal, failureTypes.payload)
}

const inbound: WorkflowInboundCallsInterceptor = {
  // What others than our clients start has not been looked at yet.
  async execute(input, next) {
    const workflow = `workflow ${workflowInfo().workflowType}`
    refuseLarge(`The input of ${workflow}`, input.args)
    const result = await next(input)
    refuseLarge(`The result of ${workflow}`, [result])
    return result
  },
  async handleUpdate(input, next) {
    refuseLarge(`The input of update ${input.name}`, input.args)
    const result = await next(input)
    refuseLarge(`The result of update ${input.name}`, [result])
    return result
  },
  async handleQuery(input, next) {
    const result = await next(input)
    refuseLarge(`The answer of query ${input.queryName}`, [result])
    return result
  },
}

const outbound: WorkflowOutboundCallsInterceptor = {
  async scheduleActivity(input, next) {
    refuseLarge(`The input of activity ${input.activityType}`, input.args)
    return next(input)
  },
  async scheduleLocalActivity(input, next) {
    refuseLarge(`The input of activity ${input.activityType}`, input.args)
    return next(input)
  },
  async startChildWorkflowExecution(input, next) {
    refuseLarge(`The input of workflow ${input.workflowType}`, input.options.args)
    return next(input)
  },
  async signalWorkflow(input, next) {
    refuseLarge(`The input of signal ${input.signalName}`, input.args)
    return next(input)
  },
  async continueAsNew(input, next) {
    refuseLarge(`The input of workflow ${workflowInfo().workflowType}, continued as new,`, input.args)
    return next(input)
  },
}

export const interceptors = (): WorkflowInterceptors => ({ inbound: [inbound], outbound: [outbound] })
