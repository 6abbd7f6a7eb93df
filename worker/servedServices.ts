/**
 * The feature services that a reader serves: those of its definitions that are registered, and mean there what they mean
 * here. A model is never served by a function that nobody applied. The registry is asked once per service, at its first
 * request, so that it is not needed from then on.
 */
import { AsofError, type Definitions, type FeatureService } from '../model/index.ts'
import { NotFoundError, type Services } from '../reader/index.ts'
import { describeService, serviceJson, type RegisteredService } from '../registry/index.ts'

/** Between two looks at the registry for services that were not there: whoever asks in a loop costs it nothing. */
const askAgainMs = 1_000

/**
 * @param load the definitions; what it throws for a module that is not there or does not load is said to whoever asks
 * @param registered the services as the registry has them
 */
export function servedServices(
  load: () => Promise<Pick<Definitions, 'services'>>,
  registered: () => Promise<readonly RegisteredService[]>,
): Services {
  const served = new Map<string, FeatureService>()
  const definitions = load().catch((error: unknown) => {
    if (error instanceof AsofError) return error
    throw error
  })
  // Whoever asks first is told; until then it is nobody's error.
  definitions.catch(() => undefined)
  let asked: { readonly atMs: number; readonly answer: Promise<readonly RegisteredService[]> } | null = null
  const askRegistry = () => {
    const now = performance.now()
    if (asked === null || now - asked.atMs > askAgainMs) asked = { atMs: now, answer: registered() }
    return asked.answer
  }
  return {
    async get(name) {
      const there = served.get(name)
      if (there !== undefined) return there
      const known = await definitions
      if (known instanceof AsofError) {
        throw new NotFoundError(`There are no feature services: ${known.message}`)
      }
      const service = known.services.get(name) ?? noService(name, known.services)
      refuseUnapplied(service, await askRegistry())
      served.set(name, service)
      return service
    },
  }
}

function noService(name: string, services: Definitions['services']): never {
  const known = [...services.keys()].sort().join(', ') || 'none'
  throw new NotFoundError(
    `There is no feature service ${JSON.stringify(name)}. The definitions have ${known}; one that was added since the reader started is known once it is started again.`,
  )
}

function refuseUnapplied(service: FeatureService, registered: readonly RegisteredService[]): void {
  const { name } = service
  const definition = registered.find((one) => one.name === name)?.definition ?? null
  const { verdict, sentences } = describeService(name, definition, serviceJson(service))
  if (verdict === 'unchanged' || verdict === 'cosmetic') return
  throw new NotFoundError(
    definition === null
      ? `Feature service ${name} is defined and not registered. Run \`asof apply\`.`
      : `Feature service ${name} is not served, for its definition here is not the registered one: ${sentences.join(' ')} Run \`asof apply\`, or start the reader with the definitions that were applied.`,
  )
}
