/** Departures in the United States, January to June 2001: what the example's features are made of. */
import { env, parquet } from '../model/index.ts'

/**
 * One row a departure: `date` (scheduled departure), `delay` (minutes of arrival delay, negative when early),
 * `distance` (miles), `origin` and `destination` (airport codes).
 *
 * The data are `flights-3m.parquet` of the npm package vega-datasets, which has them from the US Bureau of
 * Transportation Statistics. Their times are the airports' local times without a zone; the example takes them as UTC.
 */
export const flights = parquet({
  name: 'flights',
  description: 'US departures of January to June 2001',
  path: env('FLIGHTS_PATH', '.asof/flights'),
  timestamp: 'date',
  timeZone: 'UTC',
  completeFrom: '2001-01-01',
})
