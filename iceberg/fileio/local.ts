/** Files of this machine: `file:///x`, `file:/x` (as Spark writes it) and `/x` are the same file. */
import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { link, open, opendir, readFile, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FileExists, NoSuchFile, Unsupported } from '../errors.ts'
import type { FileIO, ListedFile } from './fileio.ts'
import { makeFolder } from './makeFolder.ts'

export function localFileIO(): FileIO {
  return {
    read: (location) => missingNamed(location, () => readFile(pathOf(location))),
    writeExclusive,
    exists: async (location) => (await statOf(location)) !== null,
    size: async (location) => (await missingNamed(location, () => stat(pathOf(location)))).size,
    delete: (location) => rm(pathOf(location), { force: true }),
    list: (folder) => filesBelow(folder.replace(/\/+$/, '')),
    listWithTimes: (folder) => timedFilesBelow(folder.replace(/\/+$/, '')),
    localPath: pathOf,
  }
}

function pathOf(location: string): string {
  const path = /^file:\/{2}(\/.*)$/s.exec(location)?.[1] ?? /^(?:file:)?(\/(?!\/).*)$/s.exec(location)?.[1]
  if (path !== undefined) return path
  throw new Unsupported(
    `Location ${JSON.stringify(location)} is no file of this machine. Write it as file:///folder/file.`,
  )
}

/**
 * A file gets its name only once its bytes are on the disk, and link() refuses a name that is taken: whoever sees the
 * file sees all of it.
 */
async function writeExclusive(location: string, bytes: Uint8Array): Promise<void> {
  const path = pathOf(location)
  const folder = dirname(path)
  const temporary = `${path}.${randomUUID()}.tmp`
  await makeFolder(folder)
  try {
    await writeDurably(temporary, bytes)
    await link(temporary, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    throw new FileExists(`${location} exists already, and files of a table are never changed.`, {
      cause: error,
    })
  } finally {
    await rm(temporary, { force: true })
  }
  await syncFolder(folder)
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx')
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Makes the new name itself survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

async function* filesBelow(folder: string): AsyncGenerator<string> {
  const entries = await opendir(pathOf(folder)).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return null
    throw error
  })
  if (entries === null) return
  for await (const entry of entries) {
    const location = `${folder}/${entry.name}`
    if (entry.isDirectory()) yield* filesBelow(location)
    else yield location
  }
}

async function* timedFilesBelow(folder: string): AsyncGenerator<ListedFile> {
  for await (const location of filesBelow(folder)) {
    const found = await statOf(location)
    if (found !== null) yield { location, modifiedMs: found.mtimeMs }
  }
}

function statOf(location: string): Promise<Stats | null> {
  return stat(pathOf(location)).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
    throw error
  })
}

async function missingNamed<T>(location: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error
    throw new NoSuchFile(`${location} does not exist.`, { cause: error })
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
