export { createReader, type ReaderOptions } from './createReader.ts'
