/** Which services a reader serves: those whose definition is the registered one. */
import { expect, test } from 'vitest'
import { InputError, type FeatureService } from '../../model/index.ts'
import { serviceJson, type RegisteredService } from '../../registry/index.ts'
import { servedServices } from '../../worker/servedServices.ts'
import { shopSales, tradeModel } from '../fixtures/trainingRequests.ts'

const registeredAs = (service: FeatureService): RegisteredService => ({
  ...{ name: service.name, definition: serviceJson(service), revision: 1 },
})
const { name } = tradeModel
const servedWith = (registered: readonly RegisteredService[], service: FeatureService = tradeModel) =>
  servedServices(
    () => Promise.resolve({ services: new Map([[service.name, service]]) }),
    () => Promise.resolve(registered),
  )

test('a registered service is served, whatever its prose says now', async () => {
  expect(await servedWith([registeredAs(tradeModel)]).get(name)).toBe(tradeModel)
  const other = { ...tradeModel, description: 'Another sentence' }
  expect(await servedWith([registeredAs(other)]).get(name)).toBe(tradeModel)
})

test('one that nobody applied is not, until somebody does', async () => {
  const registered: RegisteredService[] = []
  const services = servedWith(registered)
  await expect(services.get(name)).rejects.toThrow(
    /trade_model_v1 is defined and not registered. Run `asof apply`/,
  )
  registered.push(registeredAs(tradeModel))
  expect(await services.get(name)).toBe(tradeModel)
})

test('nor is one that means something else than what was applied', async () => {
  const [first] = tradeModel.onDemand ?? []
  const changed = { ...tradeModel, onDemand: first === undefined ? [] : [{ ...first, codeHash: 'other' }] }
  await expect(servedWith([registeredAs(tradeModel)], changed).get(name)).rejects.toThrow(
    /not the registered one: .*code of the function.*Run `asof apply`, or start the reader with the definitions that were applied/,
  )
  const longer = { ...tradeModel, features: [...tradeModel.features, shopSales.pick('mean_price_1d')] }
  await expect(servedWith([registeredAs(tradeModel)], longer).get(name)).rejects.toThrow(/added at the end/)
  await expect(servedWith([registeredAs(longer)]).get(name)).rejects.toThrow(/not the registered one/)
})

test('what is not known is said with what is, and why nothing is', async () => {
  await expect(servedWith([]).get('other')).rejects.toThrow(
    /no feature service "other". The definitions have trade_model_v1/,
  )
  const broken = servedServices(
    () => Promise.reject(new InputError('The definitions ./features do not load: no such file')),
    () => Promise.resolve([]),
  )
  await expect(broken.get(name)).rejects.toThrow(
    /no feature services: The definitions .\/features do not load/,
  )
})

test('the registry is asked once for a service that is served, and not in a loop for one that is not', async () => {
  let asked = 0
  const services = (registered: readonly RegisteredService[]) =>
    servedServices(
      () => Promise.resolve({ services: new Map([[name, tradeModel]]) }),
      () => {
        asked += 1
        return Promise.resolve(registered)
      },
    )
  const there = services([registeredAs(tradeModel)])
  for (let n = 0; n < 10; n++) await there.get(name)
  expect(asked).toBe(1)
  const away = services([])
  for (let n = 0; n < 10; n++) await expect(away.get(name)).rejects.toThrow(/not registered/)
  expect(asked).toBe(2)
})
