/** What SQL says badly: how a route's delays run in a row. */
import { feature, inRange, mapGroup, notEmpty, uniqueRows, type MapInput } from '../model/index.ts'
import { flights } from './flights.ts'
import { route } from './routes.ts'

/** Minutes from which a flight counts as late. */
const lateFrom = 15

/** Flights in a row that were late: the longest run, and the one that is still going on. */
function lateStreaks(events: MapInput['events']): { longest: number; current: number } {
  let [longest, current] = [0, 0]
  for (const { delay } of events) {
    if (delay === null || delay === undefined) continue
    current = Number(delay) > lateFrom ? current + 1 : 0
    longest = Math.max(longest, current)
  }
  return { longest, current }
}

export const routeStreaks = mapGroup({
  name: 'route_streaks',
  version: 1,
  owner: 'delays@example.com',
  description: 'How many flights of a route have been late in a row',
  entity: route,
  source: flights,
  every: '1d',
  availableAfter: '15m',
  lateness: '2d',
  ttl: '7d',
  over: '7d',
  columns: ['delay'],
  map: ({ events }) => {
    const { longest, current } = lateStreaks(events)
    return { longest_late_streak_7d: longest, current_late_streak_7d: current }
  },
  features: {
    longest_late_streak_7d: feature('int32', {
      description: 'Flights over 15 minutes late, one after another',
    }),
    current_late_streak_7d: feature('int32', { description: 'The same up to now', default: 0 }),
  },
  gates: [notEmpty(), uniqueRows(), inRange('longest_late_streak_7d', 0, 10_000)],
})
