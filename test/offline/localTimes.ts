/** Which instants a local time names, said by Intl alone: every offset that the zone has had within two days is tried. */
import { parseInstant } from '../../model/index.ts'

const formats = new Map<string, Intl.DateTimeFormat>()

/** What the zone's clocks show at an instant, read as if it were UTC; both in milliseconds. */
function clockAt(ms: number, zone: string): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric' },
      second: 'numeric',
    })
  formats.set(zone, format)
  const part = Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]))
  const { year = 0, month = 1, day, hour, minute, second } = part
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

/**
 * @param time such as `2024-03-10 02:30:00.123456`
 * @returns the instants at which the zone's clocks showed the time, in microseconds and in order, and the one that it
 * would have been had they not gone forward
 */
export function instantsOf(time: string, zone: string): { instants: number[]; shifted: number } {
  const local = parseInstant(`${time.slice(0, 19).replace(' ', 'T')}Z`)
  const fraction = Number(time.slice(20).padEnd(6, '0'))
  const offsets = Array.from({ length: 4 * 48 + 1 }, (_, quarter) => {
    const at = local + (quarter - 4 * 24) * 9e5
    return clockAt(at, zone) - at
  })
  const micros = (offset: number) => (local - offset) * 1000 + fraction
  const instants = [...new Set(offsets)]
    .filter((offset) => clockAt(local - offset, zone) === local)
    .map(micros)
    .sort((a, b) => a - b)
  return { instants, shifted: micros(offsets[0] ?? 0) }
}
