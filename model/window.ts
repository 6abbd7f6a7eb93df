/** How far a window reaches back, in milliseconds. */
import type { Window } from './feature.ts'
import { durationMs } from './time.ts'

/** Infinity for an unbounded window. */
export const windowMs = (over: Window): number => (over === 'unbounded' ? Infinity : durationMs(over))
