"""Reads from an Asof reader through Feast's own client: its feature store with the `remote` online store.

usage: feastClient.py <folder> <address of the reader>; prints what `get_online_features` gave, as JSON.
"""

import json
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Array, Float64, Int64, String

folder, address = Path(sys.argv[1]), sys.argv[2]
rows = folder / "rows.parquet"
pd.DataFrame({"driver": pd.Series([], dtype="int64"), "event_timestamp": pd.Series([], dtype="datetime64[us, UTC]")}).to_parquet(rows)

store = FeatureStore(
    config=RepoConfig(
        project="asof",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "remote", "path": address},
        entity_key_serialization_version=3,
    )
)
driver = Entity(name="driver", join_keys=["driver"], value_type=ValueType.INT64)
view = FeatureView(
    name="driver_stats_v1",
    entities=[driver],
    ttl=timedelta(days=7),
    schema=[
        Field(name="driver", dtype=Int64),
        Field(name="trips", dtype=Int64),
        Field(name="rating", dtype=Float64),
        Field(name="city", dtype=String),
        Field(name="recent", dtype=Array(Int64)),
    ],
    source=FileSource(path=str(rows), timestamp_field="event_timestamp"),
)
store.apply([driver, view])
answer = store.get_online_features(
    features=[f"driver_stats_v1:{name}" for name in ["trips", "rating", "city", "recent"]],
    entity_rows=[{"driver": number} for number in [9007199254740993, 1, 2, 9007199254740993]],
)
print(json.dumps(answer.to_dict(include_event_timestamps=True)))
