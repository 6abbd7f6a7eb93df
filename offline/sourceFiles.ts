/** Finds the files of a source: where its path leads, and what lies there. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InputError } from '../model/errors.ts'
import type { FileFormat, FileSource, Source } from '../model/source.ts'
import { fileSourcesOf } from '../model/sqlSource.ts'

export interface SourceFile {
  /** Name of the source. */
  readonly source: string
  readonly path: string
  /** In bytes. */
  readonly size: number
  readonly modifiedMs: number
}

const compressible = (...endings: string[]) => endings.flatMap((ending) => [ending, `${ending}.gz`])

/** How the names of a format's files end. */
export const fileEndings: Readonly<Record<FileFormat, readonly string[]>> = {
  parquet: ['.parquet'],
  csv: compressible('.csv'),
  json: compressible('.json', '.jsonl', '.ndjson'),
}

/**
 * The absolute path (or pattern) of a source. A relative one starts at `baseDirectory`.
 *
 * @throws InputError where the path comes from a variable that is not set and has no default.
 */
export function resolvePath(
  source: FileSource,
  environment: Readonly<Record<string, string | undefined>>,
  baseDirectory: string,
): string {
  const path = typeof source.path === 'string' ? source.path : pathFrom(source, source.path, environment)
  if (path.startsWith('file://')) return fileURLToPath(path)
  if (isAddress(path)) {
    throw new InputError(
      `source ${source.name}: ${path} is not a local path. Copy the files to a folder and name that.`,
      { source: source.name, path },
    )
  }
  return resolve(baseDirectory, path)
}

/** Whether it begins as `s3://` does. */
export const isAddress = (path: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(path)

function pathFrom(
  source: FileSource,
  variable: { env: string; default?: string },
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const path = environment[variable.env] || variable.default
  if (path) return path
  throw new InputError(
    `source ${source.name}: the environment variable ${variable.env}, which says where its files are, is not set. Set it to a file, a folder or a pattern.`,
    { source: source.name, variable: variable.env },
  )
}

/**
 * The files of a source, sorted by path: one file, every file of the format below a folder, or what a pattern matches.
 * In folders, names that start with a dot or an underscore are somebody's bookkeeping and are left out.
 *
 * @throws InputError where there are none.
 */
export async function listSourceFiles(source: FileSource, path: string): Promise<SourceFile[]> {
  const paths = /[*?]/.test(path) ? await matching(path) : await below(source, path)
  const files = await Promise.all(
    paths.sort().map(async (file): Promise<SourceFile> => {
      const { size, mtimeMs } = await stat(file)
      return { source: source.name, path: file, size, modifiedMs: mtimeMs }
    }),
  )
  if (files.length > 0) return files
  const what = /[*?]/.test(path)
    ? `no file matches ${path}`
    : `${path} holds no file whose name ends in ${fileEndings[source.format].join(', ')}`
  throw new InputError(
    `source ${source.name}: ${what}. Put ${source.format} files there or correct the path.`,
    { source: source.name, path },
  )
}

/** The files of all sources and of those that they are made of. @throws InputError for a source that has none. */
export async function listFilesOf(
  sources: readonly Source[],
  environment: Readonly<Record<string, string | undefined>>,
  baseDirectory: string,
): Promise<SourceFile[]> {
  const lists = await Promise.all(
    fileSourcesOf(sources).map((source) =>
      listSourceFiles(source, resolvePath(source, environment, baseDirectory)),
    ),
  )
  return lists.flat()
}

async function below(source: FileSource, path: string): Promise<string[]> {
  const found = await stat(path).catch(() => null)
  if (found === null) {
    throw new InputError(
      `source ${source.name}: there is nothing at ${path}. Put its files there or correct the path${typeof source.path === 'string' ? '' : `, which comes from ${source.path.env}`}.`,
      { source: source.name, path },
    )
  }
  if (!found.isDirectory()) return [path]
  const endings = fileEndings[source.format]
  return (await walk(path)).filter((file) => {
    const inside = file.slice(path.length).split(/[/\\]/)
    return endings.some((ending) => file.endsWith(ending)) && !inside.some((name) => /^[._]/.test(name))
  })
}

async function walk(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => [])
  return entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
}

async function matching(pattern: string): Promise<string[]> {
  let root = pattern
  while (/[*?]/.test(root)) root = dirname(root)
  const expression = new RegExp(
    `^${pattern
      .split(/(\*\*\/|\*\*|\*|\?)/)
      .map((part) => wildcards[part] ?? part.replace(/[\\^$.|+()[\]{}]/g, '\\$&'))
      .join('')}$`,
  )
  return (await walk(root)).filter((file) => expression.test(file) && !basename(file).startsWith('.'))
}

const wildcards: Readonly<Record<string, string>> = {
  '**/': '(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
  '?': '[^/]',
}
