export { checkListening, checkTokens, createAccess, type Access } from './access.ts'
export { createReader, type ReaderOptions } from './createReader.ts'
export { createEdge, type Edge, type EdgeOptions } from './edge.ts'
export { usualBounds, type Bounds, type Gate, type ShedReason } from './shedding.ts'
