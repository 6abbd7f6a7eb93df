/** How punctual routes have been, every day. */
import {
  count,
  entity,
  featureGroup,
  inRange,
  le,
  mean,
  min,
  notEmpty,
  rowCount,
  share,
  uniqueRows,
} from '../model/index.ts'
import { flights } from './flights.ts'

export const route = entity({
  name: 'route',
  description: 'A pair of airports that are flown between',
  keys: { origin: 'string', destination: 'string' },
})

export const routePunctuality = featureGroup({
  name: 'route_punctuality',
  version: 1,
  owner: 'delays@example.com',
  description: 'How punctual the flights of a route have been',
  entity: route,
  source: flights,
  every: '1d',
  availableAfter: '15m',
  lateness: '2d',
  ttl: '7d',
  features: {
    flights_7d: count({ over: '7d' }),
    on_time_share_7d: share(le('delay', 15), {
      over: '7d',
      description: 'Share of flights at most 15 minutes late',
    }),
    mean_delay_7d: mean('delay', { over: '7d', description: 'Minutes; early flights count as negative' }),
    best_delay_7d: min('delay', { over: '7d' }),
  },
  gates: [
    notEmpty(),
    uniqueRows(),
    inRange('on_time_share_7d', 0, 1),
    rowCount({ min: 0.5, max: 2, last: 7 }),
  ],
})
