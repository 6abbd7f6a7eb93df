/** `asof train diff`: why one training set is not the other. */
import {
  diffTraining,
  finishedSet,
  trainingAspects,
  type TrainingDifference,
} from '../../../activities/index.ts'
import type { Config } from '../../../worker/config.ts'
import { bold, print, type Format } from '../../output.ts'
import { withStore } from '../withStore.ts'

/** How many differences of one kind a person is shown; `-o json` has all. */
const shownPerAspect = 40

export async function trainDiff(
  config: Config,
  before: string,
  after: string,
  format: Format,
): Promise<void> {
  const differences = await withStore(config, async (store) =>
    diffTraining((await finishedSet(store, before)).manifest, (await finishedSet(store, after)).manifest),
  )
  print(format, differences, diffText(differences))
}

export function diffText(differences: readonly TrainingDifference[]): string {
  if (differences.length === 0) return 'nothing'
  return trainingAspects
    .flatMap((aspect) => {
      const own = differences.filter((difference) => difference.aspect === aspect)
      if (own.length === 0) return []
      const more = own.length - shownPerAspect
      return [
        bold(aspect),
        ...own.slice(0, shownPerAspect).map(differenceText),
        ...(more > 0 ? [`  and ${more} more`] : []),
      ]
    })
    .join('\n')
}

const differenceText = ({ what, before, after }: TrainingDifference): string =>
  `  ${what}: ${before ?? 'none'} → ${after ?? 'none'}`
