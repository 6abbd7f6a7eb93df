import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSqlite } from '../../iceberg/catalog/sqlite.ts'
import {
  ConflictError,
  InputError,
  IntegrityError,
  UnavailableError,
  type GateReport,
} from '../../model/index.ts'
import type { LedgerEntry, Registry } from '../../registry/registry.ts'
import { openRegistry } from '../../registry/sql.ts'
import type { RegistryTables } from '../../registry/tables.ts'

const hour = 36e5
const run = promisify(execFile)
const openDatabase = (path: string, lockTimeoutMs?: number) =>
  openSqlite<RegistryTables>(path, { lockTimeoutMs })
let folder: string
let path: string
let registry: Registry

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'asof-registry-'))
  path = join(folder, 'catalog.db')
  registry = await openRegistry(await openDatabase(path))
})
afterEach(async () => {
  await registry.close()
  await rm(folder, { recursive: true })
})

describe('the store clock', () => {
  test("runs with the machine's until it is set, and is set once", async () => {
    expect(await registry.clockOffsetMs()).toBe(0)
    expect(await registry.initialiseClock(-801e9)).toBe(-801e9)
    expect(await registry.initialiseClock(0)).toBe(-801e9)
    expect(await registry.clockOffsetMs()).toBe(-801e9)
  })

  test('moves from where it was read, forward only', async () => {
    await registry.initialiseClock(-801e9)
    expect(await registry.moveClock(-801e9, -800e9)).toBe(true)
    expect(await registry.moveClock(-801e9, -700e9)).toBe(false)
    await expect(registry.moveClock(-800e9, -800e9 - 1)).rejects.toThrow(/moves forward, never back/)
    expect(await registry.clockOffsetMs()).toBe(-800e9)
  })

  test("stays a set one where it meets the machine's, which nobody moves", async () => {
    await expect(registry.moveClock(0, 36e5)).rejects.toThrow(InputError)
    await registry.initialiseClock(-5)
    expect(await registry.moveClock(-5, 0)).toBe(true)
    expect(await registry.clockOffsetMs()).toBe(1)
  })

  test('many that move it at once, over two connections, never move it back, and one of each round wins', async () => {
    await registry.initialiseClock(-1e9)
    const other = await openRegistry(await openDatabase(path))
    try {
      for (let round = 0; round < 20; round++) {
        const from = await registry.clockOffsetMs()
        const goals = Array.from({ length: 6 }, (_, at) => from + ((at * 5 + round) % 6) * 1e3 + 1)
        const moved = await Promise.all(
          goals.map((goal, at) => (at % 2 ? registry : other).moveClock(from, goal)),
        )
        expect(moved.filter(Boolean)).toHaveLength(1)
        expect(await other.clockOffsetMs()).toBe(goals[moved.indexOf(true)])
      }
    } finally {
      await other.close()
    }
  })
})

describe('groups and services', () => {
  const group = {
    id: 'delays_v1',
    fingerprint: 'f',
    definition: { features: { z: 1, a: 2 } },
    keys: [{ name: 'origin', type: 'string' }],
    features: [{ name: 'departures', type: 'int64' }],
    featureFingerprints: { departures: 'd' },
    registeredAt: 978912000000,
    retiredAt: null,
  }

  test('come back as they were registered, features in their order', async () => {
    expect(await registry.group('delays_v1')).toBeNull()
    await registry.registerGroup(group, 0)
    const read = await registry.group('delays_v1')
    expect(read).toEqual({ ...group, revision: 1 })
    expect(JSON.stringify(read?.definition)).toBe('{"features":{"z":1,"a":2}}')
    await registry.registerGroup({ ...group, id: 'airport_v1' }, 0)
    expect((await registry.groups()).map(({ id }) => id)).toEqual(['airport_v1', 'delays_v1'])
  })

  test('a registration on a revision that has moved is a conflict and changes nothing', async () => {
    await registry.registerGroup(group, 0)
    await expect(registry.registerGroup({ ...group, fingerprint: 'other' }, 0)).rejects.toThrow(ConflictError)
    await registry.registerGroup({ ...group, fingerprint: 'second' }, 1)
    const late = registry.registerGroup({ ...group, fingerprint: 'other' }, 1)
    await expect(late).rejects.toThrow(/delays_v1.*register again/)
    await expect(registry.registerGroup({ ...group, id: 'none_v1' }, 3)).rejects.toThrow(ConflictError)
    expect(await registry.group('delays_v1')).toMatchObject({ fingerprint: 'second', revision: 2 })
    expect(await registry.group('none_v1')).toBeNull()
  })

  test('a service is replaced by name and revision, and forgotten', async () => {
    await registry.registerService('model_v1', { features: ['a'] }, 1, 0)
    await registry.registerService('model_v1', { features: ['b'] }, 2, 1)
    const there = [{ name: 'model_v1', definition: { features: ['b'] }, revision: 2 }]
    expect(await registry.services()).toEqual(there)
    await expect(registry.registerService('model_v1', {}, 3, 0)).rejects.toThrow(ConflictError)
    await expect(registry.registerService('model_v1', {}, 3, 1)).rejects.toThrow(/model_v1.*register again/)
    await expect(registry.removeService('model_v1', 1)).rejects.toThrow(ConflictError)
    expect(await registry.services()).toEqual(there)
    await registry.removeService('model_v1', 2)
    expect(await registry.services()).toEqual([])
  })

  test('a group is retired on the revision that was read, and keeps everything else', async () => {
    await registry.registerGroup(group, 0)
    await expect(registry.retireGroup('delays_v1', 7, 9)).rejects.toThrow(ConflictError)
    await registry.retireGroup('delays_v1', 1, 9)
    expect(await registry.group('delays_v1')).toEqual({ ...group, retiredAt: 9, revision: 2 })
  })
})

