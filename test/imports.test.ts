/**
 * The table of rooms (DESIGN, section 4) as a test: who may import whom, with the reason on failure.
 *
 * Imports are read with TypeScript's own parser: static, re-exported, dynamic, `import('x').T` and `require`.
 * `import type` and `export type` count as types; an inline `type` does not, for the module is loaded all the same.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, posix } from 'node:path'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

interface Import {
  readonly specifier: string
  readonly typeOnly: boolean
}

interface Room {
  /** Other rooms, or folders of theirs. */
  readonly rooms: readonly string[]
  /** Packages by name, `node` for Node's own; undefined for any. */
  readonly packages?: readonly string[]
  readonly reason: string
}

const anything = [
  ...['model', 'features', 'workflows', 'activities', 'offline', 'iceberg', 'online', 'registry', 'quality'],
  ...['reader', 'client', 'worker'],
]

const rooms: Readonly<Record<string, Room>> = {
  model: {
    rooms: [],
    packages: ['zod'],
    reason: 'model is the words: pure, no I/O, no Node types, zod at most',
  },
  features: { rooms: ['model'], packages: [], reason: 'definitions are written in the words of model alone' },
  workflows: {
    rooms: ['model'],
    packages: ['@temporalio/workflow'],
    reason: 'histories live for months: a workflow walks the plan and is bundled without anything else',
  },
  iceberg: { rooms: [], reason: 'iceberg knows nothing of features and could be published by itself' },
  online: { rooms: ['model'], reason: 'online and quality stand on the words alone, never on each other' },
  quality: { rooms: ['model'], reason: 'online and quality stand on the words alone, never on each other' },
  registry: {
    rooms: ['model', 'iceberg/catalog'],
    reason: "the registry shares a database with iceberg's catalog and nothing else",
  },
  offline: { rooms: ['model', 'iceberg'], reason: 'offline computes from definitions and reads tables' },
  activities: {
    rooms: ['model', 'workflows', 'offline', 'iceberg', 'online', 'registry', 'quality'],
    reason: 'activities implement the contract of workflows with the rooms that do the work',
  },
  reader: {
    rooms: ['model', 'online'],
    reason: 'the reader serves without offline store, registry or Temporal',
  },
  client: {
    rooms: ['model', 'workflows', 'registry/canonicalJson.ts'],
    packages: ['node', '@temporalio/client', '@temporalio/common', 'msgpackr'],
    reason:
      'applications import the client: it brings Temporal, MessagePack and the words along, and no store, worker or engine',
  },
  worker: { rooms: anything.filter((room) => room !== 'worker'), reason: 'nobody imports the command line' },
  scripts: { rooms: anything, reason: 'the command line imports anything but tests and measurements' },
  bench: { rooms: [...anything, 'scripts', 'test'], reason: 'measurements may use anything' },
  test: { rooms: [...anything, 'scripts', 'bench'], reason: 'tests may use anything' },
}

/** Files of workflows that others may import values from: they import nothing, so they bring nothing along. */
const sharedWorkflowFiles = ['workflows/names.ts', 'workflows/payloadLimit.ts']

/** Rooms that know the workflows by their names and the contract, and never load them. */
const takesTypes = ['activities', 'client']

/** Every broken rule of a set of files, by path, in sentences. */
function brokenRules(files: ReadonlyMap<string, string>): string[] {
  const imports = new Map([...files].map(([path, text]) => [path, importsOf(path, text)]))
  return [...imports].flatMap(([path, list]) =>
    list.flatMap((one) => {
      const problem = one.specifier.startsWith('.')
        ? problemInside(path, one, imports)
        : problemOutside(path, one)
      return problem === null ? [] : [`${path} imports ${one.specifier}: ${problem}`]
    }),
  )
}

const roomOf = (path: string) => path.split('/')[0] ?? ''

