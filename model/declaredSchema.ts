/** How a declared feature is checked: its type is known, and its default is a value of it. */
import { z } from 'zod'
import { featureDefault, featureType } from './featureSchema.ts'

export const declaredFeature = z.strictObject({
  kind: z.literal('declared'),
  type: featureType,
  description: z.string().optional(),
  default: featureDefault.optional(),
})
