/**
 * Of the entities that were served before, at least a share has a row in the run.
 *
 * Served before means a row in the published intervals that the gate looks back at whose created timestamp is not null:
 * a row that was never known was never served.
 */
import type { Gate } from '../model/gate.ts'
import type { GateContext, QualityGate } from './gate.ts'
import { counted, formatNumber, formatShare } from './sentences.ts'
import { figure, instantText, keyTexts, quoteName } from './sql.ts'

type Coverage = Gate<string, 'coverage'>

export const coverage: QualityGate<'coverage'> = {
  refuses: () => null,
  figures: (gate, context) => ({
    served: `(SELECT count(*) FROM ${served(gate, context)} AS served)`,
    covered: `(SELECT count(*) FROM ${served(gate, context)} AS served
      SEMI JOIN ${context.staged} AS staged USING (${names(context)}))`,
  }),
  judge: ({ params: { min, last } }, figures, context) => {
    const [before, covered] = [figure(figures, 'served'), figure(figures, 'covered')]
    const { intervals } = context.published(last)
    if (before === 0) {
      return {
        ok: true,
        sentence: 'no entity was served before',
        violationCount: 0,
        figures: { ...figures, share: null, min },
      }
    }
    const share = covered / before
    const ok = share >= min
    return {
      ok,
      sentence: `${formatNumber(covered)} of the ${counted(before, 'entity', 'entities')} of the last ${counted(intervals, 'interval')} published before ${covered === 1 ? 'has' : 'have'} a row (${formatShare(share)}), at least ${formatShare(min)} must`,
      violationCount: ok ? 0 : before - covered,
      figures: { ...figures, share, min },
    }
  },
  violations: (gate, context) => `SELECT ${keyTexts(context, 'served').join(', ')},
  ${instantText('served.event_timestamp')} AS "last served"
FROM ${served(gate, context)} AS served ANTI JOIN ${context.staged} AS staged USING (${names(context)})
ORDER BY ${context.keys.map((key) => `served.${quoteName(key)}`).join(', ')}`,
}

/** One row an entity: its keys and the event timestamp of its newest row. */
function served({ params }: Coverage, context: GateContext): string {
  return `(SELECT ${names(context)}, max(event_timestamp) AS event_timestamp
    FROM ${context.published(params.last).relation} AS published
    WHERE created_timestamp IS NOT NULL GROUP BY ${names(context)})`
}

function names({ keys }: GateContext): string {
  return keys.map(quoteName).join(', ')
}