function problemInside(
  path: string,
  { specifier, typeOnly }: Import,
  imports: ReadonlyMap<string, readonly Import[]>,
): string | null {
  const target = posix.normalize(posix.join(posix.dirname(path), specifier))
  const [from, to] = [roomOf(path), roomOf(target)]
  if (from === to) return null
  const allowed = rooms[from]
  if (allowed === undefined) return `${from} is no room; say in test/imports.test.ts what it may import`
  if (target.startsWith('..')) return 'it lies outside the project'
  if (from !== 'test' && target === 'package.json') return null
  if (!allowed.rooms.some((room) => target === room || target.startsWith(`${room}/`))) {
    return `${from} may import ${allowed.rooms.join(', ') || 'no other room'} only; ${allowed.reason}`
  }
  if (typeOnly) return null
  if (from === 'workflows') return problemOfModelValue(target, imports)
  if (takesTypes.includes(from) && to === 'workflows' && !sharedWorkflowFiles.includes(target)) {
    return `${from} takes types only from workflows (import type), and values from ${sharedWorkflowFiles.join(', ')}`
  }
  return null
}

function problemOfModelValue(target: string, imports: ReadonlyMap<string, readonly Import[]>): string | null {
  const brought = (imports.get(target) ?? []).filter(({ typeOnly }) => !typeOnly)
  if (brought.length === 0) return null
  return `workflows take values only from files of model that import nothing themselves, and this one imports ${brought[0]?.specifier}; use import type`
}

function problemOutside(path: string, { specifier }: Import): string | null {
  const allowed = rooms[roomOf(path)]
  if (allowed === undefined)
    return `${roomOf(path)} is no room; say in test/imports.test.ts what it may import`
  if (allowed.packages === undefined) return null
  const name = isBuiltin(specifier)
    ? 'node'
    : specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/')
  return allowed.packages.includes(name)
    ? null
    : `${roomOf(path)} may import ${allowed.packages.join(', ') || 'no'} packages only; ${allowed.reason}`
}

function importsOf(path: string, text: string): Import[] {
  const found: Import[] = []
  const add = (node: ts.Node | undefined, typeOnly: boolean) => {
    if (node !== undefined && ts.isStringLiteralLike(node)) found.push({ specifier: node.text, typeOnly })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly)
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument))
      add(node.argument.literal, true)
    else if (ts.isExternalModuleReference(node)) add(node.expression, false)
    else if (ts.isCallExpression(node) && loads(node.expression)) add(node.arguments[0], false)
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, false))
  return found
}

function loads(callee: ts.Expression): boolean {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require')
}

describe('the rooms of the project', () => {
  const root = join(import.meta.dirname, '..')
  const files = new Map(
    Object.keys(rooms)
      .filter((room) => existsSync(join(root, room)))
      .flatMap((room) =>
        readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
          .map((path) => posix.join(room, path.replaceAll('\\', '/')))
          .filter((path) => /\.(ts|mts|mjs|js)$/.test(path) && !path.includes('node_modules/')),
      )
      .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
  )

  test('were found', () => {
    expect(files.size).toBeGreaterThan(20)
    expect([...files].flatMap(([path, text]) => importsOf(path, text)).length).toBeGreaterThan(files.size)
  })

  test('import one way only', () => {
    expect(brokenRules(files)).toEqual([])
  })

  test('what workflows share imports nothing', () => {
    for (const path of sharedWorkflowFiles) {
      expect(importsOf(path, files.get(path) ?? "import 'nothing that is there'"), path).toEqual([])
    }
  })
})

