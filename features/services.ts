/** What models take. */
import { featureService } from '../model/index.ts'
import { airportDelays } from './airports.ts'
import { arrivalDelays, connection } from './connections.ts'
import { routePunctuality } from './routes.ts'

export const delayModel = featureService({
  name: 'delay_model_v1',
  description: 'Will this flight be late?',
  features: [
    airportDelays.pick('mean_delay_24h', 'late_share_7d', 'departures_1h'),
    routePunctuality.pick('on_time_share_7d', 'mean_delay_7d'),
  ],
})

export const connectionModel = featureService({
  name: 'connection_model_v1',
  description: 'Will this flight arrive in time for the next one?',
  features: [airportDelays.pick('mean_delay_24h', 'late_share_7d'), arrivalDelays.pick('mean_delay_24h')],
  onDemand: [connection],
})
