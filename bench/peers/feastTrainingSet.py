"""One training set with Feast and its DuckDB offline store: labels and rows as Parquet in, Parquet out.

Usage: feastTrainingSet.py <folder of its own> <files of rows, a pattern> <labels> <output>

Prints the seconds of the job itself: without Python's start, Feast's imports and `apply`.
"""

import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas
import pyarrow.parquet
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

folder, rows, labels, output = sys.argv[1:]
names = [f"f{at}" for at in range(10)]
store = FeatureStore(
    config=RepoConfig(
        project="bench",
        provider="local",
        registry=str(Path(folder) / "registry.db"),
        offline_store={"type": "duckdb"},
        online_store=None,
        entity_key_serialization_version=3,
    )
)
user = Entity(name="user", join_keys=["id"], value_type=ValueType.STRING)
wide = FeatureView(
    name="wide",
    entities=[user],
    ttl=timedelta(days=3650),
    schema=[Field(name=name, dtype=Float64) for name in names],
    source=FileSource(
        path=rows, timestamp_field="event_timestamp", created_timestamp_column="created_timestamp"
    ),
    online=False,
)
store.apply([user, wide])

begun = time.perf_counter()
entities = pandas.read_parquet(labels).rename(columns={"seen_at": "event_timestamp"})
job = store.get_historical_features(entity_df=entities, features=[f"wide:{name}" for name in names])
found = job.to_arrow()
found = found.rename_columns({"event_timestamp": "seen_at"})
pyarrow.parquet.write_table(found, output, compression="zstd")
seconds = time.perf_counter() - begun
if found.num_rows != len(entities):
    raise SystemExit(f"Feast gave {found.num_rows} rows for {len(entities)} labels.")
print(seconds)
