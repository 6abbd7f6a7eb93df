/**
 * Counters, gauges and histograms in Prometheus' text format, version 0.0.4: the part of it that the reader needs.
 *
 * @example
 * const values = counter('asof_reader_values_total', 'Values answered.', ['group', 'status'])
 * values.add(3, 'trip_v2', 'PRESENT')
 * writeFamilies([values]) // … asof_reader_values_total{group="trip_v2",status="PRESENT"} 3
 */
export const textFormat = 'text/plain; version=0.0.4; charset=utf-8'

export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: () => Iterable<Sample>
}

export interface Sample {
  /** What follows the family's name, as `_sum` does. */
  readonly suffix?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly value: number
}

export interface Counter extends Family {
  /** @param labels one value for each label of the counter; each must be one of few, for all are kept */
  add(count: number, ...labels: string[]): void
}

export function counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
  const cells = new Map<string, { readonly labels: Record<string, string>; value: number }>()
  const cellOf = (values: readonly string[]) => {
    const [first = '', second] = values
    const key = values.length > 2 ? values.join('\n') : second === undefined ? first : `${first}\n${second}`
    let cell = cells.get(key)
    if (cell === undefined) {
      const labels = Object.fromEntries(labelNames.map((label, at) => [label, values[at] ?? '']))
      cells.set(key, (cell = { labels, value: 0 }))
    }
    return cell
  }
  // Without labels there is one sample, from the beginning on.
  if (labelNames.length === 0) cellOf([])
  return {
    ...{ name, help, type: 'counter' },
    samples: () => cells.values(),
    add(count, ...values) {
      cellOf(values).value += count
    },
  }
}

/** A number that is asked for when it is written. */
export const gauge = (name: string, help: string, read: () => number): Family => ({
  ...{ name, help, type: 'gauge' },
  samples: () => [{ value: read() }],
})

export interface Histogram extends Family {
  observe(seconds: number, label: string): void
}

/** @param bounds upper ends of the buckets, ascending; one without an end follows by itself */
export function histogram(
  name: string,
  help: string,
  labelName: string,
  bounds: readonly number[],
): Histogram {
  const cells = new Map<string, { readonly counts: number[]; sum: number }>()
  return {
    ...{ name, help, type: 'histogram' },
    observe(value, label) {
      let cell = cells.get(label)
      if (cell === undefined) {
        cells.set(label, (cell = { counts: Array<number>(bounds.length + 1).fill(0), sum: 0 }))
      }
      let bucket = 0
      while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
      cell.counts[bucket] = (cell.counts[bucket] as number) + 1
      cell.sum += value
    },
    *samples() {
      for (const [label, { counts, sum }] of cells) {
        let below = 0
        for (const [at, count] of counts.entries()) {
          below += count
          const le = at === bounds.length ? '+Inf' : String(bounds[at])
          yield { suffix: '_bucket', labels: { [labelName]: label, le }, value: below }
        }
        yield { suffix: '_sum', labels: { [labelName]: label }, value: sum }
        yield { suffix: '_count', labels: { [labelName]: label }, value: below }
      }
    },
  }
}

export function writeFamilies(families: readonly Family[]): string {
  let text = ''
  for (const { name, help, type, samples } of families) {
    text += `# HELP ${name} ${help.replace(/[\\\n]/g, escaped)}\n# TYPE ${name} ${type}\n`
    for (const { suffix = '', labels = {}, value } of samples()) {
      const pairs = Object.entries(labels).map(
        ([label, of]) => `${label}="${of.replace(/[\\\n"]/g, escaped)}"`,
      )
      text += `${name}${suffix}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(value)}\n`
    }
  }
  return text
}

const escaped = (character: string) => (character === '\n' ? '\\n' : `\\${character}`)

const numberText = (value: number) =>
  Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
