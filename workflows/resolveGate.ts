/** A person's decision about a run that a gate holds, as an update that answers at once. */
import { ApplicationFailure, defineUpdate } from '@temporalio/workflow'
import { failureTypes, updateNames } from './names.ts'

/**
 * `retry` computes the run again (the source was repaired), `override` publishes what is staged under somebody's name,
 * `abort` takes everything back.
 */
export interface GateDecision {
  decision: 'retry' | 'override' | 'abort'
  /** Who decides; an override needs it. */
  name?: string
  /** Why; an override needs it. */
  reason?: string
}

export const resolveGateUpdate = defineUpdate<string, [GateDecision]>(updateNames.resolveGate)

export const resolveGateDescription =
  'Decides about a run that a gate holds: {"decision": "retry"}, {"decision": "abort"} or {"decision": "override", "name": "who", "reason": "why"}.'

/** Refuses what cannot be carried out; the caller sees the sentence at once. */
export function checkGateDecision(given: GateDecision, waiting: boolean): void {
  const refuse = (problem: string): never => {
    throw ApplicationFailure.nonRetryable(`${problem} ${resolveGateDescription}`, failureTypes.input)
  }
  if (!waiting) refuse('No gate holds this run now, so there is nothing to decide.')
  if (
    typeof given !== 'object' ||
    given === null ||
    !['retry', 'override', 'abort'].includes(given.decision)
  ) {
    refuse(`${JSON.stringify(given)} is not a decision.`)
  }
  const said = (text: unknown) => typeof text === 'string' && text.trim() !== ''
  if (given.decision === 'override' && !(said(given.name) && said(given.reason))) {
    refuse('An override says who lets the rows through and why: name and reason must not be empty.')
  }
}
