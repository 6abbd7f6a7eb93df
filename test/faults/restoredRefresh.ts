/** A live store of which late events have changed published rows while one new interval came due, put back before every case. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { applyRegistration, createActivities, planRegistration } from '../../activities/index.ts'
import { durationMs } from '../../model/index.ts'
import { openDuckDb } from '../../offline/index.ts'
import { readConfig } from '../../worker/config.ts'
import { openStore } from '../../worker/openStore.ts'
import { letArrive, makeLateOrders } from '../support/lateOrders.ts'
import { driveBackfill, driveRefresh } from './driver.ts'
import { endState } from './endState.ts'
import { ordersFolder, restorable, type RestoredStore } from './restoredStore.ts'

export const group = 'week_4h_v1'
const latenessMs = durationMs('10h')
const wentLive = '2024-01-03T00:15:00Z'
/** Four hours later, so that a case may take long and no other interval comes due. */
const now = Date.parse('2024-01-03T04:15:00Z')

/**
 * History from 08:00 to 20:00, live from midnight, and it is 04:15: the refresh has one interval to compute and three to
 * read again.
 *
 * @param dearAt when an order is placed that costs so much that a gate blocks its interval
 */
export async function restoredRefresh(folder: string, dearAt: string): Promise<RestoredStore> {
  const duckdb = await openDuckDb({ memoryLimit: '512MB', threads: 1, tempDirectory: join(folder, 'spill') })
  try {
    const orders = await makeLateOrders({
      ...{ duckdb, folder, from: '2024-01-01', days: 3, latenessMs, seed: 11, dearAt },
    })
    await letArrive(orders, 0, Date.parse(wentLive))
    const config = readConfig(
      {
        ASOF_MEMORY_LIMIT: '512MB',
        ASOF_THREADS: '1',
        ASOF_HOME: join(folder, 'home'),
        ASOF_FEATURES: fileURLToPath(new URL('../fixtures/week.ts', import.meta.url)),
        ORDERS_PATH: ordersFolder(folder),
        ASOF_CLOCK: wentLive,
      },
      folder,
    )
    const first = await openStore(config)
    await applyRegistration(first, await planRegistration(first))
    const attempt = () => createActivities(first)
    await driveBackfill(attempt, { group, from: '2024-01-02T08:00:00Z', to: '2024-01-02T20:00:00Z' })
    await driveRefresh(attempt, group)
    await first.close()
    await letArrive(orders, Date.parse(wentLive), now)
    const run = {
      ...{ group, workflow: 'refresh', input: { group } },
      drive: (...[life, patience]: Parameters<RestoredStore['run']['drive']>) =>
        driveRefresh(life, group, patience),
      endState: (store: Parameters<RestoredStore['run']['endState']>[0]) =>
        endState(store, group, { latenessMs, ranksCreated: true }),
    }
    return restorable(config, folder, run, now)
  } finally {
    await duckdb.close()
  }
}

/** No interval that is computed has it in the four hours whose dearest order a gate looks at. */
export const nothingDear = '2024-01-01T00:00:30'
/** In the interval that the refresh computes. */
export const dearNow = '2024-01-03T02:30:00'
