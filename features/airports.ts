/** How airports have been doing, every hour. */
import {
  count,
  entity,
  featureGroup,
  gt,
  inRange,
  max,
  mean,
  notEmpty,
  nullRate,
  rowCount,
  share,
  sum,
  uniqueRows,
} from '../model/index.ts'
import { flights } from './flights.ts'

export const airport = entity({
  name: 'airport',
  description: 'An airport with scheduled departures',
  keys: { origin: 'string' },
})

export const airportDelays = featureGroup({
  name: 'airport_delays',
  version: 1,
  owner: 'delays@example.com',
  description: 'How late departures have been running at an airport',
  entity: airport,
  source: flights,
  every: '1h',
  availableAfter: '15m',
  lateness: '6h',
  ttl: '7d',
  features: {
    departures_1h: count({ over: '1h', description: 'Departures of the last hour' }),
    departures_24h: count({ over: '24h' }),
    mean_delay_24h: mean('delay', { over: '24h', description: 'Minutes; early flights count as negative' }),
    max_delay_24h: max('delay', { over: '24h' }),
    late_departures_24h: count({ over: '24h', where: gt('delay', 15) }),
    late_share_7d: share(gt('delay', 15), {
      over: '7d',
      description: 'Share of flights over 15 minutes late',
    }),
    mean_delay_7d: mean('delay', { over: '7d' }),
    miles_7d: sum('distance', { over: '7d' }),
  },
  gates: [
    notEmpty(),
    uniqueRows(),
    nullRate('mean_delay_7d', { max: 0.01 }),
    inRange('late_share_7d', 0, 1),
    // Minutes: nobody is two days late. A batch in seconds is.
    inRange('max_delay_24h', -1440, 2880),
    rowCount({ min: 0.5, max: 2, last: 168 }),
  ],
})
