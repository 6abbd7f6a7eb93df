"""A file's content hash as the page in offline/contentHash.ts describes it, with PyArrow and hashlib; and the file written anew."""

import hashlib
import struct
import sys

import pyarrow as pa
import pyarrow.parquet as pq

BLOCK = 65_536

NAMES = {
    pa.float64(): "DOUBLE",
    pa.float32(): "FLOAT",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
    pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
    pa.list_(pa.int64()): "BIGINT[]",
}


def type_of(field):
    """Lists call their elements this or that; it is no part of the type."""
    kind = field.type
    return NAMES[pa.list_(kind.value_type) if pa.types.is_list(kind) else kind]


def double(value):
    if value is not None and value != value:
        return bytes.fromhex("7ff8000000000000")[::-1]
    return struct.pack("<d", 0.0 if value is None else value)


def values_of(kind, column):
    if kind in ("DOUBLE", "FLOAT"):
        return b"".join(double(value) for value in column.to_pylist())
    if kind in ("BIGINT", "INTEGER", "BOOLEAN"):
        return b"".join(struct.pack("<q", int(value or 0)) for value in column.to_pylist())
    if kind == "TIMESTAMP WITH TIME ZONE":
        return b"".join(struct.pack("<q", value or 0) for value in column.cast(pa.int64()).to_pylist())
    texts = [value for value in column.to_pylist() if value is not None]
    if kind == "BIGINT[]":
        texts = ["[" + ", ".join("NULL" if one is None else str(one) for one in value) + "]" for value in texts]
    texts = [text.encode() for text in texts]
    return b"".join(texts) + b"".join(struct.pack("<I", len(text)) for text in texts)


def content_hash(path):
    table = pq.read_table(path)
    digests = []
    for start in range(0, max(1, table.num_rows), BLOCK):
        for field in table.schema:
            column = table[field.name].slice(start, BLOCK)
            kind = type_of(field)
            digest = hashlib.sha256(field.name.encode() + b"\0" + kind.encode() + b"\0")
            digest.update(values_of(kind, column))
            nulls = sum(1 << row for row, value in enumerate(column.to_pylist()) if value is None)
            digest.update(nulls.to_bytes((len(column) + 7) // 8, "little"))
            digests.append(digest.hexdigest())
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def rewrite(path, to):
    table = pq.read_table(path)
    pq.write_table(table, to, row_group_size=999, compression="gzip", data_page_version="2.0", data_page_size=512)


match sys.argv[1:]:
    case ["hash", *paths]:
        for path in paths:
            print(content_hash(path))
    case ["rewrite", path, to]:
        rewrite(path, to)
