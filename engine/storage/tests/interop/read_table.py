"""Reads a table with delta-rs and polars, and its files with DuckDB; prints what was found as JSON."""

import json
import os
import sys

import duckdb
import polars as pl
from deltalake import DeltaTable

path = sys.argv[1]
options = {key: value for key, value in os.environ.items() if key.startswith("AWS_")}
table = DeltaTable(path, storage_options=options)
found = {}


def type_name(data_type):
    if hasattr(data_type, "element_type"):
        return f"array<{type_name(data_type.element_type)}>"
    return data_type.type


fields = table.schema().fields
found["columns"] = " ".join(f"{field.name}:{type_name(field.type)}" for field in fields)
found["comment of pos"] = next(f.metadata.get("comment") for f in fields if f.name == "pos")

frame = pl.scan_delta(path, storage_options=options).collect()
found["delta-rs and polars"] = {
    "rows": frame.height,
    "sum_vid": frame["vid"].sum(),
    "sum_pos": frame["pos"].cast(pl.Int64).sum(),
    "info_af": frame["info_af"].sum(),
    "blobs": frame["gt"].is_not_null().sum(),
    "blob_bytes": int(frame["gt"].bin.size().sum()),
    "ids": int(frame["ids"].list.len().sum()),
    "bins": sorted(frame["pos_bin"].unique().to_list()),
}

if "--no-duckdb" not in sys.argv:
    files = table.file_uris()
    row = duckdb.execute(
        """SELECT count(*), sum(vid), sum(pos), sum(info_af), count(gt), sum(octet_length(gt)),
                  sum(len(ids)) FROM read_parquet(?, union_by_name = true)""",
        [files],
    ).fetchone()
    names = ["rows", "sum_vid", "sum_pos", "info_af", "blobs", "blob_bytes", "ids"]
    found["delta-rs files and DuckDB"] = {name: int(value) for name, value in zip(names, row)}
    actions = table.get_add_actions(flatten=True)
    bins = pl.DataFrame(actions)["partition.pos_bin"].unique().to_list()
    found["delta-rs files and DuckDB"]["bins"] = sorted(bins)

print(json.dumps(found))
