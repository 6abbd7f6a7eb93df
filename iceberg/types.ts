/**
 * Iceberg's schema, partition spec and data file, in the very form in which the specification writes them as JSON, so
 * that nothing has to be translated on the way in or out. Property names are therefore the specification's.
 */
export type PrimitiveType =
  'boolean' | 'int' | 'long' | 'float' | 'double' | 'string' | 'date' | 'timestamp' | 'timestamptz' | 'binary'

export interface ListType {
  readonly type: 'list'
  readonly 'element-id': number
  readonly element: PrimitiveType
  readonly 'element-required': boolean
}

export type IcebergType = PrimitiveType | ListType

export interface NestedField {
  readonly id: number
  readonly name: string
  readonly required: boolean
  readonly type: IcebergType
  readonly doc?: string
}

export interface Schema {
  readonly type: 'struct'
  readonly 'schema-id': number
  readonly fields: readonly NestedField[]
  readonly 'identifier-field-ids'?: readonly number[]
}

export interface PartitionField {
  readonly 'source-id': number
  readonly 'field-id': number
  readonly name: string
  /** `day`, `identity` or `bucket[N]`. */
  readonly transform: string
}

export interface PartitionSpec {
  readonly 'spec-id': number
  readonly fields: readonly PartitionField[]
}

/** Values of a partition tuple by field name: days are days since the epoch. */
export type PartitionTuple = Readonly<Record<string, number | bigint | string | boolean | null>>

/** One live data file, as manifests describe it. Maps are keyed by field id. */
export interface DataFile {
  readonly filePath: string
  readonly partition: PartitionTuple
  readonly specId: number
  readonly recordCount: bigint
  readonly fileSizeInBytes: bigint
  readonly columnSizes: ReadonlyMap<number, bigint>
  readonly valueCounts: ReadonlyMap<number, bigint>
  readonly nullValueCounts: ReadonlyMap<number, bigint>
  readonly nanValueCounts: ReadonlyMap<number, bigint>
  /** Single-value serialisation, Appendix D of the specification. */
  readonly lowerBounds: ReadonlyMap<number, Uint8Array>
  readonly upperBounds: ReadonlyMap<number, Uint8Array>
}

/** An identifier of a table: namespace levels are joined with dots. */
export interface TableIdentifier {
  readonly namespace: string
  readonly name: string
}

/** Values `after < v <= upTo` of a timestamptz column, in microseconds since the epoch. */
export interface MicrosRange {
  readonly after: bigint
  readonly upTo: bigint
}
