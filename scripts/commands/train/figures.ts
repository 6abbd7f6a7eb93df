/** How figures of training sets are written. */
import { formatInstant } from '../../../model/index.ts'

/** A share as a percentage; of no rows there is none. */
export const percent = (share: number | null): string =>
  share === null ? '-' : `${(100 * share).toFixed(1)} %`

/** To the second. */
export const moment = (ms: number | null): string =>
  ms === null ? '-' : formatInstant(Math.floor(ms / 1000) * 1000)

export const shortHash = (hash: string | null): string => hash?.slice(0, 12) ?? '-'
