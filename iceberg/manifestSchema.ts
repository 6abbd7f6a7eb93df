/** The Avro schemas of manifest lists and manifests, version 2, with the specification's field ids. */
import type { AvroField, AvroPrimitive, AvroRecord, AvroType } from './avro.ts'
import { fieldWithId } from './schema.ts'
import { transformType } from './transforms.ts'
import type { PartitionSpec, PrimitiveType, Schema } from './types.ts'

const required = (id: number, name: string, type: AvroType): AvroField => ({ name, type, 'field-id': id })
const optional = (id: number, name: string, type: AvroType): AvroField => ({
  name,
  type: ['null', type],
  default: null,
  'field-id': id,
})
const record = (name: string, fields: readonly AvroField[]): AvroRecord => ({ type: 'record', name, fields })

/** Avro's own maps have string keys only, so maps by field id are lists of pairs. */
function mapById(keyId: number, valueId: number, value: 'long' | 'bytes'): AvroType {
  const pair = record(`k${keyId}_v${valueId}`, [
    required(keyId, 'key', 'int'),
    required(valueId, 'value', value),
  ])
  return { type: 'array', logicalType: 'map', items: pair }
}

const partitionSummarySchema = record('r508', [
  required(509, 'contains_null', 'boolean'),
  optional(518, 'contains_nan', 'boolean'),
  optional(510, 'lower_bound', 'bytes'),
  optional(511, 'upper_bound', 'bytes'),
])

export const manifestListSchema = record('manifest_file', [
  required(500, 'manifest_path', 'string'),
  required(501, 'manifest_length', 'long'),
  required(502, 'partition_spec_id', 'int'),
  required(517, 'content', 'int'),
  required(515, 'sequence_number', 'long'),
  required(516, 'min_sequence_number', 'long'),
  required(503, 'added_snapshot_id', 'long'),
  required(504, 'added_files_count', 'int'),
  required(505, 'existing_files_count', 'int'),
  required(506, 'deleted_files_count', 'int'),
  required(512, 'added_rows_count', 'long'),
  required(513, 'existing_rows_count', 'long'),
  required(514, 'deleted_rows_count', 'long'),
  optional(507, 'partitions', { type: 'array', 'element-id': 508, items: partitionSummarySchema }),
  optional(519, 'key_metadata', 'bytes'),
])

/** A manifest's schema depends on the partition spec of its files. */
export function manifestSchema(schema: Schema, spec: PartitionSpec): AvroRecord {
  return record('manifest_entry', [
    required(0, 'status', 'int'),
    optional(1, 'snapshot_id', 'long'),
    optional(3, 'sequence_number', 'long'),
    optional(4, 'file_sequence_number', 'long'),
    required(2, 'data_file', dataFileSchema(partitionSchema(schema, spec))),
  ])
}

function dataFileSchema(partition: AvroRecord): AvroRecord {
  return record('r2', [
    required(134, 'content', 'int'),
    required(100, 'file_path', 'string'),
    required(101, 'file_format', 'string'),
    required(102, 'partition', partition),
    required(103, 'record_count', 'long'),
    required(104, 'file_size_in_bytes', 'long'),
    optional(108, 'column_sizes', mapById(117, 118, 'long')),
    optional(109, 'value_counts', mapById(119, 120, 'long')),
    optional(110, 'null_value_counts', mapById(121, 122, 'long')),
    optional(137, 'nan_value_counts', mapById(138, 139, 'long')),
    optional(125, 'lower_bounds', mapById(126, 127, 'bytes')),
    optional(128, 'upper_bounds', mapById(129, 130, 'bytes')),
    optional(131, 'key_metadata', 'bytes'),
    optional(132, 'split_offsets', { type: 'array', items: 'long', 'element-id': 133 }),
    optional(135, 'equality_ids', { type: 'array', items: 'int', 'element-id': 136 }),
    optional(140, 'sort_order_id', 'int'),
    optional(143, 'referenced_data_file', 'string'),
  ])
}

function partitionSchema(schema: Schema, spec: PartitionSpec): AvroRecord {
  return record(
    'r102',
    spec.fields.map((field) => {
      const type = transformType(field.transform, fieldWithId(schema, field['source-id']).type)
      return optional(field['field-id'], avroName(field.name), avroTypes[type])
    }),
  )
}

const avroTypes: Record<PrimitiveType, string | AvroPrimitive> = {
  boolean: 'boolean',
  int: 'int',
  long: 'long',
  float: 'float',
  double: 'double',
  string: 'string',
  date: { type: 'int', logicalType: 'date' },
  timestamp: { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': false },
  timestamptz: { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true },
  binary: 'bytes',
}

/** Avro allows letters, digits and underscores, no digit first; anything else is written as Java's writer does. */
export function avroName(name: string): string {
  const safe = name.replace(/[^A-Za-z0-9_]/g, (unit) => `_x${unit.charCodeAt(0).toString(16).toUpperCase()}`)
  return /^[0-9]/.test(safe) ? `_${safe}` : safe
}
