/** `asof online verify`: compares every stored value of every online store with the published table, bit for bit. */
import { isVerified, verifyOnline, type OnlineVerification } from '../../activities/index.ts'
import type { Config } from '../../worker/config.ts'
import type { Store } from '../../worker/openStore.ts'
import { bold, CheckFailed, print, say, table, type Format } from '../output.ts'
import { storedName } from './storedName.ts'
import { withStore } from './withStore.ts'

export async function onlineVerify(config: Config, group: string | undefined, format: Format): Promise<void> {
  const reports = await withStore(config, async (store) => {
    const groups = group === undefined ? await servedGroups(store) : [group]
    const all: OnlineVerification[] = []
    for (const id of groups) all.push(...(await verifyOnline(store, id)))
    return all
  })
  print(format, reports, table(header, reports.map(rowOf)))
  if (reports.length === 0) say('No registered feature group is served. Next: asof plan')
  reports.forEach(sayMore)
  if (!reports.every(isVerified)) throw new CheckFailed()
}

async function servedGroups(store: Store): Promise<string[]> {
  const registered = await store.registry.groups()
  return registered
    .filter(({ id, retiredAt }) => retiredAt === null && store.definitions.groups.get(id)?.online === true)
    .map(({ id }) => id)
}

const header = [
  'group',
  'store',
  'snapshot',
  'entities',
  'differing',
  'missing',
  'left over',
  'ahead',
  'state',
]

function rowOf(report: OnlineVerification): string[] {
  const { group, service, store, snapshotId, entities, differing, missing, leftOver, ahead } = report
  const counts = [entities, differing, missing, leftOver, ahead].map(String)
  return [storedName(group, service), store, snapshotId ?? '-', ...counts, stateOf(report)]
}

function stateOf(report: OnlineVerification): string {
  const { problem, loaded, behind } = report
  if (problem !== null) return 'unreadable'
  const verdict = isVerified(report) ? 'equal' : 'different'
  if (!loaded) return `${verdict}, never loaded`
  return behind ? `${verdict}, behind main` : verdict
}

function sayMore(report: OnlineVerification): void {
  const { group, service, store, problem, behind, loaded, examples } = report
  const where = `${storedName(group, service)} in ${store}`
  if (problem !== null) say(`${where}: ${problem}`)
  for (const { entity, finding } of examples) say(`${where}: ${entity} ${sentences[finding]}.`)
  if (report.differing + report.leftOver > 0) {
    say(
      `What was changed past Asof keeps its order, so a load leaves it alone: ${bold(`asof online drop ${group} --store ${store}`)}, then ${bold(`asof materialize ${group}`)}.`,
    )
  } else if (report.missing > 0) say(`Next: ${bold(`asof materialize ${group} --full`)} (${store}).`)
  else if (behind || !loaded) say(`Next: ${bold(`asof materialize ${group}`)} (${store}).`)
}

const sentences = {
  differs: 'has another value than the published one',
  missing: 'is published and not there',
  'left over': 'is there and not published',
}
