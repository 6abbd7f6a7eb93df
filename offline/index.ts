/** The past: from definitions and files of events to rows of features, in DuckDB. */
export { writeArrow } from './arrowFile.ts'
export { bindGroup } from './bindGroup.ts'
export { firstCompleteEnd, planChunks, refuseIncomplete } from './chunks.ts'
export { largestWindowMs } from './compile.ts'
export { compiledText } from './compiledText.ts'
export { duckdbTypeOf } from './columnType.ts'
export { computeRange, type ComputeRequest } from './compute.ts'
export { computeRows, type RowsRequest } from './computeRows.ts'
export { RawNumbers } from './rawVector.ts'
export {
  chunksAhead,
  openDuckDb,
  query,
  withConnection,
  type DuckDb,
  type DuckDbOptions,
  type Row,
} from './duckdb.ts'
export { blockDigests, blockRows, columnsOf, contentHash } from './contentHash.ts'
export { keepLabels, type KeptLabels } from './labels.ts'
export { onDemandRows } from './onDemandRows.ts'
export {
  buildPart,
  type PartGroup,
  type PartLabels,
  type PartRequest,
  type RowFunction,
} from './trainingPart.ts'
export { bindSource, bindSources, pinnedColumns, type PinnedColumns, type SourceRelation } from './source.ts'
export { isAddress, listFilesOf, listSourceFiles, resolvePath, type SourceFile } from './sourceFiles.ts'
export { checkOnDemandPurity } from './onDemandPurity.ts'
export { checkPurity } from './purity.ts'
export { toleranceColumn } from './tolerance.ts'
