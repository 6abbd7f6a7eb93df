/** Golden JSON: written, and compared line of meaning by line of meaning. */

/** With a line break at the end, as editors leave files. */
export const goldenText = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

/** One sentence for each leaf that differs. */
export function goldenDifferences(before: unknown, after: unknown, path = ''): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return []
  const [old, now] = [entriesOf(before), entriesOf(after)]
  if (old === null || now === null) return [`${path}: was ${shown(before)}, is ${shown(after)} now`]
  const names = new Set([...old.keys(), ...now.keys()])
  const below = [...names].flatMap((name) =>
    goldenDifferences(old.get(name), now.get(name), path === '' ? name : `${path}.${name}`),
  )
  return below.length > 0 ? below : [`${path}: the order has changed`]
}

function entriesOf(value: unknown): Map<string, unknown> | null {
  return typeof value === 'object' && value !== null ? new Map(Object.entries(value)) : null
}

const shown = (value: unknown) => (value === undefined ? 'not there' : JSON.stringify(value))
