/** Local times over both changes of the clock, in several zones, against what Intl says of every instant around them. */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { csv, json, parquet, parseInstant, type FileSource } from '../../model/index.ts'
import { bindGroup, bindSource, query } from '../../offline/index.ts'
import { selectEvents } from '../../offline/source.ts'
import { instantsOf } from './localTimes.ts'
import { randomFrom } from './random.ts'
import { filesOf, groupOn, inputError, workbench } from './workbench.ts'

const seed = Number(process.env['ASOF_TEST_SEED'] ?? Date.now() % 1e6)
const bench = workbench()
const kinds = { parquet, csv, json }
const formats = ['parquet', 'csv', 'json'] as const
type Rules = Pick<FileSource, 'nonexistent' | 'ambiguous'>

/** Days on whose nights these zones change their clocks, forward and back; Kolkata's only change was in 1945. */
const changes: Record<string, readonly string[]> = {
  'America/New_York': ['2024-03-10', '2024-11-03', '1987-04-05', '1942-02-09'],
  'Europe/Berlin': ['2024-03-31', '2024-10-27', '1980-04-06'],
  'Australia/Lord_Howe': ['2024-10-06', '2024-04-07'],
  'Asia/Kolkata': ['2024-03-31', '1945-10-15'],
  // A whole day was left out, and one in which midnight itself is skipped.
  'Pacific/Apia': ['2011-12-30'],
  'America/Sao_Paulo': ['2018-11-04', '2018-02-18'],
}

let written = 0
/** A file with these local times, each under its number as key. */
async function sourceOf(
  format: (typeof formats)[number],
  timeZone: string,
  times: readonly string[],
  rules: Rules,
): Promise<FileSource> {
  const name = `local-${(written += 1)}`
  const lines = times.map((t, n) => JSON.stringify({ t, k: `e${n}` })).join('\n')
  const raw = await bench.write(`${name}.lines`, lines)
  const path = join(bench.folder, `${name}.${format}`)
  const time = format === 'parquet' ? 'CAST(t AS TIMESTAMP) AS t' : 't'
  await query(
    bench.connection,
    `COPY (SELECT ${time}, k FROM read_json('${raw}', format = 'newline_delimited', columns = {t: 'VARCHAR', k: 'VARCHAR'})) TO '${path}' (FORMAT ${format})`,
  )
  return kinds[format]({ name: 'events', path, timestamp: 't', timeZone, ...rules })
}

async function instantsRead(source: FileSource): Promise<Map<string, number>> {
  const relation = await bindSource(bench.connection, source, await filesOf(source))
  const events = selectEvents(relation, [{ name: 'k', as: 'k0' }])
  const rows = await query(bench.connection, events)
  return new Map(rows.map((row) => [String(row['k0']), Number(row['event_us'])]))
}

/** Every five minutes of the night of a change and random times of the days around it, to the microsecond. */
function timesAround(day: string, random: ReturnType<typeof randomFrom>): string[] {
  const midnight = parseInstant(day)
  const text = (ms: number, micros = '000') =>
    `${new Date(ms).toISOString().slice(0, 23)}${micros}`.replace('T', ' ')
  const night = Array.from({ length: 60 }, (_, n) => text(midnight - 36e5 + n * 3e5))
  const around = Array.from({ length: 40 }, () =>
    text(midnight + Math.floor((random.next() - 0.5) * 4 * 864e5), String(100 + random.below(900))),
  )
  return [...night, ...around]
}

describe(`local times (seed ${seed})`, () => {
  console.log(`zones.test.ts: ASOF_TEST_SEED=${seed}`)
  const cases = Object.keys(changes).flatMap((zone) => formats.map((format) => [zone, format] as const))

  test.each(cases)('%s in %s', { timeout: 120_000 }, async (zone, format) => {
    const random = randomFrom(seed)
    const times = (changes[zone] ?? []).flatMap((day) => timesAround(day, random))
    const found = times.map((time) => instantsOf(time, zone))
    for (const ambiguous of ['earlier', 'later', undefined] as const) {
      const rules = {
        nonexistent: 'shift-forward' as const,
        ...(ambiguous === undefined ? {} : { ambiguous }),
      }
      const read = await instantsRead(await sourceOf(format, zone, times, rules))
      const wrong = times.flatMap((time, n) => {
        const { instants, shifted } = found[n] ?? { instants: [], shifted: Number.NaN }
        const wanted = (ambiguous === 'earlier' ? instants[0] : instants.at(-1)) ?? shifted
        const got = read.get(`e${n}`)
        return got === wanted ? [] : [`${time}: ${got}, not ${wanted}`]
      })
      expect(wrong.slice(0, 5), `${zone} ${String(ambiguous)}`).toEqual([])
    }
    const [never, twice] = [
      found.filter(({ instants }) => instants.length === 0).length,
      found.filter(({ instants }) => instants.length === 2).length,
    ]
    expect(never > 0 || zone === 'Asia/Kolkata').toBe(true)
    const bound = async (rules: Rules) => {
      const source = await sourceOf(format, zone, times, rules)
      return bindGroup(bench.connection, groupOn(source), await filesOf(source))
    }
    if (never > 0) {
      expect(await inputError(bound({}))).toContain(
        `${never} local times that ${zone} does not have, the first '`,
      )
    }
    if (twice > 0) {
      const refused = bound({ nonexistent: 'shift-forward', ambiguous: 'refuse' })
      expect(await inputError(refused)).toContain(`${twice} local times that ${zone} has twice, the first '`)
    }
  })
})

describe('what is refused', () => {
  const spring = ['2024-03-10 01:59:59', '2024-03-10 02:30:00', '2024-03-10 02:00:00', '2024-03-10 03:00:00']

  test.each(formats)(
    'a time that does not exist, in %s: how many, the first and the cure',
    async (format) => {
      const source = await sourceOf(format, 'America/New_York', spring, {})
      const refused = bindGroup(bench.connection, groupOn(source), await filesOf(source))
      expect(await inputError(refused)).toBe(
        "source events: column t has 2 local times that America/New_York does not have, the first '2024-03-10 02:00:00': clocks go forward over them. Correct the zone, or say what they are: nonexistent: 'shift-forward'.",
      )
    },
  )

  test('rules without a zone, and arrivals that are the timestamp', () => {
    const of = (more: object) => () => parquet({ name: 'events', path: 'x', timestamp: 't', ...more })
    expect(of({ nonexistent: 'shift-forward' })).toThrow(
      /nonexistent is about local times, but the source names no zone/,
    )
    expect(of({ ambiguous: 'earlier' })).toThrow(/ambiguous is about local times/)
    expect(of({ arrival: 't' })).toThrow(/arrival: "t" is the timestamp column itself/)
    expect(of({ timeZone: 'UTC', ambiguous: 'both' })).toThrow(/ambiguous/)
  })
})

test.each(['csv', 'json'] as const)('text in %s may have a space before its zone', async (format) => {
  const times = ['2024-01-01 06:00:00 +02:00', '2024-01-01T06:00 Z', '2024-01-01 06:00:00.25 -0530']
  const source = await sourceOf(format, 'UTC', times, {})
  const read = await instantsRead(source)
  expect([...read].sort().map(([, us]) => new Date(us / 1000).toISOString())).toEqual([
    '2024-01-01T04:00:00.000Z',
    '2024-01-01T06:00:00.000Z',
    '2024-01-01T11:30:00.250Z',
  ])
})
