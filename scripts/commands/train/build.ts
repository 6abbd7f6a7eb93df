/** `asof train build`: says at once what a training set will be, shows how far it is, and where it lies. */
import { startTrainingSet } from '../../../client/index.ts'
import type { Config } from '../../../worker/config.ts'
import type { TrainingProgress } from '../../../workflows/buildTrainingSet.ts'
import type { FinishedTraining, PlannedTraining } from '../../../workflows/contract.ts'
import { bar, follow } from '../../liveLine.ts'
import { bold, dim, print, say, type Format } from '../../output.ts'
import { requireStack } from '../../stack.ts'
import { connectClient, workflowLink } from '../../temporal.ts'
import { percent } from './figures.ts'
import { requestOf, type RequestOptions } from './request.ts'

export interface BuildOptions extends RequestOptions {
  detach: boolean
  output: Format
}

export async function trainBuild(config: Config, { detach, output, ...given }: BuildOptions): Promise<void> {
  const request = await requestOf(given, config.baseFolder)
  const stack = requireStack(config.home)
  const client = await connectClient(config, stack)
  try {
    const { jobId, plan, result } = await startTrainingSet(client, config, request)
    const link = workflowLink(config, stack, jobId)
    say(planText(plan))
    if (link !== null) say(dim(link))
    if (detach) {
      print(output, { jobId, plan, link }, plan.id)
      return
    }
    const ended = result()
    await follow<TrainingProgress>({ handle: client.workflow.getHandle(jobId), ended, lineOf: progressLine })
    const finished = await ended
    print(output, finished, describeFinished(finished))
    say(`Next: ${bold(`asof train show ${finished.id}`)}`)
  } finally {
    await client.connection.close()
  }
}

/** What is pinned, and what a model would better know of it. */
export function planText({ id, state, workflowId, labels, parts, columns, groups }: PlannedTraining): string {
  const built = {
    mine: `${labels} ${labels === 1 ? 'label' : 'labels'} in ${parts === 1 ? 'one part' : `${parts} parts`}, ${columns} columns of features`,
    building: `workflow ${workflowId} builds it already`,
    finished: 'it is there already',
  }
  return [`${bold(id)}: ${built[state]}`, ...groups.map(groupLine)].join('\n')
}

function groupLine({
  name,
  group,
  snapshotId,
  missingIntervals,
  mixedFeatures,
}: PlannedTraining['groups'][number]) {
  const called = name === group ? group : `${group} as ${name}`
  const pinned = snapshotId === null ? 'nothing is published' : `snapshot ${snapshotId}`
  const missing =
    missingIntervals === 0 ? [] : [`${missingIntervals} intervals in the labels' range were never published`]
  const mixed = mixedFeatures.length === 0 ? [] : [`mixed definitions of ${mixedFeatures.join(', ')}`]
  return `  ${[`${called}: ${pinned}`, ...missing, ...mixed].join('; ')}`
}

const progressLine = ({ step, id, parts, partsDone, rows }: TrainingProgress): string =>
  `  ${id ?? 'training set'} ${bar(partsDone, parts)} ${step}: ${partsDone} of ${parts} parts, ${rows} rows`

export function describeFinished({ id, rows, contentHash, manifestPath, groups }: FinishedTraining): string {
  return [
    `${id}: ${rows} ${rows === 1 ? 'row' : 'rows'}, content ${contentHash}`,
    ...groups.map(({ name, matchRate }) => `  ${name}: ${percent(matchRate)} of the labels found a row`),
    `  ${manifestPath}`,
  ].join('\n')
}
