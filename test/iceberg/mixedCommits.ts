/**
 * Random appends, replacements and publishes, each of which says in its snapshot's summary what it means, so that a
 * model can do the same in the order of the snapshots.
 */
import type { Catalog } from '../../iceberg/catalog/catalog.ts'
import { CommitConflict } from '../../iceberg/errors.ts'
import type { FileIO } from '../../iceberg/fileio/fileio.ts'
import type { Snapshot } from '../../iceberg/snapshot.ts'
import { Table } from '../../iceberg/table.ts'
import { day, dayFile } from './testCatalog.ts'

/** Adds a file of a day, after taking away the files of the days from `first` to `last` where it replaces them. */
export interface Meaning {
  readonly file: string
  readonly day: number
  readonly replaces: { readonly first: number; readonly last: number } | null
}

export const days = 6
const identifier = { namespace: 'lake', name: 't' }

export async function mixedCommits(
  catalog: Catalog,
  fileIO: FileIO,
  name: string,
  seed: number,
  count: number,
): Promise<{ done: string[]; conflicts: number }> {
  const counted = countingConflicts(catalog)
  const state = await catalog.currentState(identifier, null)
  const table = new Table({ catalog: counted.catalog, fileIO, identifier, state, now: Date.now })
  const random = numbers(seed)
  const done: string[] = []
  for (let at = 0; at < count; at++) {
    const meaning = randomMeaning(`${name}-${at}`, random)
    if (random(2) === 0) await commit(table, 'main', meaning)
    else await stageAndPublish(table, meaning)
    done.push(meaning.file)
  }
  return { done, conflicts: counted.conflicts() }
}

function randomMeaning(file: string, random: (below: number) => number): Meaning {
  const first = random(days)
  const last = Math.min(days - 1, first + random(3))
  const inside = first + random(last - first + 1)
  return { file, day: inside, replaces: random(2) === 0 ? null : { first, last } }
}

function commit(table: Table, ref: string, meaning: Meaning): Promise<Snapshot> {
  const { file, day: of, replaces } = meaning
  const files = [dayFile(file, of)]
  const summary = { meaning: JSON.stringify(meaning) }
  if (replaces === null) return table.append({ ref, files, summary })
  return table.replaceRanges({
    ref,
    files,
    summary,
    column: 'event_timestamp',
    ranges: [{ after: day(replaces.first, -1n), upTo: day(replaces.last + 1, -1n) }],
    rewriteOutside: () => Promise.reject(new Error('every file lies in one day')),
  })
}

/** As a run does: where `main` has moved on, it is staged again on the new one. */
async function stageAndPublish(table: Table, meaning: Meaning): Promise<void> {
  for (;;) {
    const expectMain = (await table.refresh()).ref('main')
    await table.dropBranch(meaning.file)
    try {
      await table.createBranch(meaning.file, { from: expectMain })
      const { snapshotId } = await commit(table, meaning.file, meaning)
      await table.publish({ branch: meaning.file, expectMain, expectBranch: snapshotId, dropBranch: true })
      return
    } catch (error) {
      if (!(error instanceof CommitConflict)) throw error
    }
  }
}

/** Conflicts that the catalog decided, and those that a state which was read anew decided already. */
function countingConflicts(catalog: Catalog): { catalog: Catalog; conflicts: () => number } {
  let conflicts = 0
  const commit: Catalog['commit'] = async (...given) => {
    try {
      return await catalog.commit(...given)
    } catch (error) {
      if (error instanceof CommitConflict) conflicts += 1
      throw error
    }
  }
  const counting = new Proxy(catalog, {
    get: (target, key) => {
      const member: unknown = key === 'commit' ? commit : Reflect.get(target, key)
      return typeof member === 'function' ? (member.bind(target) as unknown) : member
    },
  })
  return { catalog: counting, conflicts: () => conflicts }
}

/** Numbers below a bound, the same for the same seed (Marsaglia's xorshift of 32 bits). */
function numbers(seed: number): (below: number) => number {
  let state = ((seed + 1) * 2_654_435_761) >>> 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state % below
  }
}
