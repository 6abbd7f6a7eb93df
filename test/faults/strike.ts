/**
 * One blow at the n-th call that a run makes to its file store, its catalog or its registry, struck from outside.
 *
 * - `refused`: the call fails before it does anything, and the process goes on;
 * - `lost`: the call is done, its answer is not heard, and the process goes on;
 * - `dead before`, `dead after`: the same, and the process is gone: no call that follows does anything, so that no
 *   cleanup runs, until the step is begun anew with `lifeOf`.
 */
import { Table, UnknownOutcome, type Catalog, type FileIO } from '../../iceberg/index.ts'
import type { ActivityDeps } from '../../activities/index.ts'

export const flavours = ['refused', 'lost', 'dead before', 'dead after'] as const
export type Flavour = (typeof flavours)[number]

export interface CatalogParts {
  /** A catalog over another file store, on a connection of its own. */
  readonly catalogOver: (fileIO: FileIO) => Catalog
  /** The store's clock. */
  readonly nowMs: () => number
}

export class Strike {
  readonly at: number
  readonly flavour: Flavour
  calls = 0
  /** The call that was struck, such as `catalog.commit`. */
  struck: string | null = null

  readonly #blow: (() => void) | undefined

  /** @param blow what happens instead of a failure, such as the end of the process */
  constructor(at: number, flavour: Flavour, blow?: () => void) {
    this.at = at
    this.flavour = flavour
    this.#blow = blow
  }

  /** Dependencies of one attempt of a step: of one life of the process. */
  lifeOf(deps: ActivityDeps, { catalogOver, nowMs }: CatalogParts): ActivityDeps {
    const life: Life = { isOver: false }
    const around = <T>(name: string, call: () => Promise<T>) => this.#around(life, name, call)
    const fileIO = faultyFileIO(deps.fileIO, around)
    return {
      ...deps,
      fileIO,
      catalog: faultyCatalog(catalogOver(fileIO), fileIO, nowMs, around),
      registry: faulty('registry', deps.registry, around),
    }
  }

  async #around<T>(life: Life, name: string, call: () => Promise<T>): Promise<T> {
    if (life.isOver) return neverAnswered()
    const isNow = ++this.calls === this.at
    if (!isNow) {
      const answer = await call()
      // An answer that comes after the process died is heard by nobody.
      return life.isOver ? neverAnswered() : answer
    }
    this.struck = name
    const dies = this.flavour.startsWith('dead')
    if (this.flavour === 'dead after' || this.flavour === 'lost') await call()
    this.#blow?.()
    if (dies) life.isOver = true
    throw this.#error(name)
  }

  /** A catalog says that it does not know; anything else only fails. */
  #error(name: string): Error {
    const isUnknown = name === 'catalog.commit' && this.flavour === 'lost'
    return isUnknown ? new UnknownOutcome(`${name}: ${this.flavour}`) : new Error(`${name}: ${this.flavour}`)
  }
}

interface Life {
  isOver: boolean
}
type Around = <T>(name: string, call: () => Promise<T>) => Promise<T>

const neverAnswered = () => Promise.reject(new Error('the process is gone'))

function faulty<T extends object>(name: string, target: T, around: Around): T {
  return new Proxy(target, {
    get: (_, key) => {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== 'function') return member
      return (...given: unknown[]) =>
        around(`${name}.${String(key)}`, () => Reflect.apply(member, target, given) as Promise<unknown>)
    },
  })
}

function faultyFileIO(fileIO: FileIO, around: Around): FileIO {
  async function* listed<T>(name: string, list: () => AsyncIterable<T>) {
    await around(name, () => Promise.resolve())
    yield* list()
  }
  return {
    read: (location) => around('fileIO.read', () => fileIO.read(location)),
    writeExclusive: (location, bytes) =>
      around('fileIO.writeExclusive', () => fileIO.writeExclusive(location, bytes)),
    exists: (location) => around('fileIO.exists', () => fileIO.exists(location)),
    size: (location) => around('fileIO.size', () => fileIO.size(location)),
    delete: (location) => around('fileIO.delete', () => fileIO.delete(location)),
    list: (folder) => listed('fileIO.list', () => fileIO.list(folder)),
    listWithTimes: (folder) => listed('fileIO.listWithTimes', () => fileIO.listWithTimes(folder)),
    localPath: (location) => fileIO.localPath(location),
  }
}

/** Its tables commit through it too. */
function faultyCatalog(catalog: Catalog, fileIO: FileIO, now: () => number, around: Around): Catalog {
  const counted = faulty('catalog', catalog, around)
  return new Proxy(counted, {
    get: (_, key) => {
      if (key !== 'loadTable') return Reflect.get(counted, key) as unknown
      return async (identifier: Parameters<Catalog['loadTable']>[0]) => {
        const state = await counted.currentState(identifier, null)
        return new Table({ catalog: counted, fileIO, identifier, state, now })
      }
    },
  })
}
