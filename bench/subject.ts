/** What a file of rows gives to `main.ts`, and what it is given. */
import type { DuckDb } from '../offline/index.ts'
import type { FigureRow, Measured, MeasuredFigure, Row } from './measure.ts'

/** What DuckDB may use, the same on both sides of every row. */
export const duckdbLimits = { memoryLimit: '2GB', threads: 2 } as const

export interface Bench {
  /** An empty folder of the subject's own, gone when it is done. */
  readonly scratch: string
  /** DuckDB within `duckdbLimits`. */
  readonly duckdb: DuckDb
  /** The folder of the three million flights, a file a day. Laid out once for all subjects. */
  flights(): Promise<string>
}

/** Rows that are measured together, because they share what is dear to set up. */
export interface Subject {
  readonly rows: readonly (Row | FigureRow)[]
  /** @throws where the two sides of a row do not come to the same content: a ratio of different work would say nothing */
  measure(bench: Bench): Promise<(Measured | MeasuredFigure)[]>
}
