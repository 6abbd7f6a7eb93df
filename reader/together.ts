/**
 * Answers that are ready within one turn of the event loop leave together, at its end. To wake a client costs a system more
 * than to answer it from memory; clients that are answered at once are awake for each other. What comes back from a store
 * comes in bursts anyway.
 */
export function together(): () => Promise<void> {
  let waiting: (() => void)[] = []
  const leave = () => {
    const all = waiting
    waiting = []
    for (const resolve of all) resolve()
  }
  return () =>
    new Promise((resolve) => {
      if (waiting.length === 0) setImmediate(leave)
      waiting.push(resolve)
    })
}
