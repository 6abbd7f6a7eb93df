export { createReader, type ReaderOptions } from './createReader.ts'
export { servicesOf, type Services } from './answers.ts'
export { NotFoundError } from './errors.ts'
