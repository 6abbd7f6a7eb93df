/** Has DuckDB bind a group's query gates against its table's columns, so that a typing mistake fails registration. */
import { InputError } from '../model/errors.ts'
import { gateName, isGate } from '../model/gate.ts'
import type { FeatureGroup } from '../model/group.ts'
import type { Query } from './judgeGates.ts'
import { bindingOf } from './queryGate.ts'

/**
 * @param rows SQL of an empty relation with the table's columns
 * @throws InputError that names the group and the gate, with what DuckDB says.
 */
export async function bindQueryGates(
  { id, gates }: Pick<FeatureGroup, 'id' | 'gates'>,
  rows: string,
  query: Query,
): Promise<void> {
  for (const gate of gates) {
    if (!isGate(gate, 'query')) continue
    try {
      await query(bindingOf(gate, rows))
    } catch (cause) {
      const said = cause instanceof Error ? cause.message : String(cause)
      throw new InputError(
        `feature group ${id}: gate ${gateName(gate)}: its query does not fit the table. ${said}`,
        { group: id, gate: gateName(gate) },
        { cause },
      )
    }
  }
}
