/**
 * Proves a training set: builds every part again from its plan, beside the set, and compares what comes of it with what was
 * recorded; and reads the files again, for somebody may have changed them since.
 */
import { createHash, randomUUID } from 'node:crypto'
import { createReadStream, rmSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { IcebergError } from '../../iceberg/index.ts'
import { AsofError, InputError } from '../../model/index.ts'
import { blockDigests, contentHash } from '../../offline/index.ts'
import { canonicalJson, type TrainingSet } from '../../registry/index.ts'
import type { ActivityDeps } from '../deps.ts'
import { readJsonFile } from '../runFiles.ts'
import { makePart } from './buildTrainingPart.ts'
import { differingColumns, firstBlockOf, isSameContent, type ColumnDifference } from './compareParts.ts'
import { contentOf, type PartContent } from './partContent.ts'
import { finishedSet } from './finishedSet.ts'
import { manifestOf, type TrainingManifest } from './finishTraining.ts'
import { planAt } from './sweepTraining.ts'
import { partJsonPathOf, type PartFile, type TrainingPlan } from './trainingPlan.ts'

export interface FileFinding {
  readonly file: string
  readonly finding: 'missing' | 'unreadable' | 'changed'
  /** Where it is known which values have changed. */
  readonly differing: readonly ColumnDifference[]
  readonly detail: string | null
}

export interface TrainingVerification {
  readonly id: string
  readonly rows: number
  /** As it was recorded. */
  readonly contentHash: string
  /** Of the set as it was built again; null where it could not be. */
  readonly rebuiltHash: string | null
  /** Why it could not be built again; null where it could. */
  readonly problem: string | null
  /** Where what was built again differs from what was recorded. */
  readonly differing: readonly ColumnDifference[]
  /** Files of the set that are not what was written. */
  readonly files: readonly FileFinding[]
}

export const isVerifiedTraining = ({
  contentHash: hash,
  rebuiltHash,
  files,
}: TrainingVerification): boolean => hash === rebuiltHash && files.length === 0

/** @throws InputError for a set that is not there or not finished */
export async function verifyTraining(deps: ActivityDeps, id: string): Promise<TrainingVerification> {
  const { set, manifest } = await finishedSet(deps, id)
  const plan = await planAt(deps, set.planPath)
  if (plan === null) {
    throw new InputError(
      `Training set ${id}: its plan ${set.planPath} is gone, and nothing else says what it was built from. Ask for the set again.`,
      { trainingSet: id },
    )
  }
  const recorded = await recordedParts(deps, set, plan)
  const labels = await labelsFinding(deps, plan)
  const files = [
    ...labels,
    ...(await partFindings(deps, { set, plan, manifest, recorded })),
    ...manifestFinding({ set, plan, manifest, recorded }),
  ]
  const recordedHash = set.contentHash ?? manifest.contentHash
  const report = { id, rows: manifest.rows, contentHash: recordedHash }
  const isGone = labels.some(({ finding }) => finding !== 'changed')
  if (isGone) return { ...report, ...notRebuilt(`The labels that were kept for it cannot be read.`), files }
  try {
    const { rebuiltHash, differing, unmatched } = await rebuild(deps, plan, { manifest, recorded })
    return { ...report, problem: null, rebuiltHash, differing, files: [...files, ...unmatched] }
  } catch (error) {
    if (!(error instanceof AsofError || error instanceof IcebergError)) throw error
    return { ...report, ...notRebuilt(error.message), files }
  }
}

const notRebuilt = (problem: string) => ({ problem, rebuiltHash: null, differing: [] })

interface Recorded {
  readonly set: TrainingSet
  readonly plan: TrainingPlan
  readonly manifest: TrainingManifest
  /** What was noted of each part; null where the note is gone. */
  readonly recorded: readonly (PartFile | null)[]
}

function recordedParts(
  { fileIO }: ActivityDeps,
  { planPath }: TrainingSet,
  { parts }: TrainingPlan,
): Promise<(PartFile | null)[]> {
  return Promise.all(
    Array.from({ length: parts }, async (_, part) => {
      const path = partJsonPathOf(planPath, part)
      return (await fileIO.exists(path)) ? readJsonFile<PartFile>(fileIO, path) : null
    }),
  )
}

async function labelsFinding(
  deps: ActivityDeps,
  { labels: { path, columns, rows, contentHash: hash } }: TrainingPlan,
): Promise<FileFinding[]> {
  if (!(await deps.fileIO.exists(path))) return [finding(path, 'missing')]
  try {
    const { digests } = await blockDigests(deps.duckdb, deps.fileIO.localPath(path), columns, rows)
    return contentHash(digests) === hash
      ? []
      : [finding(path, 'changed', { detail: 'the labels that were kept' })]
  } catch (error) {
    return [finding(path, 'unreadable', { detail: messageOf(error) })]
  }
}

async function partFindings(
  deps: ActivityDeps,
  { set, plan, manifest, recorded }: Recorded,
): Promise<FileFinding[]> {
  const found: FileFinding[] = []
  for (const [part, noted] of recorded.entries()) {
    const note = partJsonPathOf(set.planPath, part)
    if (noted === null) found.push(finding(note, 'missing', { detail: 'what was noted of the part' }))
    for (const file of [manifest.files[part], noted?.unmatched]) {
      if (typeof file === 'string' && !(await deps.fileIO.exists(file))) found.push(finding(file, 'missing'))
    }
    const file = manifest.files[part]
    if (noted === null || file === undefined || !(await deps.fileIO.exists(file))) continue
    const first = firstBlockOf(part, plan.partRows)
    found.push(
      ...(noted.arrowHash === null
        ? await contentFinding(deps, file, noted, first)
        : await arrowFinding(deps, file, noted.arrowHash)),
    )
  }
  return found
}

async function contentFinding(
  deps: ActivityDeps,
  file: string,
  expected: PartContent,
  firstBlock: number,
): Promise<FileFinding[]> {
  try {
    const content = await contentOf(deps, file)
    if (isSameContent(expected, content)) return []
    const differing = differingColumns(expected, content, firstBlock)
    const isShorter = content.rows !== expected.rows
    const detail = isShorter ? `it has ${content.rows} rows, not ${expected.rows}` : null
    return [finding(file, 'changed', { differing, detail })]
  } catch (error) {
    return [finding(file, 'unreadable', { detail: messageOf(error) })]
  }
}

/** What is in an Arrow file is not read again: its bytes are what was written, or not. */
async function arrowFinding(
  { fileIO }: ActivityDeps,
  file: string,
  expected: string,
): Promise<FileFinding[]> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(fileIO.localPath(file)), hash)
  return hash.digest('hex') === expected ? [] : [finding(file, 'changed')]
}

