"""What was loaded, from what, and what could not be: `loads`, `headers`, `quarantine`."""

from __future__ import annotations

from kgp.table import Table

LOADS = Table(
    name="loads",
    grain="load of one file",
    required=(
        "load_id", "target", "subject", "path", "content_id", "selection", "reader", "reader_reason", "versions",
        "rows_in", "rows_out", "rows_quarantined", "alleles_out", "warnings", "warned_at", "seconds",
        "loaded_at",
    ),
    optional=("size", "build"),
    key=("load_id",),
    ledger=None,
    checks={
        "nothing_lost": "rows_in = rows_out + rows_quarantined",
        "counts_not_negative": "rows_in >= 0 AND rows_out >= 0 AND rows_quarantined >= 0 AND alleles_out >= 0",
    },
)  # fmt: skip

HEADERS = Table(
    name="headers",
    grain="header text of a load",
    required=("load_id", "path", "header"),
    key=("load_id",),
)

QUARANTINE = Table(
    name="quarantine",
    grain="record that could not be loaded",
    required=("load_id", "path", "offset", "reason", "line"),
    key=("load_id", "path", "offset"),
    checks={"offset_not_negative": "`offset` >= 0"},
)
