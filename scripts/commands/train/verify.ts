/** `asof train verify`: builds a training set again and says whether it is, value for value, what was built. */
import { isVerifiedTraining, verifyTraining, type FileFinding } from '../../../activities/index.ts'
import type { TrainingVerification } from '../../../activities/index.ts'
import type { Config } from '../../../worker/config.ts'
import { bold, CheckFailed, print, say, type Format } from '../../output.ts'
import { withStore } from '../withStore.ts'

export async function trainVerify(config: Config, id: string, format: Format): Promise<void> {
  const report = await withStore(config, (store) => verifyTraining(store, id))
  print(format, report, verdictText(report))
  for (const finding of report.files) say(findingText(finding))
  if (isVerifiedTraining(report)) return
  if (report.rebuiltHash === report.contentHash) {
    say(`It can be built as it was: ${bold(`asof train drop ${id}`)}, then ask for it again.`)
  }
  throw new CheckFailed()
}

function verdictText({
  id,
  rows,
  contentHash,
  rebuiltHash,
  problem,
  differing,
  files,
}: TrainingVerification): string {
  const onDisk =
    files.length === 0 ? 'its files are as they were written' : `${files.length} of its files are not`
  if (rebuiltHash === null) return `${id}: it cannot be built again: ${problem ?? ''}\n  ${onDisk}`
  if (rebuiltHash === contentHash) {
    return `${id}: ${rows} rows, built again with the same content ${contentHash}; ${onDisk}`
  }
  const where =
    differing.length === 0
      ? ['  in no column that is known; the order or the notes differ']
      : differing.map(columnText)
  return [
    `${id}: built again it is another set: content ${rebuiltHash}, not ${contentHash}; ${onDisk}`,
    ...where,
  ].join('\n')
}

const columnText = ({ column, blocks }: TrainingVerification['differing'][number]): string =>
  `  ${column} differs in ${blocks.length === 1 ? 'block' : 'blocks'} ${blocks.join(', ')} (of 65,536 rows each)`

const states = { missing: 'is missing', unreadable: 'cannot be read', changed: 'has been changed' }

function findingText({ file, finding, differing, detail }: FileFinding): string {
  const said = `${file} ${states[finding]}${detail === null ? '' : `: ${detail}`}`
  return [said, ...differing.map(columnText)].join('\n')
}
