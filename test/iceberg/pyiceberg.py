"""Another reader and writer of Iceberg tables: PyIceberg, told what to do in lines of JSON on stdin.

Each line {"do": ..., ...} is answered by one line, {"answer": ...} or {"error": ...}. Values travel as texts that lose
nothing: whole numbers in digits, instants as microseconds, floats as the 16 hex digits of a double, bytes as hex.
"""
import json
import math
import struct
import sys
import traceback

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg import expressions
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import from_bytes, to_bytes
from pyiceberg.partitioning import PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import parse_transform
from pyiceberg.types import (
    BinaryType,
    DateType,
    DoubleType,
    FloatType,
    IntegerType,
    ListType,
    LongType,
    StringType,
    TimestampType,
    TimestamptzType,
)

catalog = None

COMPARISONS = {
    "eq": expressions.EqualTo,
    "lt": expressions.LessThan,
    "le": expressions.LessThanOrEqual,
    "gt": expressions.GreaterThan,
    "ge": expressions.GreaterThanOrEqual,
    "in": expressions.In,
}


def literal(value):
    if isinstance(value, dict):
        return int(value["whole"]) if "whole" in value else float(value["float"])
    return [literal(one) for one in value] if isinstance(value, list) else value


def expression(node):
    if node is None:
        return expressions.AlwaysTrue()
    if node["op"] in ("and", "or"):
        first, *rest = [expression(one) for one in node["filters"]]
        join = expressions.And if node["op"] == "and" else expressions.Or
        return join(first, *rest) if rest else first
    if node["op"] == "is_null":
        return expressions.IsNull(node["column"])
    if node["op"] == "not_null":
        return expressions.NotNull(node["column"])
    return COMPARISONS[node["op"]](node["column"], literal(node["value"]))