describe('several processes', () => {
  test('make one new store at once and register at once: every registration wins exactly once', async () => {
    const shared = join(folder, 'shared.db')
    const startAt = String(Date.now() + 2500)
    const rounds = 40
    const children = ['a', 'b', 'c'].map((name) =>
      run(process.execPath, [
        '--import',
        'tsx',
        join(import.meta.dirname, 'otherProcess.ts'),
        shared,
        name,
        startAt,
        String(rounds),
      ]),
    )
    const counts = (await Promise.all(children)).map(
      ({ stdout }) => JSON.parse(stdout) as { won: number; lost: number },
    )
    const other = await openRegistry(await openDatabase(shared))
    const end = await other.group('shared_v1')
    await other.close()
    expect(counts.map(({ won }) => won)).toEqual([rounds, rounds, rounds])
    expect(end?.revision).toBe(3 * rounds)
    const expected = ['a', 'b', 'c'].flatMap((name) =>
      Array.from({ length: rounds }, (_, at) => `${name}${at}`),
    )
    expect([...(end?.definition as string[])].sort()).toEqual(expected.sort())
  })

  test('two connections of one process make one new store at once', async () => {
    const shared = join(folder, 'twice.db')
    const both = await Promise.all([0, 1].map(async () => openRegistry(await openDatabase(shared))))
    for (const one of both) {
      expect(await one.groups()).toEqual([])
      await one.close()
    }
  })

  test('a database that stays locked is unavailable, and one that is let go is waited for', async () => {
    const holder = await openDatabase(path)
    const waiting = await openRegistry(await openDatabase(path, 400))
    await holder.connection().execute(async (connection) => {
      await sql`begin immediate`.execute(connection)
      const refused = waiting.registerService('s', {}, 1, 0)
      await expect(refused).rejects.toThrow(UnavailableError)
      await expect(refused).rejects.toThrow(/locked/)
      expect(await waiting.services()).toEqual([])
      const late = waiting.registerService('s', {}, 1, 0)
      await sql`rollback`.execute(connection)
      await late
    })
    expect(await registry.services()).toHaveLength(1)
    await waiting.close()
    await holder.destroy()
  })

  test('a registry of a newer version is refused', async () => {
    const newer = await openDatabase(path)
    await sql`insert into asof_migrations values ('9999_later', '2030-01-01')`.execute(newer)
    const opened = openRegistry(newer)
    await expect(opened).rejects.toThrow(IntegrityError)
    await expect(opened).rejects.toThrow(/9999_later.*newer version/)
    await newer.destroy()
  })
})

