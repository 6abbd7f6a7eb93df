/** How aggregates are checked when their group is made: each has exactly the parameters that it takes. */
import { z } from 'zod'
import { aggregates, type AggregateFeature } from './feature.ts'
import { parseFeatureType } from './featureType.ts'
import { durationMs } from './time.ts'

const scalar = z.union([z.string(), z.number(), z.bigint(), z.boolean()])
export const featureDefault = z.union([scalar, z.array(scalar)])

export const featureType = z
  .string()
  .refine(
    (text) => parseFeatureType(text) !== null,
    "not a type; use boolean, int32, int64, float32, float64, string, timestamp, a list such as 'list<string>', or a vector such as 'vector<384>'",
  )

/** Longer lists are no features: they would outgrow the online store's values. */
const longestList = 1000
const mostBuckets = 100

const window = z.string().superRefine((text, context) => {
  if (text === 'unbounded') return
  try {
    if (durationMs(text) === 0) context.addIssue({ code: 'custom', message: 'must be longer than nothing' })
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
  }
})

export const aggregateFeature = z
  .strictObject({
    kind: z.literal('aggregate'),
    aggregate: z.enum(aggregates),
    column: z.string().min(1).nullable(),
    condition: z.any(),
    where: z.any(),
    over: window,
    q: z.number().optional(),
    k: z.number().optional(),
    edges: z.array(z.number()).optional(),
    description: z.string().optional(),
    fix: z.string().min(1, 'say what was wrong').optional(),
    default: featureDefault.optional(),
  })
  .superRefine((feature, context) => {
    const message = wrongParameter(feature)
    if (message !== null) context.addIssue({ code: 'custom', message })
  })

function wrongParameter({
  aggregate,
  q,
  k,
  edges,
}: Pick<AggregateFeature, 'aggregate' | 'q' | 'k' | 'edges'>) {
  switch (aggregate) {
    case 'quantile':
      return q !== undefined && q >= 0 && q <= 1 ? null : `q ${q} is not a share. Use a number from 0 to 1.`
    case 'topK':
    case 'bottomK':
    case 'firstK':
    case 'lastK':
      return k !== undefined && Number.isInteger(k) && k >= 1 && k <= longestList
        ? null
        : `k ${k} is not how many. Use a whole number from 1 to ${longestList}.`
    case 'histogram':
      return edges !== undefined && areEdges(edges)
        ? null
        : `edges ${JSON.stringify(edges)} make no buckets. Use 2 to ${mostBuckets + 1} finite numbers, each greater than the one before.`
    default:
      return null
  }
}

function areEdges(edges: readonly number[]): boolean {
  const ascend = edges.every((edge, index) => Number.isFinite(edge) && edge > (edges[index - 1] ?? -Infinity))
  return ascend && edges.length >= 2 && edges.length <= mostBuckets + 1
}
