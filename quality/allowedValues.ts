/** Every value that is not null is one of a list; NaN only where the list has it. */
import type { Gate } from '../model/gate.ts'
import { constant, constantProblem } from './constant.ts'
import type { GateContext, QualityGate } from './gate.ts'
import { counted, formatNumber } from './sentences.ts'
import { featureOf, figure, offendingRows } from './sql.ts'

type AllowedValues = Gate<string, 'allowed_values'>

export const allowedValues: QualityGate<'allowed_values'> = {
  refuses: (type, { params }) => {
    const [problem] = params.values.flatMap((value) => constantProblem(value, type) ?? [])
    return problem ?? null
  },
  figures: (gate, context) => ({
    values: `count(staged.${featureOf(gate, context).column})`,
    others: `count(*) FILTER (${isOther(gate, context)})`,
  }),
  judge: ({ params }, figures) => {
    const [values, others] = [figure(figures, 'values'), figure(figures, 'others')]
    const allowed = params.values.length
    return {
      ok: others === 0,
      sentence: `${formatNumber(others)} of ${counted(values, 'value')} ${others === 1 ? 'is' : 'are'} none of the ${formatNumber(allowed)} allowed`,
      violationCount: others,
      figures: { ...figures, allowed },
    }
  },
  violations: (gate, context) => offendingRows(gate, context, isOther(gate, context)),
}

/** Null is in no list and not outside of one either. */
function isOther(gate: AllowedValues, context: GateContext): string {
  const { column, type } = featureOf(gate, context)
  const values = gate.params.values.map((value) => constant(value, type))
  return `staged.${column} NOT IN (${values.join(', ')})`
}
