/** Loading a million entities of ten doubles into LMDB, against a bare loop of DuckDB, msgpackr and lmdb. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { unpack } from 'msgpackr'
import { createActivities } from '../activities/index.ts'
import { openLmdb } from '../online/index.ts'
import type { Store } from '../worker/openStore.ts'
import { materializeFloor } from './floors/materialize.ts'
import { measure, type Row } from './measure.ts'
import type { Subject } from './subject.ts'
import { openWideStore, publishWideRows, wideGroup } from './wideStore.ts'

const entities = 1_000_000
const turns = 3

const row: Row = {
  what: 'materialize to LMDB: 1,000,000 entities of ten doubles',
  floor: "DuckDB's columns, msgpackr's pack and lmdb's own put loop over the same rows",
  goal: { atMost: 1.5 },
}

export const materialize: Subject = {
  rows: [row],
  async measure(bench) {
    const { store } = await openWideStore(bench, bench.scratch)
    try {
      const files = await publishWideRows(store, entities)
      const [ourFolder, floorFolder] = [join(bench.scratch, 'ours'), join(bench.scratch, 'floor')]
      const ours = () => load(store, ourFolder)
      const byHand = async () => {
        rmSync(floorFolder, { recursive: true, force: true })
        const connection = await bench.duckdb.connect()
        await materializeFloor(connection, files, floorFolder)
        connection.closeSync()
      }
      await byHand()
      await ours()
      await refuseDifferentValues(ourFolder, floorFolder)
      return [await measure({ ...row, ours, byHand }, turns)]
    } finally {
      await store.close()
    }
  },
}

/** The real step of a run, all of it, into an LMDB that was not there. */
async function load(store: Store, folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  const online = openLmdb({ path: folder, store: store.store })
  const loaded = await createActivities({ ...store, onlineStores: [online] }).materializeGroup({
    group: wideGroup,
    full: true,
  })
  await online.close()
  if (loaded.entities !== entities)
    throw new Error(`The load wrote ${loaded.entities} of ${entities} entities.`)
}

async function refuseDifferentValues(ourFolder: string, floorFolder: string): Promise<void> {
  const floor = open<Buffer, string>({ path: floorFolder, encoding: 'binary', readOnly: true })
  const ours = openLmdb({ path: ourFolder, store: 'asof', readOnly: true })
  let same = 0
  for await (const { keys, value } of ours.scan(wideGroup)) {
    if (value === null) throw new Error(`The load left a tombstone for ${String(keys[0])}.`)
    const bytes = floor.get(String(keys[0]))
    const [at, ...values] = bytes === undefined ? [] : (unpack(bytes) as (number | bigint)[])
    const isSame =
      BigInt(at ?? -1) === value.eventTimestampMicros &&
      values.length === value.values.length &&
      values.every((one, index) => Object.is(one, value.values[index]))
    if (!isSame) throw new Error(`The load and its floor hold different values for ${String(keys[0])}.`)
    same++
  }
  await ours.close()
  await floor.close()
  if (same !== entities) throw new Error(`The load holds ${same} of ${entities} entities.`)
}
