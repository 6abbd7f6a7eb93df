/** Names that clients, the worker and the server must agree on. Imports nothing, so anybody may import it. */

/** The task queue of a store that runs in one process. */
export const taskQueue = 'asof'

/** Custom search attributes, by which the Temporal UI finds runs. `asof dev` registers them. */
export const searchAttributes = {
  /** Id of the feature group. */
  group: { name: 'AsofGroup', type: 'KEYWORD' },
  /** `computing`, `judging`, `waiting`, `publishing`, `materializing`, `published`, … */
  status: { name: 'AsofStatus', type: 'KEYWORD' },
} as const

export const updateNames = { resolveGate: 'resolveGate', plan: 'plan' } as const
export const queryNames = { progress: 'progress' } as const

/** Failure types of activities that a workflow acts on. All of them are decided by a person or by starting again. */
export const failureTypes = {
  /** The input, the definition or the source is wrong. */
  input: 'InputError',
  /** `main` or the branch has moved since the run was staged. */
  conflict: 'ConflictError',
  /** Another run has published intervals of this one since it was planned. */
  overtaken: 'Overtaken',
  /** Stored state contradicts itself. */
  integrity: 'IntegrityError',
  /** Something is too large for Temporal (`payloadLimit.ts`). */
  payload: 'PayloadTooLarge',
} as const

/**
 * The id under which a backfill runs: a second request for the same thing joins the first, a rewrite does not join a
 * plain backfill, and changed definitions do not join an old run.
 */
export function backfillWorkflowId(
  input: { group: string; from: string; to: string; rewrite?: boolean },
  fingerprint: string,
): string {
  const mode = input.rewrite === true ? 'rewrite' : 'missing'
  return `backfill/${input.group}/${mode}/${input.from}..${input.to}/${fingerprint.slice(0, 12)}`
}

/** One refresh of a group at a time: a second request joins the one that runs. */
export function refreshWorkflowId(group: string): string {
  return `refresh/${group}`
}

/** Where a refresh that a gate blocked waits for its decision. */
export function parkedWorkflowId(group: string, runId: string): string {
  return `parked/${group}/${runId}`
}

export function materializeWorkflowId(group: string): string {
  return `materialize/${group}`
}

/** One janitor at a time for a group, and one for all of them; they may run beside each other. */
export function janitorWorkflowId(group?: string): string {
  return group === undefined ? 'janitor' : `janitor/${group}`
}

/** The id under which a training set is built: a second request of the same words joins the first. */
export function trainingWorkflowId(name: string, requestHash: string): string {
  return `training/${name}/${requestHash.slice(0, 16)}`
}

/** How old what nothing refers to must be before the janitor deletes it: no commit takes that long. */
export const janitorAge = '1d'
