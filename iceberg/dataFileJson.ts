/**
 * A data file as plain JSON, for handing it from one process to another. Counts are decimal text, bounds hexadecimal.
 *
 *     JSON.stringify(files.map(dataFileToJson))
 */
import type { DataFile, PartitionTuple } from './types.ts'

export interface DataFileJson extends Pick<DataFile, 'filePath' | 'specId'> {
  readonly partition: readonly (readonly [string, PartitionValueJson])[]
  readonly recordCount: string
  readonly fileSizeInBytes: string
  readonly columnSizes: Pairs
  readonly valueCounts: Pairs
  readonly nullValueCounts: Pairs
  readonly nanValueCounts: Pairs
  readonly lowerBounds: Pairs
  readonly upperBounds: Pairs
}

type PartitionValueJson = Exclude<PartitionTuple[string], bigint> | { readonly long: string }
type Pairs = readonly (readonly [number, string])[]

export function dataFileToJson(file: DataFile): DataFileJson {
  return {
    filePath: file.filePath,
    specId: file.specId,
    partition: Object.entries(file.partition).map(([name, value]) => [
      name,
      typeof value === 'bigint' ? { long: String(value) } : value,
    ]),
    recordCount: String(file.recordCount),
    fileSizeInBytes: String(file.fileSizeInBytes),
    columnSizes: pairs(file.columnSizes, String),
    valueCounts: pairs(file.valueCounts, String),
    nullValueCounts: pairs(file.nullValueCounts, String),
    nanValueCounts: pairs(file.nanValueCounts, String),
    lowerBounds: pairs(file.lowerBounds, hex),
    upperBounds: pairs(file.upperBounds, hex),
  }
}

export function dataFileFromJson(json: DataFileJson): DataFile {
  return {
    filePath: json.filePath,
    specId: json.specId,
    partition: Object.fromEntries(
      json.partition.map(([name, value]) => [
        name,
        typeof value === 'object' && value !== null ? BigInt(value.long) : value,
      ]),
    ),
    recordCount: BigInt(json.recordCount),
    fileSizeInBytes: BigInt(json.fileSizeInBytes),
    columnSizes: mapOf(json.columnSizes, BigInt),
    valueCounts: mapOf(json.valueCounts, BigInt),
    nullValueCounts: mapOf(json.nullValueCounts, BigInt),
    nanValueCounts: mapOf(json.nanValueCounts, BigInt),
    lowerBounds: mapOf(json.lowerBounds, bytes),
    upperBounds: mapOf(json.upperBounds, bytes),
  }
}

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

const pairs = <V>(map: ReadonlyMap<number, V>, write: (value: V) => string): Pairs =>
  [...map].map(([id, value]) => [id, write(value)])

const mapOf = <V>(json: Pairs, read: (text: string) => V): Map<number, V> =>
  new Map(json.map(([id, text]) => [id, read(text)]))
