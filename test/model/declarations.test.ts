/** What a package of definitions ships, and an editor shows: types that say what is asked for and what comes back. */
import { join } from 'node:path'
import ts from 'typescript'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..', '..')

/** The declarations that the compiler writes for a module; it must have nothing to say against them. */
function declarationsOf(path: string): string {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: object }
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const program = ts.createProgram([join(root, path)], {
    ...options,
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
  })
  const source = program.getSourceFile(join(root, path))
  let text = ''
  const emitted = program.emit(source, (_, written) => (text += written))
  const problems = [...program.getSemanticDiagnostics(source), ...emitted.diagnostics]
  expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([])
  return text.replaceAll(/\s+/g, ' ')
}

/** `FeatureService<{ a: …; b: … }, { c: … }>` of a declared name; the compiler promises no order of fields. */
function typeOf(name: string, text: string): { what: string; types: string[][] } {
  const [, what = '', list = ''] =
    new RegExp(String.raw`declare const ${name}: \S*?(\w+)<(.*?)>;`).exec(text) ?? []
  const types = [...list.matchAll(/\{ (.*?); \}/g)].map(([, fields = '']) => fields.split('; ').sort())
  return { what, types }
}

test('definitions are declared by what they answer and by what they are asked with', () => {
  expect(typeOf('delayModel', declarationsOf('features/services.ts'))).toEqual({
    what: 'FeatureService',
    types: [
      [
        'departures_1h: bigint | null',
        'late_share_7d: number | null',
        'mean_delay_24h: number | null',
        'mean_delay_7d: number | null',
        'on_time_share_7d: number | null',
      ],
      ['destination: string', 'origin: string'],
    ],
  })
  const text = declarationsOf('test/model/knownByTypes.ts')
  const keys = ['country: string', 'kind: number', 'shop: number | bigint']
  expect([typeOf('shop', text).what, typeOf('shop', text).types[1]]).toEqual(['FeatureGroup', keys])
  const other = typeOf('other', text)
  expect([other.what, other.types[1]?.[2]]).toEqual(['RoleSelection', 'other_shop: number | bigint'])
})
