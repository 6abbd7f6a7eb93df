/** What depends on the flight that is asked about: computed when it is asked. */
import { feature, onDemand } from '../model/index.ts'
import { airportDelays } from './airports.ts'

/** The airport at the other end, whose own departures tell how it is doing. */
export const arrivalDelays = airportDelays.as('arrival', { origin: 'destination' })

/** Miles from which a late departure is partly made up for in the air. */
const longFrom = 1_000

export const connection = onDemand({
  name: 'connection',
  description: 'How the two ends of a flight compare when it departs',
  request: { distance: 'int64' },
  reads: [airportDelays.pick('mean_delay_24h'), arrivalDelays.pick('mean_delay_24h')],
  features: {
    departure_hour: feature('int32', { description: 'Hour of the day, in UTC' }),
    is_long: feature('boolean'),
    delay_difference_24h: feature('float64', { description: 'Minutes by which the arrival runs later' }),
  },
  compute: ({ request: { distance }, features, at }) => {
    const { mean_delay_24h: departure, arrival__mean_delay_24h: arrival } = features
    return {
      departure_hour: new Date(at).getUTCHours(),
      is_long: typeof distance === 'bigint' ? distance >= longFrom : null,
      delay_difference_24h:
        typeof departure === 'number' && typeof arrival === 'number' ? arrival - departure : null,
    }
  },
})
