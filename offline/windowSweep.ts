/**
 * Cuts one entity's events into the windows of a map group, by the rule of all windows (rule 3): a row at every end with
 * an event in `end - over <= time < end`, and one last row, of an empty window, when the entity falls out.
 *
 * Holds one window at a time. An event is seen by the windows that end, with `availableAfter`, at its arrival or later.
 */
import type { EpochMs, IntervalRange } from '../model/time.ts'

export interface SweptEvent {
  /** Microseconds since the epoch. */
  readonly us: number
  /** When it arrived, where the source says so. */
  readonly arrivedUs: number | null
}

export interface SweepLengths {
  readonly range: IntervalRange
  readonly everyMs: number
  readonly overMs: number
  readonly availableAfterMs: number
}

export interface WindowSweep<Event extends SweptEvent> {
  /** The entity's next event; they come in the order of their times. */
  push(event: Event): void
  /** There are no more. */
  finish(): void
}

export function windowSweep<Event extends SweptEvent>(
  { range, everyMs, overMs, availableAfterMs }: SweepLengths,
  emit: (end: EpochMs, events: readonly Event[]) => void,
): WindowSweep<Event> {
  const [every, over, available] = [everyMs * 1000, overMs * 1000, availableAfterMs * 1000]
  const [first, last] = [range.from * 1000, range.to * 1000]
  // The end before the range makes no row, but tells who falls out at the first one that does.
  let end = first
  let wasLive = false
  let held: Event[] = []
  const judgeEndsUpTo = (us: number) => {
    while (end <= us && end <= last) {
      if (held.length === 0 && !wasLive) {
        end += (Math.floor((us - end) / every) + 1) * every
        return
      }
      held = held.filter((event) => event.us >= end - over)
      const seen = held.filter(({ arrivedUs }) => arrivedUs === null || arrivedUs <= end + available)
      const isLive = seen.length > 0
      if (end > first && (isLive || wasLive)) emit(end / 1000, seen)
      wasLive = isLive
      end += every
    }
  }
  return {
    push(event) {
      judgeEndsUpTo(event.us)
      held.push(event)
    },
    finish: () => judgeEndsUpTo(last),
  }
}