describe('runs', () => {
  const opened = {
    runId: 'r1',
    workflowId: 'backfill/x',
    group: 'delays_v1',
    mode: 'backfill' as const,
    range: { from: 0, to: 24 * hour },
    fingerprint: 'f',
    intervals: 24,
    startedAt: 1000,
  }
  const closed = { endedAt: null, rows: null, snapshotId: null, reason: null }

  test('open, change and close', async () => {
    expect(await registry.run('r1')).toBeNull()
    await registry.openRun(opened)
    expect(await registry.run('r1')).toEqual({ ...opened, ...closed, status: 'running' })
    const end = { status: 'published' as const, endedAt: 2000, rows: 7, snapshotId: '9007199254740993' }
    await registry.updateRun('r1', end)
    await registry.updateRun('r1', {})
    expect(await registry.run('r1')).toEqual({ ...opened, ...closed, ...end })
  })

  test('opened twice is one run that starts afresh and keeps when it began', async () => {
    await registry.openRun(opened)
    await registry.updateRun('r1', { status: 'waiting', rows: 3, reason: 'gate' })
    await registry.openRun({ ...opened, intervals: 12, startedAt: 5000 })
    expect(await registry.run('r1')).toEqual({ ...opened, ...closed, status: 'running', intervals: 12 })
  })

  test('are listed newest first, by group', async () => {
    for (const [at, group] of ['a_v1', 'b_v1', 'a_v1'].entries()) {
      await registry.openRun({ ...opened, runId: `r${at}`, group, startedAt: at })
    }
    const ids = async (filter?: Parameters<Registry['runs']>[0]) =>
      (await registry.runs(filter)).map(({ runId }) => runId)
    expect(await ids()).toEqual(['r2', 'r1', 'r0'])
    expect(await ids({ group: 'a_v1' })).toEqual(['r2', 'r0'])
    expect(await ids({ limit: 1 })).toEqual(['r2'])
  })

  test('one that was never opened cannot be updated', async () => {
    await expect(registry.updateRun('nobody', { status: 'failed' })).rejects.toThrow(/run nobody is not in/)
    await expect(registry.updateRun('nobody', {})).rejects.toThrow(InputError)
  })
})

test('gate reports replace those of an earlier judgement; overrides are kept', async () => {
  const report = (name: string): GateReport => ({
    name,
    verdict: 'block',
    sentence: `${name}: no.`,
    figures: { rows: 0, ratio: null },
    violationCount: 1,
    violations: [{ origin: 'ATL', value: null }],
  })
  expect(await registry.gateReports('r1')).toEqual([])
  await registry.saveGateReports('r1', [report('not_empty'), report('unique_rows')], 1)
  await registry.saveGateReports('r1', [report('row_count')], 2)
  await registry.saveGateReports('r2', [], 2)
  expect(await registry.gateReports('r1')).toEqual([report('row_count')])
  expect(await registry.gateReports('r2')).toEqual([])
  await registry.saveOverride('r1', { name: 'ada', reason: 'known outage' }, 3)
  await registry.saveOverride('r1', { name: 'ada', reason: 'known outage' }, 3)
  await registry.saveOverride('r1', { name: 'bob', reason: 'judged again' }, 5)
  expect(await registry.overrides('r1')).toEqual([
    { name: 'ada', reason: 'known outage', decidedAt: 3 },
    { name: 'bob', reason: 'judged again', decidedAt: 5 },
  ])
  expect(await registry.overrides('r2')).toEqual([])
})

