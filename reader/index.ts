export { createReader, type ReaderOptions } from './createReader.ts'
export { servicesOf, type Services } from './answers.ts'
export { NotFoundError } from './errors.ts'
export { createSampler, type SampleCounts, type Sampler } from './sampler.ts'
