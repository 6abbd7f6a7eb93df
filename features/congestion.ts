/** How full an airport has been against its own day: two aggregates at once, which a query says in one go. */
import { feature, inRange, notEmpty, nullRate, queryGroup, uniqueRows } from '../model/index.ts'
import { airport } from './airports.ts'
import { flights } from './flights.ts'

export const airportCongestion = queryGroup({
  name: 'airport_congestion',
  version: 1,
  owner: 'delays@example.com',
  description: 'How crowded the busiest hour of an airport was, every day',
  entity: airport,
  sources: [flights],
  every: '1d',
  availableAfter: '15m',
  ttl: '7d',
  sql: `
    WITH hours AS (
      SELECT origin, date_trunc('hour', date) AS hour, count(*) AS departures, avg(delay) AS mean_delay
      FROM flights WHERE date >= $from AND date < $to
      GROUP BY origin, hour
    )
    SELECT origin, $to AS event_timestamp,
      max(departures) AS busiest_hour_departures,
      max(departures) / avg(departures) AS peak_ratio,
      CAST(max_by(mean_delay, (departures, hour)) AS DOUBLE) AS busiest_hour_delay
    FROM hours GROUP BY origin`,
  features: {
    busiest_hour_departures: feature('int64'),
    peak_ratio: feature('float64', {
      description: 'Busiest hour against the mean of the hours with departures',
    }),
    busiest_hour_delay: feature('float64', { description: 'Mean delay in minutes in the busiest hour' }),
  },
  gates: [notEmpty(), uniqueRows(), nullRate('peak_ratio', { max: 0 }), inRange('peak_ratio', 1, 24)],
})
