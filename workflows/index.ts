/** Every workflow of Asof. The file names are the workflow types. */
export { backfill } from './backfill.ts'
export { buildTrainingSet } from './buildTrainingSet.ts'
export { janitor } from './janitor.ts'
export { materialize } from './materialize.ts'
export { parkedRun } from './parkedRun.ts'
export { refresh } from './refresh.ts'
