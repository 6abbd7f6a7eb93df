/** What the compiler refuses to ask, and what it knows of answers. Nothing here is executed. */
import type { Answer, OnlineClient } from '../../client/online/index.ts'
import type { FeatureService, ValuesIn } from '../../model/index.ts'
import { arrival, delays, model } from './servedModel.ts'

// @ts-expect-error the group has no such feature
export type Nobody = ValuesIn<typeof delays>['nobody']

export const asks = (client: OnlineClient, some: FeatureService, name: string) => [
  // @ts-expect-error a route has two ends
  () => client.get(model, { origin: 'ATL' }),
  // @ts-expect-error a key has the type of its column
  () => client.get(delays, { origin: 7 }),
  // @ts-expect-error nor may it be forgotten: null is said
  () => client.get(delays, { origin: undefined }),
  // @ts-expect-error a group in a role is asked by the role's columns
  () => client.get(arrival, { origin: 'ATL' }),
  // @ts-expect-error a misspelt column is none
  () => client.get(delays, { origin: 'ATL', orgin: 'ATL' }),
  // @ts-expect-error a name is no definition
  () => client.get('delays_v1', { origin: 'ATL' }),
  // @ts-expect-error a count may be null
  async (): Promise<bigint> => (await client.get(delays, { origin: 'ATL' })).values.departures,
  // @ts-expect-error and is a bigint
  async (): Promise<number | null> => (await client.get(delays, { origin: 'ATL' })).values.departures,
  // @ts-expect-error many are a list
  () => client.getMany(delays, { origin: 'ATL' }),

  () => client.get(delays, { origin: null }),
  async (): Promise<number> => (await client.get(delays, { origin: 'ATL' })).values.delay,
  async (): Promise<number[]> =>
    (await client.getMany(arrival, [{ destination: 'JFK' }])).map(({ values }) => values.arrival__delay),
  // Whoever knows no more than that it is a service asks by names, and gets whatever there is.
  async (): Promise<Answer> => client.get(some, { [name]: 'ATL' }),
]
