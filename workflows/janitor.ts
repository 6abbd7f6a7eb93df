/**
 * The janitor: takes back what runs left behind that ended without their workflow (terminated, timed out, gone), and
 * sweeps what nothing refers to, of tables and of training sets. Safe beside open runs and beside a second janitor;
 * whatever is under way is left alone.
 */
import { ActivityFailure, ApplicationFailure, patched, setCurrentDetails } from '@temporalio/workflow'
import type { JanitorInput, SweptGroup, SweptTraining } from './contract.ts'
import { checkJanitorInput } from './input.ts'
import { janitorAge } from './names.ts'
import { compute, control } from './steps.ts'

export interface JanitorResult {
  /** Runs that were ended, branches dropped, tags expired, snapshots removed, files deleted. */
  runs: number
  branches: number
  tags: number
  snapshots: number
  files: number
  groups: SweptGroup[]
  /** Null where one group was asked for. */
  training: SweptTraining | null
}

/** Janitors from before there were training sets have none in their histories. */
const trainingPatch = 'sweep-training'

/** Every registered group and the training sets, or one group. What cannot be swept does not hold up the others. */
export async function janitor(input: JanitorInput = {}): Promise<JanitorResult> {
  const { group, olderThan = janitorAge } = checkJanitorInput(input)
  const groups: SweptGroup[] = []
  const problems: string[] = []
  const ids = await groupsOf({ group, olderThan })
  // Before the tables, so that a snapshot which only a forgotten set has kept goes at once.
  const training =
    group === undefined && patched(trainingPatch)
      ? await noting(problems, 'training sets', () => compute.sweepTraining({ olderThan }))
      : null
  for (const id of ids) {
    const swept = await noting(problems, id, () => sweepGroup(id, olderThan))
    if (swept !== null) groups.push(swept)
    setCurrentDetails(describe(groups, training, problems))
  }
  if (problems.length > 0) throw ApplicationFailure.nonRetryable(problems.join('\n'), 'JanitorIncomplete')
  return { ...total(groups), groups, training }
}

async function sweepGroup(group: string, olderThan: string): Promise<SweptGroup> {
  const { runs } = await control.takeBackLostRuns({ group })
  const { tags = 0, ...swept } = await compute.sweepTable({ group, olderThan })
  return { group, runs, ...swept, tags }
}

/** Null where an activity says what is wrong; cancellations and timeouts end the janitor. */
async function noting<Swept>(
  problems: string[],
  what: string,
  sweep: () => Promise<Swept>,
): Promise<Swept | null> {
  try {
    return await sweep()
  } catch (error) {
    const cause = causeOf(error)
    if (cause === null) throw error
    problems.push(`${what}: ${cause.message}`)
    return null
  }
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

function total(groups: readonly SweptGroup[]): Omit<JanitorResult, 'groups' | 'training'> {
  const sum = (count: (swept: SweptGroup) => number) => groups.reduce((all, swept) => all + count(swept), 0)
  return {
    runs: sum(({ runs }) => runs),
    branches: sum(({ branches }) => branches),
    tags: sum(({ tags }) => tags),
    snapshots: sum(({ snapshots }) => snapshots),
    files: sum(({ files }) => files),
  }
}

function describe(
  groups: readonly SweptGroup[],
  training: SweptTraining | null,
  problems: readonly string[],
): string {
  const rows = groups.map(
    ({ group, runs, branches, tags, snapshots, files }) =>
      `| ${group} | ${runs} | ${branches} | ${tags} | ${snapshots} | ${files} |`,
  )
  return [
    '| group | runs ended | branches dropped | tags expired | snapshots removed | files deleted |',
    '|---|---|---|---|---|---|',
    ...rows,
    ...(training === null ? [] : ['', describeTraining(training)]),
    ...problems.map((problem) => `\n${problem}`),
  ].join('\n')
}

const describeTraining = ({ failed, sets, files }: SweptTraining): string =>
  `Training sets: ${failed} ended as failed, ${sets} unfinished ones swept, ${files} files deleted.`
