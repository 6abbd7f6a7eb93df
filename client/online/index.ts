/**
 * The online store from an application: a model's vector, with the types of the definitions.
 *
 *     import { createClient } from 'asof/online'
 *     import { delayModel } from './features.ts'
 *
 *     const client = createClient('http://127.0.0.1:8080', { token })
 *     const { values, statuses, groups } = await client.get(delayModel, { origin: 'ATL', destination: 'JFK' })
 *     values.mean_delay_24h // number | null
 *
 * It is a door of its own beside `asof/client`, so that who serves loads no Temporal: it takes Node's fetch, MessagePack
 * and the words of errors, and knows of HTTP what `reader/createReader.ts` says.
 */
export type { Answer, GroupReading, ValueStatus } from './answer.ts'
export { createClient, type CallOptions, type ClientOptions, type OnlineClient } from './createClient.ts'
export type { Asked, Given } from './question.ts'
export { InputError, UnavailableError } from '../../model/errors.ts'
