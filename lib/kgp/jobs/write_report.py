"""`kgp report`: one HTML page of what is in the lake, read without Spark."""

from __future__ import annotations

from kgp.io.report_page import PageFile
from kgp.job import Context, Job, Report
from kgp.jobs.report_facts import gather_facts
from kgp.params import WriteReport
from kgp.report.page import MARK, make_page
from kgp.tables import ALL_TABLES


def run(context: Context, params: WriteReport) -> Report:
    """Read what is shown, draw it, and put the page in place when it is whole."""
    out = PageFile(params.out, MARK)
    facts = gather_facts(context, context.uri, params.max_variants)
    with context.progress.step("drawing the figures"):
        page = make_page(facts)
    is_new = out.put(page)
    n_bytes = len(page.encode())
    said = f"{params.out}, {n_bytes:,} bytes" if is_new else f"{params.out} is as it was: nothing has changed"
    return Report(
        "write_report",
        is_new,
        said,
        details={"out": str(out.path), "bytes": n_bytes, "lake": facts.lake},
        notes=[f"open it in a browser: file://{out.path}"],
    )


WRITE_REPORT = Job(
    name="write_report",
    summary="Write one self-contained HTML page of what is in the lake.",
    params=WriteReport,
    reads=ALL_TABLES,
    writes=(),
    run=run,
)
