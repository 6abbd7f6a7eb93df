/** Quality gates: what they check and how a run is judged. */
export { checkGatesFitTypes } from './checkGatesFitTypes.ts'
export type { GateContext } from './gate.ts'
export { historyIntervals, judgeGates, overallVerdict } from './judgeGates.ts'