/** The manifest says what its parts say, and the registry the same. */
function manifestFinding({ set, plan, manifest, recorded }: Recorded): FileFinding[] {
  if (set.manifestPath === null) return []
  const parts = recorded.filter((part) => part !== null)
  if (parts.length < recorded.length) return []
  const written = manifestOf(plan, parts, manifest.builtAt)
  const isSame = canonicalJson(written) === canonicalJson(manifest) && written.contentHash === set.contentHash
  return isSame
    ? []
    : [finding(set.manifestPath, 'changed', { detail: 'it is not what the parts make of it' })]
}

/** Part by part, so that the disk holds one of them twice. */
async function rebuild(
  deps: ActivityDeps,
  plan: TrainingPlan,
  { manifest, recorded }: Pick<Recorded, 'manifest' | 'recorded'>,
): Promise<{ rebuiltHash: string; differing: ColumnDifference[]; unmatched: FileFinding[] }> {
  // Where a crash leaves it, the janitor takes it for a set that nobody knows.
  const place = `${deps.trainingFolder}/verify-${randomUUID()}`
  const [made, unmatched]: [PartFile[], FileFinding[]] = [[], []]
  const differing = new Map<string, number[]>()
  try {
    for (const [part, noted] of recorded.entries()) {
      const one = await makePart(deps, plan, part, { place })
      made.push(one)
      const first = firstBlockOf(part, plan.partRows)
      for (const { column, blocks } of noted === null ? [] : differingColumns(noted, one, first)) {
        differing.set(column, [...(differing.get(column) ?? []), ...blocks])
      }
      const [theirs, ours] = [noted?.unmatched ?? null, one.unmatched]
      if (theirs !== null && ours !== null && (await deps.fileIO.exists(theirs))) {
        unmatched.push(...(await contentFinding(deps, theirs, await contentOf(deps, ours), 0)))
      }
      for (const file of [one.file, ours]) if (file !== null) await deps.fileIO.delete(file)
    }
  } finally {
    rmSync(deps.fileIO.localPath(place), { recursive: true, force: true })
  }
  return {
    rebuiltHash: manifestOf(plan, made, manifest.builtAt).contentHash,
    differing: [...differing].map(([column, blocks]) => ({ column, blocks })),
    unmatched,
  }
}

function finding(
  file: string,
  what: FileFinding['finding'],
  { differing = [], detail = null }: Partial<Pick<FileFinding, 'differing' | 'detail'>> = {},
): FileFinding {
  return { file, finding: what, differing, detail }
}

const messageOf = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? ''
