/** The activities, grouped by how long a step may take and what a retry of it means. */
import { proxyActivities } from '@temporalio/workflow'
import type { Activities } from './contract.ts'
import { failureTypes } from './names.ts'

const nonRetryableErrorTypes = Object.values(failureTypes)

/** Short steps: registry, plans, commits. */
export const control = proxyActivities<
  Pick<
    Activities,
    | 'planBackfill'
    | 'planRefresh'
    | 'stageRun'
    | 'publishRun'
    | 'recordRun'
    | 'abandonRun'
    | 'parkRun'
    | 'listGroups'
    | 'takeBackLostRuns'
    | 'finishTraining'
    | 'failTraining'
    | 'trainingState'
  >
>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '1 minute',
  retry: {
    initialInterval: '1 second',
    maximumInterval: '1 minute',
    maximumAttempts: 20,
    nonRetryableErrorTypes,
  },
})

/** Long steps over rows. They heartbeat, so that a worker that died is noticed within a minute. */
export const compute = proxyActivities<
  Pick<
    Activities,
    'computeChunk' | 'judgeRun' | 'sweepTable' | 'sweepTraining' | 'planTraining' | 'buildTrainingPart'
  >
>({
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '1 minute',
  retry: {
    initialInterval: '1 second',
    maximumInterval: '1 minute',
    maximumAttempts: 10,
    nonRetryableErrorTypes,
  },
})

/** The online store may be down for long; what is published waits for it. */
export const serve = proxyActivities<Pick<Activities, 'materializeGroup'>>({
  startToCloseTimeout: '6 hours',
  heartbeatTimeout: '1 minute',
  retry: {
    initialInterval: '1 second',
    maximumInterval: '5 minutes',
    maximumAttempts: 100,
    nonRetryableErrorTypes,
  },
})
