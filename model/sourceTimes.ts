/** What every source says of its times, files and SQL alike. */
import { z } from 'zod'
import { InputError } from './errors.ts'
import type { Source } from './source.ts'
import { durationMs, parseInstant } from './time.ts'

const knownTimeZone = (zone: string) => {
  try {
    return Boolean(new Intl.DateTimeFormat('en', { timeZone: zone }))
  } catch {
    return false
  }
}

const check = (read: (text: string) => unknown) => (text: string, context: z.core.$RefinementCtx<string>) => {
  try {
    read(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof InputError ? error.message : String(error) })
  }
}

/** Fields of a source's schema. */
export const sourceTimes = {
  timestamp: z.string().min(1, 'name the column with the time of the event'),
  timeZone: z
    .string()
    .refine(knownTimeZone, "not a time zone; use an IANA name such as 'UTC' or 'America/New_York'")
    .optional(),
  nonexistent: z.enum(['refuse', 'shift-forward']).optional(),
  ambiguous: z.enum(['earlier', 'later', 'refuse']).optional(),
  arrival: z.string().min(1, 'name the column with the time of arrival').optional(),
  completeFrom: z.string().superRefine(check(parseInstant)).optional(),
  retention: z.string().superRefine(check(durationMs)).optional(),
}

export function checkTimes(
  { timestamp, arrival, timeZone, nonexistent, ambiguous }: Source,
  what: string,
): void {
  if (arrival === timestamp) {
    throw new InputError(
      `${what}: arrival: ${JSON.stringify(arrival)} is the timestamp column itself. Name the column with the time at which an event came in, or leave arrival out.`,
    )
  }
  if (timeZone === undefined && (nonexistent ?? ambiguous) !== undefined) {
    throw new InputError(
      `${what}: ${nonexistent === undefined ? 'ambiguous' : 'nonexistent'} is about local times, but the source names no zone. Add timeZone, or leave it out.`,
    )
  }
}
