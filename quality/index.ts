/** Quality gates: what they check and how a run is judged. */
export { bindQueryGates } from './bindQueryGates.ts'
export { checkGatesFitTypes } from './checkGatesFitTypes.ts'
export type { GateContext, History } from './gate.ts'
export { historyIntervals, judgeGates, overallVerdict } from './judgeGates.ts'