def text(value):
    """The text of a value of Arrow, of which timestamps and dates were made whole numbers before."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack(">d", value).hex()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return "[" + ",".join("null" if one is None else text(one) for one in value) + "]"
    return str(value)


def whole(column):
    """Instants and dates as what they are stored as."""
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.int64())
    if pa.types.is_date32(column.type):
        return column.cast(pa.int32())
    return column


def rows_of(arrow):
    columns = [[text(value) for value in whole(column).to_pylist()] for column in arrow.columns]
    return [list(row) for row in zip(*columns)]


def scan(table, request):
    found = table.scan(row_filter=expression(request.get("filter")))
    return found.use_ref(request["ref"]) if request.get("ref") else found


def read(request):
    return rows_of(scan(catalog.load_table(request["table"]), request).to_arrow())


def files(request):
    """The live files as the manifests describe them, each with what is wrong about that, going by its rows."""
    table = catalog.load_table(request["table"])
    return [describe(table, task.file) for task in scan(table, request).plan_files()]


def describe(table, file):
    hexed = lambda bounds: {str(key): value.hex() for key, value in (bounds or {}).items()}
    counted = lambda counts: {str(key): str(value) for key, value in (counts or {}).items()}
    said = {
        "filePath": file.file_path,
        "recordCount": str(file.record_count),
        "fileSizeInBytes": str(file.file_size_in_bytes),
        "partition": [text(value) for value in file.partition],
        "valueCounts": counted(file.value_counts),
        "nullValueCounts": counted(file.null_value_counts),
        "nanValueCounts": counted(file.nan_value_counts),
        "lowerBounds": hexed(file.lower_bounds),
        "upperBounds": hexed(file.upper_bounds),
    }
    return {"said": said, "wrong": wrong(table, file)}


def wrong(table, file):
    with table.io.new_input(file.file_path).open() as stream:
        arrow = pq.ParquetFile(stream).read()
    said = []
    check = lambda holds, what: None if holds else said.append(what)
    check(arrow.num_rows == file.record_count, f"{arrow.num_rows} rows, said {file.record_count}")
    by_name = {name: whole(arrow.column(name)).to_pylist() for name in arrow.column_names}
    for field in table.schema().fields:
        if field.name in by_name and not isinstance(field.field_type, ListType):
            check_column(field, by_name[field.name], file, check)
    spec = table.specs()[file.spec_id]
    for position, part in enumerate(spec.fields):
        source = table.schema().find_field(part.source_id)
        transform = part.transform.transform(source.field_type)
        values = {transform(value) for value in by_name[source.name]}
        check(values == {file.partition[position]}, f"partition {part.name} {file.partition[position]}, rows {values}")
    return said


def check_column(field, values, file, check):
    key, kind = field.field_id, field.field_type
    is_nan = lambda value: isinstance(value, float) and math.isnan(value)
    real = [value for value in values if value is not None and not is_nan(value)]
    nulls = sum(value is None for value in values)
    check((file.value_counts or {}).get(key, len(values)) == len(values), f"{field.name}: value count")
    check((file.null_value_counts or {}).get(key, nulls) == nulls, f"{field.name}: null count")
    nans = sum(is_nan(value) for value in values)
    check((file.nan_value_counts or {}).get(key, nans) == nans, f"{field.name}: NaN count")
    sortable = (lambda value: value.encode()) if isinstance(kind, StringType) else (lambda value: value)
    lower, upper = (file.lower_bounds or {}).get(key), (file.upper_bounds or {}).get(key)
    if lower is not None and real:
        low = min(real, key=sortable)
        check(sortable(from_bytes(kind, lower)) <= sortable(low), f"{field.name}: lower bound above {low!r}")
    if upper is not None and real:
        high = max(real, key=sortable)
        check(sortable(from_bytes(kind, upper)) >= sortable(high), f"{field.name}: upper bound below {high!r}")
    # A short value's bound is the value: ours must be as tight as PyIceberg's own.
    if real and isinstance(kind, (DoubleType, FloatType)) and 0.0 not in real:
        check(lower == to_bytes(kind, min(real)), f"{field.name}: lower bound is not the least value")
        check(upper == to_bytes(kind, max(real)), f"{field.name}: upper bound is not the greatest value")


TYPES = {
    "binary": BinaryType(),
    "date": DateType(),
    "int": IntegerType(),
    "long": LongType(),
    "string": StringType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
}


def transform(request):
    """The partition values of values, with no table about it."""
    apply = parse_transform(request["transform"]).transform(TYPES[request["type"]])
    bytes_or = lambda value: bytes.fromhex(value) if request["type"] == "binary" else literal(value)
    return [apply(bytes_or(value)) for value in request["values"]]


def as_of(request):
    snapshot = catalog.load_table(request["table"]).snapshot_as_of_timestamp(request["ms"])
    return None if snapshot is None else str(snapshot.snapshot_id)


def refs(request):
    table = catalog.load_table(request["table"])
    return {
        "refs": {name: str(ref.snapshot_id) for name, ref in table.refs().items()},
        "tags": {
            name: ref.max_ref_age_ms for name, ref in table.refs().items() if ref.snapshot_ref_type.value == "tag"
        },
        "current": None if table.current_snapshot() is None else str(table.current_snapshot().snapshot_id),
        "snapshots": [
            {"id": str(one.snapshot_id), "sequenceNumber": str(one.sequence_number), **one.summary.model_dump()}
            for one in table.metadata.snapshots
        ],
        "history": [str(entry.snapshot_id) for entry in table.history()],
    }


def listed(request):
    return [".".join(name) for name in catalog.list_tables(request["namespace"])]


def create(request):
    schema = Schema.model_validate(request["schema"])
    table = catalog.create_table(
        request["table"], schema=schema, partition_spec=PartitionSpec.model_validate(request["spec"])
    )
    return table.location()


def append(request):
    table = catalog.load_table(request["table"])
    schema = table.schema().as_arrow()
    columns = [
        pa.array([parse(field.type, value) for value in column], type=field.type)
        for field, column in zip(schema, zip(*request["rows"]))
    ]
    table.append(pa.Table.from_arrays(columns, schema=schema), branch=request.get("ref") or "main")


def parse(kind, value):
    if value is None or pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return value
    if pa.types.is_floating(kind):
        return math.nan if value == "nan" else struct.unpack(">d", bytes.fromhex(value))[0]
    return int(value)


def delete(request):
    catalog.load_table(request["table"]).delete(expression(request["filter"]))


def open_catalog(request):
    global catalog
    catalog = SqlCatalog(request["name"], uri=request["uri"], warehouse=request["warehouse"])


COMMANDS = {
    "open": open_catalog,
    "list": listed,
    "read": read,
    "files": files,
    "refs": refs,
    "transform": transform,
    "as_of": as_of,
    "create": create,
    "append": append,
    "delete": delete,
}

for line in sys.stdin:
    asked = json.loads(line)
    try:
        reply = {"answer": COMMANDS[asked["do"]](asked)}
    except Exception:
        reply = {"error": traceback.format_exc()}
    print(json.dumps(reply), flush=True)
