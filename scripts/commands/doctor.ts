/** `asof doctor`: what is there, what is missing and how to get it. */
import { existsSync } from 'node:fs'
import { fileSourcesOf } from '../../model/index.ts'
import { listSourceFiles, resolvePath } from '../../offline/index.ts'
import type { Config } from '../../worker/config.ts'
import { loadDefinitions } from '../../worker/definitions.ts'
import { openOnlineStore } from '../../worker/openOnline.ts'
import { databasePath, onlinePath } from '../../worker/paths.ts'
import { CheckFailed, green, print, red, type Format } from '../output.ts'
import { readStack } from '../stack.ts'
import { findTemporal } from '../tools.mjs'

interface Finding {
  what: string
  ok: boolean
  found: string
}

export async function doctor(config: Config, format: Format): Promise<void> {
  const findings = [
    { what: 'node', ok: true, found: process.versions.node },
    checkTemporal(config),
    ...(await checkDefinitions(config)),
    {
      what: 'store',
      ok: true,
      found: existsSync(databasePath(config))
        ? config.home
        : `none yet; \`asof apply\` makes it in ${config.home}`,
    },
    ...(await checkOnlineStores(config)),
    checkStack(config),
  ]
  const lines = findings.map(
    ({ what, ok, found }) => `${ok ? green('ok ') : red('no ')} ${what.padEnd(24)} ${found}`,
  )
  print(format, findings, lines.join('\n'))
  if (findings.some(({ ok }) => !ok)) throw new CheckFailed()
}

function checkTemporal({ temporalAddress }: Config): Finding {
  if (temporalAddress !== null)
    return { what: 'temporal', ok: true, found: `TEMPORAL_ADDRESS=${temporalAddress}` }
  const program = findTemporal()
  return program === null
    ? {
        what: 'temporal',
        ok: false,
        found: 'no `temporal` here; `asof dev` downloads or builds it, or set TEMPORAL_ADDRESS',
      }
    : { what: 'temporal', ok: true, found: program }
}

async function checkDefinitions(config: Config): Promise<Finding[]> {
  const attempt = async (what: string, find: () => Promise<string>): Promise<Finding> => {
    try {
      return { what, ok: true, found: await find() }
    } catch (error) {
      return { what, ok: false, found: error instanceof Error ? error.message : String(error) }
    }
  }
  const findings: Finding[] = []
  findings.push(
    await attempt('definitions', async () => {
      const { groups, services } = await loadDefinitions(config.features)
      const sources = fileSourcesOf([...groups.values()].flatMap((group) => group.sources))
      for (const source of sources) {
        findings.push(
          await attempt(`source ${source.name}`, async () => {
            const files = await listSourceFiles(
              source,
              resolvePath(source, config.environment, config.baseFolder),
            )
            return `${files.length} files`
          }),
        )
      }
      return `${groups.size} groups, ${services.size} services in ${config.features}`
    }),
  )
  return findings
}

/** A store of this machine is made with the first load; one elsewhere must answer. */
async function checkOnlineStores(config: Config): Promise<Finding[]> {
  return Promise.all(
    config.onlineStores.map(async (one): Promise<Finding> => {
      const what = `online ${one.name}`
      if (one.url === null && !existsSync(onlinePath(config))) {
        return { what, ok: true, found: 'none yet; the first load makes it' }
      }
      try {
        const store = openOnlineStore(config, one, { readOnly: true })
        const groups = await store.listGroups().finally(() => store.close())
        return { what, ok: true, found: `${groups.length} groups loaded` }
      } catch (error) {
        return { what, ok: false, found: error instanceof Error ? error.message : String(error) }
      }
    }),
  )
}

function checkStack({ home }: Config): Finding {
  const stack = readStack(home)
  return stack === null
    ? { what: 'stack', ok: true, found: 'not running; `asof dev` starts it' }
    : { what: 'stack', ok: true, found: `Temporal ${stack.temporal.address}, reader ${stack.reader.url}` }
}
