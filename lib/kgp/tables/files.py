"""What the archives hold, and what of it has been staged: `files`."""

from __future__ import annotations

from kgp.table import Table

FILES = Table(
    name="files",
    grain="file known in an archive",
    required=("source", "archive_path", "state", "endpoint", "url", "listed_at"),
    optional=(
        "size", "md5", "md5_from", "etag", "modified", "gone_at", "staged_path", "staged_from", "staged_at",
        "is_verified",
    ),
    key=("source", "archive_path"),
    partition_by=("source",),
    checks={
        "state_known": "state IN ('listed', 'staged', 'gone')",
        "size_not_negative": "size IS NULL OR size >= 0",
        "gone_since": "(state = 'gone') = (gone_at IS NOT NULL)",
        "staged_somewhere": "state != 'staged' OR staged_path IS NOT NULL",
    },
    sort_by=("archive_path",),
    # A source's rows are always written as a whole, in one commit.
    ledger=None,
)  # fmt: skip
