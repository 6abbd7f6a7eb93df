/** Figures as people read them. */

/** `1 row`, `1,204 rows`. */
export function counted(count: number, thing: string, things = `${thing}s`): string {
  return `${formatNumber(count)} ${count === 1 ? thing : things}`
}

/** A share as a percentage of three digits; the smallest one above nothing is not shown as nothing. */
export function formatShare(share: number): string {
  const percent = Number((share * 100).toPrecision(3))
  return `${formatNumber(percent)}%`
}

/** At most six significant digits after rounding, and every digit of a whole number. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return value.toLocaleString('en-US')
  return String(Number(value.toPrecision(6)))
}