describe('the ledger', () => {
  const entry = (changes: Partial<LedgerEntry>): LedgerEntry => ({
    group: 'delays_v1',
    runId: 'r1',
    fingerprint: 'f1',
    features: { departures: 'd1' },
    ranges: [{ from: 0, to: 3 * hour }],
    ...{ filled: [], reread: [], corrected: [] },
    cadenceMs: hour,
    ...{ readAt: 4000, knownFrom: null, liveFrom: null, letThrough: false },
    snapshotId: '8744736658442914487',
    sequenceNumber: 1,
    publishedAt: 5000,
    ...changes,
  })
  const all = { from: -1e15, to: 1e15 }

  test('starts empty and holds what was published, ends open and closed', async () => {
    expect(await registry.published('delays_v1', all)).toEqual([])
    expect(await registry.ledgerSummary('delays_v1')).toEqual({ intervals: 0, first: null, last: null })
    await registry.recordPublished(entry({}))
    await registry.recordPublished(entry({ group: 'other_v1', runId: 'r9' }))
    const one = (end: number) => ({
      ...{ end, runId: 'r1', fingerprint: 'f1', features: { departures: 'd1' } },
      ...{ filled: [], letThrough: false, sequenceNumber: 1 },
    })
    expect(await registry.published('delays_v1', all)).toEqual([hour, 2 * hour, 3 * hour].map(one))
    expect(await registry.published('delays_v1', { from: hour, to: 2 * hour })).toEqual([one(2 * hour)])
    expect(await registry.ledgerSummary('delays_v1')).toEqual({ intervals: 3, first: hour, last: 3 * hour })
  })

  test('the greater sequence number stays, whatever comes last', async () => {
    const old = entry({})
    const late = entry({ runId: 'r2', ranges: [{ from: hour, to: 2 * hour }], sequenceNumber: 5 })
    for (const order of [
      [old, late],
      [late, old],
      [late, old, late, old],
    ]) {
      const group = `order_${order.map(({ runId }) => runId).join('_')}`
      for (const one of order) await registry.recordPublished({ ...one, group })
      const runs = (await registry.published(group, all)).map(({ runId }) => runId)
      expect(runs, group).toEqual(['r1', 'r2', 'r1'])
    }
  })

  test('knows the features of each interval, and which of them were filled in', async () => {
    const first = entry({})
    const features = { departures: 'd1', late: 'l1' }
    const second = { fingerprint: 'f2', features, runId: 'r2', sequenceNumber: 2 }
    const fill = entry({ ...second, ranges: [], filled: [{ from: 0, to: 2 * hour }] })
    const again = entry({ ...second, runId: 'r3', ranges: [{ from: 0, to: hour }], sequenceNumber: 3 })
    for (const one of [first, fill, again, fill, first]) await registry.recordPublished(one)
    const found = (await registry.published('delays_v1', all)).map((row) => [
      row.runId,
      row.features,
      row.filled,
    ])
    expect(found).toEqual([
      ['r3', features, []],
      ['r2', features, ['late']],
      ['r1', { departures: 'd1' }, []],
    ])
  })

  test('integers are exact: instants before the epoch, snapshot ids, great sequence numbers', async () => {
    const sequenceNumber = Number.MAX_SAFE_INTEGER
    const ranges = [{ from: -2 * hour, to: 0 }]
    await registry.recordPublished(entry({ ranges, sequenceNumber }))
    const rows = await registry.published('delays_v1', all)
    expect(rows.map(({ end }) => end)).toEqual([-hour, 0])
    expect(rows.map((row) => row.sequenceNumber)).toEqual([sequenceNumber, sequenceNumber])
    const db = await openDatabase(path)
    const stored = await db.selectFrom('asof_intervals').select('snapshot_id').distinct().execute()
    expect(stored).toEqual([{ snapshot_id: '8744736658442914487' }])
    await sql`update asof_intervals set sequence_number = 9007199254740993`.execute(db)
    await db.destroy()
    const broken = registry.published('delays_v1', all)
    await expect(broken).rejects.toThrow(IntegrityError)
    await expect(broken).rejects.toThrow(/sequence_number holds 9007199254740993/)
  })

  test('a range off the cadence is refused, and nothing of the entry is kept', async () => {
    for (const bad of [
      { from: 0, to: 90 * 6e4 },
      { from: hour, to: hour },
      { from: 3 * hour, to: hour },
    ]) {
      const ranges = [{ from: 0, to: hour }, bad]
      await expect(registry.recordPublished(entry({ ranges }))).rejects.toThrow(InputError)
    }
    expect((await registry.ledgerSummary('delays_v1')).intervals).toBe(0)
    await registry.recordPublished(entry({ ranges: [] }))
    expect((await registry.ledgerSummary('delays_v1')).intervals).toBe(0)
  })

  test('ten years of hours, in one range and in 43,830 scattered ones, take seconds', async () => {
    const hours = 87_660
    const started = performance.now()
    await registry.recordPublished(entry({ ranges: [{ from: 0, to: hours * hour }] }))
    const scattered = Array.from({ length: hours / 2 }, (_, at) => ({
      from: 2 * at * hour,
      to: (2 * at + 1) * hour,
    }))
    await registry.recordPublished(entry({ runId: 'r2', ranges: scattered, sequenceNumber: 2 }))
    const rows = await registry.published('delays_v1', all)
    const seconds = (performance.now() - started) / 1e3
    expect(rows).toHaveLength(hours)
    expect(
      rows.every(({ end, runId }, at) => end === (at + 1) * hour && runId === (at % 2 ? 'r1' : 'r2')),
    ).toBe(true)
    console.log(`ledger: ${hours} intervals written one and a half times and read in ${seconds.toFixed(2)} s`)
    expect(seconds).toBeLessThan(10)
  })

  test('an interval is settled once its sources were read so long after its end', async () => {
    await registry.recordPublished(entry({ readAt: 3 * hour + 10 }))
    expect(await registry.unsettled('delays_v1', 0)).toEqual([])
    expect(await registry.unsettled('delays_v1', hour)).toEqual([3 * hour])
    expect(await registry.unsettled('delays_v1', 2 * hour)).toEqual([2 * hour, 3 * hour])
    await registry.noteRead('delays_v1', [{ from: hour, to: 2 * hour }], 5 * hour)
    await registry.noteRead('delays_v1', [{ from: hour, to: 2 * hour }], 1)
    expect(await registry.unsettled('delays_v1', 2 * hour)).toEqual([3 * hour])
    expect(await registry.unsettled('delays_v1', 3 * hour)).toEqual([hour, 3 * hour])
  })

  test('a correction is another run’s, what was only read again is not; neither goes back', async () => {
    const correction = entry({
      ...{ runId: 'r2', ranges: [], sequenceNumber: 2, readAt: 9 * hour },
      reread: [{ from: 0, to: 3 * hour }],
      corrected: [{ from: 2 * hour, to: 3 * hour }],
    })
    for (const one of [entry({}), correction, entry({}), correction]) await registry.recordPublished(one)
    const rows = await registry.published('delays_v1', all)
    expect(rows.map(({ runId }) => runId)).toEqual(['r1', 'r1', 'r2'])
    expect(await registry.publishedRunIds('delays_v1')).toEqual(new Set(['r1', 'r2']))
    expect(await registry.unsettled('delays_v1', 6 * hour)).toEqual([])
  })

  test('created timestamps ascend, whatever the clock says; a group goes live once', async () => {
    await expect(registry.nextCreated('delays_v1', 5)).rejects.toThrow(/no ledger/)
    expect(await registry.openLedger('delays_v1', '7')).toEqual({
      ...{ incarnation: '7', liveFrom: null, healedUpTo: 0 },
    })
    const created = await Promise.all([100, 100, 90].map((now) => registry.nextCreated('delays_v1', now)))
    expect(new Set(created)).toEqual(new Set([100, 101, 102]))
    expect(await registry.goLive('delays_v1', 3 * hour)).toBe(3 * hour)
    expect(await registry.goLive('delays_v1', 4 * hour)).toBe(3 * hour)
    // Found again in ledger files: the first refresh and the last created timestamp.
    await registry.recordPublished(entry({ liveFrom: 2 * hour, knownFrom: 900 }))
    expect((await registry.ledgerState('delays_v1'))?.liveFrom).toBe(2 * hour)
    expect(await registry.nextCreated('delays_v1', 5)).toBe(901)
  })

  test('a table that was made again starts with an empty ledger', async () => {
    await registry.openLedger('delays_v1', '7')
    await registry.goLive('delays_v1', hour)
    await registry.recordPublished(entry({}))
    await registry.noteHealed('delays_v1', 1)
    await registry.noteHealed('delays_v1', 0)
    expect(await registry.openLedger('delays_v1', '7')).toMatchObject({ liveFrom: hour, healedUpTo: 1 })
    expect(await registry.openLedger('delays_v1', '8')).toMatchObject({ liveFrom: null, healedUpTo: 0 })
    expect(await registry.published('delays_v1', all)).toEqual([])
  })

  test('waiting runs hold intervals from others', async () => {
    const run = (runId: string) => ({
      ...{ runId, workflowId: 'w', group: 'delays_v1', mode: 'refresh' as const, fingerprint: 'f' },
      ...{ range: { from: 0, to: hour }, intervals: 1, startedAt: 0 },
    })
    await registry.openRun(run('r1'))
    await registry.holdRun('r1', 'parked/r1', [{ from: 0, to: hour }])
    expect(await registry.run('r1')).toMatchObject({ status: 'waiting', workflowId: 'parked/r1' })
    expect(await registry.heldIntervals('delays_v1', 'r2')).toEqual([{ from: 0, to: hour }])
    expect(await registry.heldIntervals('delays_v1', 'r1')).toEqual([])
    await registry.updateRun('r1', { status: 'aborted', endedAt: 1 })
    expect(await registry.heldIntervals('delays_v1', 'r2')).toEqual([])
    // A step that comes after the decision.
    await registry.holdRun('r1', 'parked/r1', [{ from: 0, to: hour }])
    expect(await registry.run('r1')).toMatchObject({ status: 'aborted', workflowId: 'parked/r1' })
    expect(await registry.heldIntervals('delays_v1', 'r2')).toEqual([])
  })

  test('an entry of many ranges is there whole or not at all', async () => {
    const ranges = Array.from({ length: 25_000 }, (_, at) => ({
      from: 2 * at * hour,
      to: (2 * at + 1) * hour,
    }))
    const db = await openDatabase(path)
    await sql`create trigger asof_full before insert on asof_intervals
      when new.interval_end = ${sql.lit(49_001 * hour)} begin select raise(abort, 'disk full'); end`.execute(
      db,
    )
    await db.destroy()
    await expect(registry.recordPublished(entry({ ranges }))).rejects.toThrow(/disk full/)
    expect((await registry.ledgerSummary('delays_v1')).intervals).toBe(0)
  })
})
