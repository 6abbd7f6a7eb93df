/** Conditions in SQL, and what each of them says of an event, null where it is unknown. */
type Values = Readonly<Record<string, number | string | null>>

const twins: Readonly<Record<string, (values: Values) => boolean | null>> = {
  'coalesce(n, 0) % 2 = 0': ({ n }) => Number(n ?? 0) % 2 === 0,
  'length(flag) = 1 OR flag IS NULL': ({ flag }) => flag === null || String(flag).length === 1,
  '"N" * 2 < n + 1 -- the names of columns know no case': ({ n }) => (n === null ? null : Number(n) < 1),
}

export const sqlConditions = Object.keys(twins)

export function meets(sql: string, values: Values): boolean | null {
  const twin = twins[sql]
  if (twin === undefined) throw new Error(`no twin of ${sql}`)
  return twin(values)
}
