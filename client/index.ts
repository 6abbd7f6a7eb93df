/**
 * Asof from an application: asks for work and waits for it. It needs Temporal and nothing of the store.
 *
 *     import { Client, Connection } from '@temporalio/client'
 *     import { startTrainingSet } from 'asof/client'
 *
 *     const client = new Client({ connection: await Connection.connect() })
 *     const { plan, result } = await startTrainingSet(client, { taskQueue: 'asof' }, {
 *       name: 'late_departure',
 *       service: 'delay_model_v1',
 *       labels: { path: '/data/labels.parquet', time: 'date' },
 *     })
 *     console.log(plan.id, (await result()).manifestPath)
 */
export type { LabelsRequest, TrainingRequest } from '../model/training.ts'
export type { FinishedTraining, PlannedTraining } from '../workflows/contract.ts'
export { taskQueue } from '../workflows/names.ts'
export { InputError } from '../model/errors.ts'
export { resultOf } from './resultOf.ts'
export { startTrainingSet, type TrainingJob } from './startTrainingSet.ts'
