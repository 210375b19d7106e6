"""Prints row count and bounds of every file of a table as delta-rs finds them in the Delta log."""

import json
import sys

import polars as pl
from deltalake import DeltaTable

actions = pl.DataFrame(DeltaTable(sys.argv[1]).get_add_actions(flatten=True))
rows = [
    {
        "num_records": row["num_records"],
        "min_vid": row["min.vid"],
        "max_vid": row["max.vid"],
        "min_pos": row["min.pos"],
    }
    for row in actions.to_dicts()
]
print(json.dumps(rows))
