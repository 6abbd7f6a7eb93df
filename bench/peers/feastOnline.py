"""Feast's online store in a Redis, filled from Parquet, for `feast serve`.

Usage: feastOnline.py <folder of its own> <host:port of the Redis> <files of rows>...

Writes feature_store.yaml into the folder.
"""

import sys
from datetime import timedelta
from pathlib import Path

import pandas
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

folder, redis, *files = sys.argv[1:]
names = [f"f{at}" for at in range(10)]
Path(folder, "feature_store.yaml").write_text(
    f"""project: bench
provider: local
registry: {folder}/registry.db
offline_store:
  type: duckdb
online_store:
  type: redis
  connection_string: "{redis}"
entity_key_serialization_version: 3
"""
)
store = FeatureStore(folder)
user = Entity(name="user", join_keys=["id"], value_type=ValueType.STRING)
served = FeatureView(
    name="served",
    entities=[user],
    ttl=timedelta(days=30),
    schema=[Field(name=name, dtype=Float64) for name in names],
    source=FileSource(path=files[0], timestamp_field="event_timestamp"),
)
store.apply([user, served])
for file in files:
    rows = pandas.read_parquet(file, columns=["id", "event_timestamp", *names])
    store.write_to_online_store("served", df=rows)
