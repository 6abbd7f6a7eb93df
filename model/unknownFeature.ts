/** How every check says that a feature is not there. */
import { InputError } from './errors.ts'

export function unknownFeature(what: string, name: string, features: object): InputError {
  return new InputError(
    `${what}: there is no feature ${JSON.stringify(name)}. It has ${Object.keys(features).join(', ')}.`,
    { feature: name },
  )
}
