/** `asof init` and `asof check` as programs: a store of one's own that works, and a check that finds what has changed. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { goldenDifferences } from '../../scripts/goldenJson.ts'
import { temporaryFolder } from '../support/temporaryFolder.ts'

const folder = temporaryFolder('check')
const project = join(folder, 'mine')
const bin = join(folder, 'bin')
const path = (relative: string) => fileURLToPath(new URL(`../../${relative}`, import.meta.url))
const execute = promisify(execFile)

async function call(program: string, args: readonly string[], cwd = project) {
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
  }
  for (const name of ['ASOF_HOME', 'ASOF_FEATURES', 'NODE_OPTIONS', 'VITEST'])
    Reflect.deleteProperty(environment, name)
  try {
    const { stdout, stderr } = await execute(program, args, { cwd, env: environment })
    return { code: 0, stdout, stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}
const asof = (...args: string[]) => call('asof', args)

/** What `npm install` would bring: the program on the path, and the package under its name. */
beforeAll(async () => {
  mkdirSync(bin)
  const loader = fileURLToPath(import.meta.resolve('tsx'))
  writeFileSync(
    join(bin, 'asof'),
    `#!/bin/sh\nexec '${process.execPath}' --import '${loader}' '${path('scripts/asof.ts')}' "$@"\n`,
  )
  chmodSync(join(bin, 'asof'), 0o755)
  expect(await call('asof', ['init', 'mine'], folder)).toMatchObject({ code: 0 })
  const installed = join(project, 'node_modules', 'asof')
  mkdirSync(installed, { recursive: true })
  writeFileSync(join(installed, 'package.json'), '{"name":"asof","type":"module","exports":"./index.js"}')
  writeFileSync(join(installed, 'index.js'), `export * from '${path('model/index.ts')}'`)
})

test('a new store is made once, its definitions compile, and its own test runs', async () => {
  const again = await call('asof', ['init', 'mine'], folder)
  expect(again).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/mine holds .*writes over nothing/) as string,
  })

  const foreign = join(folder, 'commonjs')
  mkdirSync(foreign)
  writeFileSync(join(foreign, 'package.json'), '{"name":"mine"}')
  expect(await call('asof', ['init'], foreign)).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/npm pkg set type=module/) as string,
  })
  const module = '{"name":"mine","type":"module"}'
  writeFileSync(join(foreign, 'package.json'), module)
  expect(await call('asof', ['init'], foreign)).toMatchObject({ code: 0 })
  expect(readFileSync(join(foreign, 'package.json'), 'utf8')).toBe(module)

  const before = await asof('check')
  expect(before.code).toBe(4)
  expect(before.stdout).toMatch(/sensor_state_v1[^]*sensor_state_v1\.json is missing/)
  expect(await asof('check', '--write')).toMatchObject({ code: 0 })
  expect(await asof('check')).toMatchObject({ code: 0 })
  const tested = await call(process.execPath, ['--test', 'test/features.test.js'])
  expect(tested.code, tested.stdout).toBe(0)
  expect(tested.stdout).toMatch(/pass 2/)
})

test('a change of meaning is told in words and ends with 4; the definitions themselves with their own sentence', async () => {
  const index = join(project, 'features', 'index.ts')
  const original = readFileSync(index, 'utf8')
  writeFileSync(index, original.replace("mean('celsius', { over: '2h'", "mean('celsius', { over: '3h'"))
  const changed = await asof('check')
  expect(changed.code).toBe(4)
  expect(changed.stdout).toMatch(/definition\.features\.mean_celsius_2h\.over: was "2h", is "3h" now/)
  expect(changed.stdout).toMatch(/sql\.rows\.\d+: was/)
  expect((await call(process.execPath, ['--test', 'test/features.test.js'])).code).toBe(1)

  writeFileSync(index, original.replace("mean('celsius'", "mean('kelvin'"))
  const unbound = await asof('check')
  expect(unbound.code).toBe(4)
  expect(unbound.stdout).toMatch(/feature mean_celsius_2h.*no column "kelvin"/)

  writeFileSync(index, original.replace('version: 1', 'version: 2'))
  const stray = await asof('check', '-o', 'json')
  expect(JSON.parse(stray.stdout)).toEqual([
    { group: 'sensor_state_v2', ok: false, differences: [expect.stringMatching(/missing/)] },
    { group: 'sensor_state_v1', ok: false, differences: ['is compiled and not defined any more'] },
  ])

  writeFileSync(index, original.replace('owner:', 'owner?'))
  expect((await asof('check')).code).toBe(2)
  writeFileSync(index, original)
  expect(await asof('check')).toMatchObject({ code: 0 })
})

test('differences name each leaf', () => {
  expect(goldenDifferences({ a: [1, { b: 2 }], c: 3 }, { a: [1, { b: 4 }], d: null })).toEqual([
    'a.1.b: was 2, is 4 now',
    'c: was 3, is not there now',
    'd: was not there, is null now',
  ])
  expect(goldenDifferences({ a: 1, b: 2 }, { b: 2, a: 1 })).toEqual([': the order has changed'])
  expect(goldenDifferences([1], [1])).toEqual([])
})
