/**
 * What on-demand features mean to a model that was trained on them: their code, what it is given and what it makes. The
 * registry compares it, and a training set pins its hash.
 */
import type { OnDemand } from '../model/onDemand.ts'
import { canonicalJson, type Json } from './canonicalJson.ts'
import { onDemandJson, type JsonFields } from './definition.ts'
import { isFields } from './differences.ts'
import { hash } from './fingerprint.ts'

/** By field of the table of changes. The order of reads says nothing, for the function takes them by name. */
export function onDemandMeaning({ name, request, reads, features, codeHash }: JsonFields): JsonFields {
  const made = fieldsOf(features).map((feature) => [feature['name'] ?? null, feature['type'] ?? null])
  return {
    ...{ name: name ?? null, request: request ?? {}, codeHash: codeHash ?? null },
    reads: selectedFeatures(reads).sort(),
    features: made,
  }
}

/** Hex of a SHA-256 over the name, the request, what is read, what is made and the code; not over prose or defaults. */
export function onDemandHash(onDemand: OnDemand): string {
  return hash({ onDemand: onDemandMeaning(onDemandJson(onDemand)) })
}

/** `group.feature`, and in a role `group.feature as role (key from column)`, in the order of the selections. */
export function selectedFeatures(selections: Json | undefined): string[] {
  return fieldsOf(selections).flatMap(({ group, features, role, keys }) => {
    const columns = Object.entries(isFields(keys) ? keys : {}).map(
      ([key, column]) => `${key} from ${textOf(column)}`,
    )
    const place = typeof role === 'string' ? ` as ${role} (${columns.join(', ')})` : ''
    return typeof group === 'string' && isList(features)
      ? features.map((feature) => `${group}.${textOf(feature)}${place}`)
      : []
  })
}

/** The objects of a list; none where it is no list. */
export const fieldsOf = (value: Json | undefined): JsonFields[] =>
  isList(value) ? value.filter(isFields) : []

export const textOf = (value: Json | undefined) =>
  typeof value === 'string' ? value : canonicalJson(value ?? null)

const isList = (value: unknown): value is readonly Json[] => Array.isArray(value)
