/** The past: from definitions and files of events to rows of features, in DuckDB. */
export { bindGroup } from './bind.ts'
export { planChunks, refuseIncomplete } from './chunks.ts'
export { largestWindowMs } from './compile.ts'
export { computeRange, type ComputeRequest } from './compute.ts'
export { openDuckDb, query, type DuckDb, type DuckDbOptions, type Row } from './duckdb.ts'
export { bindSource, type SourceRelation } from './source.ts'
export { listSourceFiles, resolvePath, type SourceFile } from './sourceFiles.ts'