describe('the check itself', () => {
  const model = {
    'model/time.ts': "import { InputError } from './errors.ts'",
    'model/errors.ts': 'export const plain = 1',
    'model/words.ts': "import type { EpochMs } from './time.ts'",
  }
  const check = (files: Record<string, string>) =>
    brokenRules(new Map(Object.entries({ ...model, ...files })))

  test.each([
    [
      'model/a.ts',
      "import { readFile } from 'node:fs/promises'",
      /model may import zod packages only; model is/,
    ],
    ['model/a.ts', "import lodash from 'lodash/get.js'", /model may import zod/],
    [
      'model/a.ts',
      "import type { Registry } from '../registry/registry.ts'",
      /model may import no other room/,
    ],
    ['features/a.ts', "import { compile } from '../offline/compile.ts'", /features may import model only/],
    ['features/a.ts', "import 'zod'", /features may import no packages/],
    ['workflows/a.ts', "import { airport } from '../features/index.ts'", /workflows may import model only/],
    [
      'workflows/a.ts',
      "import { durationMs } from '../model/time.ts'",
      /values only from files of model.*errors\.ts/,
    ],
    ['workflows/a.ts', "import { type EpochMs } from '../model/time.ts'", /use import type/],
    ['workflows/a.ts', "export * from '../model/time.ts'", /use import type/],
    ['workflows/a.ts', "import { Client } from '@temporalio/client'", /@temporalio\/workflow packages only/],
    ['workflows/a.ts', "import process from 'process'", /@temporalio\/workflow packages only/],
    ['iceberg/a.ts', "import { InputError } from '../model/errors.ts'", /could be published by itself/],
    ['online/a.ts', "import { judge } from '../quality/judgeGates.ts'", /never on each other/],
    ['quality/a.ts', "const store = await import('../online/store.ts')", /never on each other/],
    [
      'registry/a.ts',
      "import { scan } from '../iceberg/scan.ts'",
      /registry may import model, iceberg\/catalog only/,
    ],
    ['registry/a.ts', "import { scan } from '../iceberg/catalogs.ts'", /registry may import model/],
    [
      'offline/a.ts',
      "export { openRegistry } from '../registry/sql.ts'",
      /offline may import model, iceberg only/,
    ],
    [
      'reader/a.ts',
      "type R = import('../registry/registry.ts').Registry",
      /reader may import model, online only/,
    ],
    ['activities/a.ts', "import { control } from '../workflows/steps.ts'", /activities takes types only/],
    ['activities/a.ts', "import { config } from '../worker/config.ts'", /activities may import/],
    ['client/a.ts', "import { openRegistry } from '../registry/sql.ts'", /and no store, worker or engine/],
    ['client/a.ts', "import { query } from '@duckdb/node-api'", /client may import node, @temporalio/],
    ['client/a.ts', "import { refresh } from '../workflows/refresh.ts'", /client takes types only/],
    ['worker/a.ts', "import { demo } from '../scripts/demo.ts'", /worker may import/],
    ['scripts/a.ts', "import { oracle } from '../test/oracle.ts'", /anything but tests and measurements/],
    ['scripts/a.ts', "import { run } from '../bench/run.ts'", /anything but tests and measurements/],
    ['scripts/a.ts', "const fs = require('../test/oracle.ts')", /anything but tests/],
    ['reader/a.ts', "import x from '../../elsewhere/x.ts'", /outside the project/],
    ['drawer/a.ts', "import x from '../model/time.ts'", /drawer is no room/],
    ['drawer/a.ts', "import x from 'zod'", /drawer is no room/],
  ])('%s: %s', (path, text, reason) => {
    const [problem, ...more] = check({ [path]: text })
    expect(problem).toMatch(reason)
    expect(problem).toContain(`${path} imports `)
    expect(more).toEqual([])
  })

  test.each([
    ['model/a.ts', "import { z } from 'zod'"],
    ['model/a.ts', "// import x from 'lodash'\nconst text = `import y from 'lodash'`"],
    ['workflows/a.ts', "import type { EpochMs } from '../model/time.ts'"],
    ['workflows/a.ts', "import { plain } from '../model/errors.ts'\nimport { x } from '../model/words.ts'"],
    ['workflows/a.ts', "import { b } from './b.ts'\nimport { sleep } from '@temporalio/workflow'"],
    ['registry/a.ts', "import { openSqlite } from '../iceberg/catalog/sqlite.ts'\nimport 'node:crypto'"],
    ['activities/a.ts', "import type { Activities } from '../workflows/contract.ts'"],
    ['activities/a.ts', "import { failureTypes } from '../workflows/names.ts'"],
    ['scripts/a.ts', "import { config } from '../worker/config.ts'"],
    ['test/registry/a.ts', "import { x } from '../../scripts/x.ts'"],
  ])('%s is fine: %s', (path, text) => {
    expect(check({ [path]: text })).toEqual([])
  })
})
