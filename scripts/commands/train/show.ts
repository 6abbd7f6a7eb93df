/** `asof train show`: what a training set is made of, how well its labels matched, and whether it is outdated. */
import { finishedSet, knownSet, outdatedTraining, type TrainingManifest } from '../../../activities/index.ts'
import type { Config } from '../../../worker/config.ts'
import type { Store } from '../../../worker/openStore.ts'
import { bold, print, say, table, yellow, type Format } from '../../output.ts'
import { withStore } from '../withStore.ts'
import { moment, percent, shortHash } from './figures.ts'

export async function trainShow(config: Config, id: string, format: Format): Promise<void> {
  const shown = await withStore(config, (store) => showSet(store, id))
  print(format, shown.data, shown.text)
  for (const sentence of shown.outdated) say(`${yellow('outdated:')} ${sentence}`)
}

async function showSet(store: Store, id: string) {
  const set = await knownSet(store, id)
  if (set.status !== 'finished') {
    const { status, workflowId, reason, startedAt } = set
    const text = `${bold(id)}: ${status} by ${workflowId}, started ${moment(startedAt)}${reason === null ? '' : `: ${reason}`}`
    return { data: { set, manifest: null, outdated: [] }, text, outdated: [] }
  }
  const { manifest } = await finishedSet(store, id)
  const outdated = await outdatedTraining(store, manifest)
  return { data: { set, manifest, outdated }, text: manifestText(manifest, outdated.length > 0), outdated }
}

function manifestText(manifest: TrainingManifest, isOutdated: boolean): string {
  const { id, rows, contentHash, labels, files, plannedAt, knowledgeCutoff, hindsight, groups, columns } =
    manifest
  return [
    `${bold(id)}  ${rows} rows${isOutdated ? ', outdated' : ''}`,
    `content    ${contentHash}`,
    `labels     ${shortHash(labels.contentHash)}, by ${labels.timeColumn}; planned ${plannedAt}`,
    `known by   ${knowledgeCutoff ? 'what had been served at each label’s time' : 'no cutoff: labels see what was served later'}`,
    `hindsight  ${hindsight ? 'possible: a source names no arrival column' : 'none: rows saw only what had arrived'}`,
    ...files.map((file) => `file       ${file}`),
    '',
    table(
      ['group', 'snapshot', 'matched', 'never published', 'mixed'],
      groups.map(({ name, pin, matchRate, missingIntervals, mixed }) => [
        ...[name, pin.snapshotId ?? '-', percent(matchRate), String(missingIntervals)],
        Object.keys(mixed).join(', '),
      ]),
    ),
    '',
    table(
      ['column', 'type', 'null', 'min', 'max'],
      columns.map(({ name, type, nullRate, min, max }) => [
        ...[name, type, percent(nullRate), min ?? '-', max ?? '-'],
      ]),
    ),
  ].join('\n')
}
