/** SQL text: names, values as text, and the columns by which a violating row is recognised. */
import { IntegrityError } from '../model/errors.ts'
import type { FeatureType } from '../model/feature.ts'
import { gateName, type Gate } from '../model/gate.ts'
import type { GateContext } from './gate.ts'

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text constant. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** An instant as ISO text in UTC, whatever the session's time zone is. */
export function instantText(column: string): string {
  return `strftime(make_timestamp(epoch_us(${column})), '%Y-%m-%dT%H:%M:%S.%fZ')`
}

export function asText(column: string, type: FeatureType): string {
  return type === 'timestamp' ? instantText(column) : `CAST(${column} AS VARCHAR)`
}

/** The gate's feature, or one of its features, and its type. @throws IntegrityError where the context has no such one. */
export function featureOf(
  gate: Gate,
  context: GateContext,
  feature: string | null = gate.feature,
): { column: string; type: FeatureType } {
  const type = feature === null ? undefined : context.features[feature]
  if (feature === null || type === undefined) {
    throw new IntegrityError(`gate ${gateName(gate)}: the staged rows have no such feature.`, {
      gate: gateName(gate),
    })
  }
  return { column: quoteName(feature), type }
}

export function figure(figures: Readonly<Record<string, number | null>>, name: string): number {
  return figures[name] ?? 0
}

/** What names a row: keys, event and created timestamp. */
export function rowColumns({ keys }: GateContext): string[] {
  return [...keys.map(quoteName), 'event_timestamp', 'created_timestamp']
}

/** The keys of a relation as select items of text. */
export function keyTexts({ keys }: GateContext, relation: string): string[] {
  return keys.map((key) => `${asText(`${relation}.${quoteName(key)}`, 'string')} AS ${quoteName(key)}`)
}

/** `rowColumns` as select items of text. */
export function rowTexts(context: GateContext): string[] {
  return [
    ...keyTexts(context, 'staged'),
    ...['event_timestamp', 'created_timestamp'].map(
      (column) => `${instantText(`staged.${column}`)} AS ${column}`,
    ),
  ]
}

/** The staged rows that meet a condition on the gate's feature. */
export function offendingRows(gate: Gate, context: GateContext, condition: string): string {
  const { column, type } = featureOf(gate, context)
  const order = [...rowColumns(context), column].map((name) => `staged.${name}`)
  return `SELECT ${[...rowTexts(context), `${asText(`staged.${column}`, type)} AS ${column}`].join(', ')}
FROM ${context.staged} AS staged
WHERE ${condition}
ORDER BY ${order.join(', ')}`
}
