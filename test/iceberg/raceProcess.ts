/**
 * One of several processes that commit to the table `lake.t` at once. Its message to begin is `go`.
 *
 *     node --import tsx raceProcess.ts <home> <name> append <ref> <count>
 *     node --import tsx raceProcess.ts <home> <name> publish
 *     node --import tsx raceProcess.ts <home> <name> mixed <seed> <count>
 */
import { CommitConflict } from '../../iceberg/errors.ts'
import { mixedCommits } from './mixedCommits.ts'
import { dayFile, openCatalogAt } from './testCatalog.ts'

const [home = '', name = '', task, ref = 'main', count = '0'] = process.argv.slice(2)
const { db, catalog, fileIO } = await openCatalogAt(home)
const table = await catalog.loadTable({ namespace: 'lake', name: 't' })

async function append(): Promise<string> {
  for (let at = 0; at < Number(count); at++) {
    await table.append({ ref, files: [dayFile(`${name}-${at}`, at)] })
  }
  return 'done'
}

/** Each process has staged on the same main; only one of them may publish. */
async function stageAndPublish(): Promise<string> {
  const expectMain = table.ref('main')
  await table.createBranch(name, { from: expectMain })
  const { snapshotId } = await table.append({ ref: name, files: [dayFile(name, 1)] })
  try {
    await table.publish({ branch: name, expectMain, expectBranch: snapshotId, dropBranch: true })
    return 'published'
  } catch (error) {
    if (error instanceof CommitConflict) return `refused: ${String(error.ref)}`
    throw error
  }
}

/** What it did and how often another one was first, as JSON. */
async function mixed(): Promise<string> {
  const { done, conflicts } = await mixedCommits(catalog, fileIO, name, Number(ref), Number(count))
  return JSON.stringify({ done, conflicts })
}

const tasks: Readonly<Record<string, () => Promise<string>>> = { append, publish: stageAndPublish, mixed }

process.once('message', () => {
  void tasks[task ?? '']?.().then(async (outcome) => {
    await db.destroy()
    process.send?.(outcome, () => process.disconnect())
  })
})
process.send?.('ready')
