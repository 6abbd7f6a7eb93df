/**
 * One more process on a registry: opens it at an agreed moment and registers one group, several times over, each time
 * from the revision that it reads. Prints how often it won and how often it lost.
 */
import { ConflictError } from '../../model/errors.ts'
import { openSqlite } from '../../iceberg/catalog/sqlite.ts'
import { openRegistry } from '../../registry/sql.ts'
import type { RegistryTables } from '../../registry/tables.ts'

const [path = '', name = '', startAt = '0', rounds = '0'] = process.argv.slice(2)
await new Promise((resolve) => setTimeout(resolve, Number(startAt) - Date.now()))
const registry = await openRegistry(await openSqlite<RegistryTables>(path))
let [won, lost] = [0, 0]
while (won < Number(rounds)) {
  const read = await registry.group('shared_v1')
  const definition = [...((read?.definition as string[] | undefined) ?? []), `${name}${won}`]
  try {
    const row = { id: 'shared_v1', fingerprint: name, definition, keys: [], features: [], registeredAt: 0 }
    await registry.registerGroup({ ...row, featureFingerprints: {}, retiredAt: null }, read?.revision ?? 0)
    won += 1
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error
    lost += 1
  }
}
await registry.close()
console.log(JSON.stringify({ won, lost }))
