"""How an Arrow file that we wrote reads in PyArrow: its schema, the rows of its batches, and where it differs from a Parquet file."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq


def exact(column):
    """As Python values of which no two different ones are written alike; instants in microseconds."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.int64())
    if pa.types.is_list(kind) and pa.types.is_timestamp(kind.value_type):
        column = column.cast(pa.list_(pa.int64()))
    return [repr(value) for value in column.to_pylist()]


path, twin_path = sys.argv[1:]
with pa.ipc.open_file(path) as file:
    batches = [file.get_batch(at) for at in range(file.num_record_batches)]
    table = pa.Table.from_batches(batches, file.schema)
table.validate(full=True)
twin = pq.read_table(twin_path)
for field in table.schema:
    print(f"{field.name}: {field.type}")
print("batches:", *[batch.num_rows for batch in batches])
for name in table.column_names:
    for place, (one, other) in enumerate(zip(exact(table[name]), exact(twin[name]), strict=True)):
        if one != other:
            print(f"{name} of row {place} is {one}, and {other} in Parquet")
