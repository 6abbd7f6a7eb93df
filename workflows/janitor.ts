/**
 * The janitor: takes back what runs left behind that ended without their workflow (terminated, timed out, gone), and
 * sweeps what nothing refers to. Safe beside open runs and beside a second janitor; whatever is under way is left alone.
 */
import { ActivityFailure, ApplicationFailure, setCurrentDetails } from '@temporalio/workflow'
import type { JanitorInput, SweptGroup } from './contract.ts'
import { checkJanitorInput } from './input.ts'
import { janitorAge } from './names.ts'
import { compute, control } from './steps.ts'

export interface JanitorResult {
  /** Runs that were ended, branches dropped, snapshots removed, files deleted. */
  runs: number
  branches: number
  snapshots: number
  files: number
  groups: SweptGroup[]
}

/** Every registered group, or one. A group that cannot be swept does not hold up the others. */
export async function janitor(input: JanitorInput = {}): Promise<JanitorResult> {
  const { group, olderThan = janitorAge } = checkJanitorInput(input)
  const groups: SweptGroup[] = []
  const problems: string[] = []
  for (const id of await groupsOf({ group, olderThan })) {
    try {
      const { runs } = await control.takeBackLostRuns({ group: id })
      const swept = await compute.sweepTable({ group: id, olderThan })
      groups.push({ group: id, runs, ...swept })
    } catch (error) {
      const cause = causeOf(error)
      if (cause === null) throw error
      problems.push(`${id}: ${cause.message}`)
    }
    setCurrentDetails(describe(groups, problems))
  }
  if (problems.length > 0) throw ApplicationFailure.nonRetryable(problems.join('\n'), 'JanitorIncomplete')
  return { ...total(groups), groups }
}

/** The Temporal UI shows a workflow's own failure first: put the activity's sentence there. */
async function groupsOf(asked: { group?: string; olderThan: string }): Promise<string[]> {
  try {
    return await control.listGroups(asked)
  } catch (error) {
    const cause = causeOf(error)
    throw cause === null ? error : ApplicationFailure.nonRetryable(cause.message, cause.type ?? undefined)
  }
}

/** What an activity says of itself; null for a cancellation or a timeout. */
function causeOf(error: unknown): ApplicationFailure | null {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? error.cause : null
}

function total(groups: readonly SweptGroup[]): Omit<JanitorResult, 'groups'> {
  const sum = (count: (swept: SweptGroup) => number) => groups.reduce((all, swept) => all + count(swept), 0)
  return {
    runs: sum(({ runs }) => runs),
    branches: sum(({ branches }) => branches),
    snapshots: sum(({ snapshots }) => snapshots),
    files: sum(({ files }) => files),
  }
}

function describe(groups: readonly SweptGroup[], problems: readonly string[]): string {
  const rows = groups.map(
    ({ group, runs, branches, snapshots, files }) =>
      `| ${group} | ${runs} | ${branches} | ${snapshots} | ${files} |`,
  )
  return [
    '| group | runs ended | branches dropped | snapshots removed | files deleted |',
    '|---|---|---|---|---|',
    ...rows,
    ...problems.map((problem) => `\n${problem}`),
  ].join('\n')
}
