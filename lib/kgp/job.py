"""`Job` and the runner: what every job shares, so that a job itself is reads, verbs and writes.

A job declares its params and the tables that it reads and writes; its `run` gets a `Context`, which refuses any
other table. The runner opens the session, removes the debris of a run that was cut off, times the work and gives
back a `Report`.
"""

from __future__ import annotations

import dataclasses
import datetime
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from deltalake.transaction import AddAction

from kgp import errors
from kgp.config import Config
from kgp.errors import ContractError, KgpError
from kgp.io.delta import Lake
from kgp.io.history import find_version, read_past_rows
from kgp.io.part_plans import PartsWanted
from kgp.io.parts import TablePart
from kgp.io.place import explain_storage, learn_credentials
from kgp.io.progress import Progress
from kgp.io.tasks import SplitRows
from kgp.io.vacuum import Vacuumed
from kgp.params import SessionParams
from kgp.session import get_session
from kgp.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["Context", "Job", "Progress", "Report", "find_own_error", "run_job"]

P = TypeVar("P")


@dataclass
class Report:
    """What a job did, for people and (as JSON) for schedulers.

    Args:
        job: the job's name.
        changed: whether any table was written.
        summary: one sentence.
        rows: table → rows written.
        details: further figures by name.
        notes: what a person should know: warnings with counts, people left out, next steps.
        seconds: wall time; set by the runner.
        text: what a terminal shows instead of the plain figures, where a command has more to show.
    """

    job: str
    changed: bool
    summary: str
    rows: dict[str, int] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    text: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = dataclasses.asdict(self)
        del values["text"]
        return values


@dataclass(frozen=True)
class Job(Generic[P]):
    """One job.

    Args:
        name: as the script in jobs/ is called: load_variants.
        summary: one line for --help.
        params: the dataclass of its options.
        reads: tables that it may read.
        writes: tables that it may write (and read).
        run: does the work.
    """

    name: str
    summary: str
    params: type[P]
    reads: tuple[Table, ...]
    writes: tuple[Table, ...]
    run: Callable[[Context, P], Report]


class Context:
    """What a running job may touch: the session, and the tables that it declared.

    Args:
        lake: where the tables are; it starts Spark when that is first needed.
        progress: where to say what is going on.
        job: the job, for its declarations.
    """

    def __init__(self, lake: Lake, progress: Progress, job: Job[Any]) -> None:
        self.progress = progress
        self.began = time.monotonic()
        self._lake = lake
        self._job = job

    @property
    def spark(self) -> SparkSession:
        """The session; started when a job first asks for it."""
        return self._lake.spark

    @property
    def uri(self) -> str:
        """Where the lake is."""
        return self._lake.uri

    @property
    def seconds(self) -> float:
        """Seconds since the job began."""
        return time.monotonic() - self.began

    def fetch(
        self, table: Table, columns: Sequence[str] | None = None, where: str = "true"
    ) -> list[dict[str, Any]]:
        """Valid rows of a small declared table that satisfy an SQL predicate, on the driver, without Spark."""
        self._declared(table, self._job.reads + self._job.writes)
        rows: list[dict[str, Any]] = self._lake.fetch(table, columns, where).to_pylist(
            maps_as_pydicts="strict"
        )
        return rows

    def put(self, table: Table, rows: Iterable[Mapping[str, Any]], where: str | None) -> int:
        """Replace a slice of a small declared table in one commit, without Spark; returns the rows written."""
        self._declared(table, self._job.writes)
        return self._lake.put(table, rows, where, note=f"kgp {self._job.name}")

    def read(self, table: Table) -> DataFrame:
        """Valid rows of a declared table."""
        self._declared(table, self._job.reads + self._job.writes)
        return self._lake.read(table)

    def parts(self, table: Table, **wanted: Unpack[PartsWanted]) -> list[TablePart]:
        """Parts of a declared table's files that hold the wanted valid rows; see `kgp.io.part_plans`."""
        self._declared(table, self._job.reads + self._job.writes)
        return self._lake.parts(table, **wanted)

    def count_rows(
        self, table: Table, partitions: Mapping[str, Collection[str]]
    ) -> dict[tuple[str | None, ...], dict[str, int]]:
        """Valid rows of a declared table: values of its partition columns → ledger id → rows; without reading them."""
        self._declared(table, self._job.reads + self._job.writes)
        return self._lake.count_rows(table, partitions)

    def measure(self, table: Table, where: str, **expressions: str) -> dict[str, Any]:
        """Aggregates over rows that this job has just written, valid or not yet: name → value."""
        self._declared(table, self._job.writes)
        return self._lake.measure(table, where, **expressions)

    def at(self, versions: Mapping[str, int | None]) -> Context:
        """This context with tables as they were: name → version, None where there was no such table.

        They can be read and not written; what the job writes is as it is.
        """
        then = Context(self._lake.at(versions), self.progress, self._job)
        then.began = self.began
        return then

    def take_versions(self) -> dict[str, int | None]:
        """Versions of the tables that the job reads, as of one moment: name → version, None where there is none."""
        return self._lake.take_versions(self._job.reads)

    def find_versions(self, moment: datetime.datetime) -> dict[str, int | None]:
        """Versions that the tables which the job reads had at a moment: name → version, None where there was none."""
        return {table.name: find_version(self._lake, table, moment) for table in self._job.reads}

    def fetch_past(self, table: Table, where: str) -> Iterator[list[dict[str, Any]]]:
        """Rows of a small declared table that satisfy a predicate: of now, then of each earlier version."""
        self._declared(table, self._job.reads + self._job.writes)
        return read_past_rows(self._lake, table, where)

    def version(self, table: Table) -> int | None:
        """Newest Delta version of a declared table."""
        self._declared(table, self._job.reads + self._job.writes)
        return self._lake.version(table)

    def replace(
        self, table: Table, rows: DataFrame | SplitRows[Any], ids: Iterable[str], *, by_spark: bool = False
    ) -> int:
        """Replace the rows of some ledger ids of a declared table in one commit; returns the rows written."""
        self._declared(table, self._job.writes)
        return self._lake.replace(table, rows, ids, note=f"kgp {self._job.name}", by_spark=by_spark)

    def path(self, table: Table) -> str:
        """Where tasks write the files of a declared table, for `commit`."""
        self._declared(table, self._job.writes)
        return self._lake.path(table)

    def commit(self, table: Table, written: Sequence[AddAction], ids: Iterable[str]) -> int:
        """Put files that tasks have written in the place of the rows of some ledger ids; returns their rows."""
        self._declared(table, self._job.writes)
        return self._lake.commit(table, written, ids, note=f"kgp {self._job.name}")

    def remove_debris(self, given_up: Collection[str] = ()) -> dict[str, list[str]]:
        """Remove from the tables that this job writes what their ledger does not name: table → ledger ids.

        Rows that were written lately stay, another job may be about to name them, but for those of ids that are given.
        """
        return self._lake.remove_debris(self._job.writes, given_up)

    def vacuum(
        self, table: Table, keep: Collection[int], before: datetime.datetime, *, dry_run: bool
    ) -> Vacuumed:
        """Remove files that no version of a declared table needs; see `kgp.io.vacuum`."""
        self._declared(table, self._job.reads + self._job.writes)
        return self._lake.vacuum(table, keep, before, dry_run=dry_run)

    def vacuum_staging(self, before: datetime.datetime, *, dry_run: bool) -> Vacuumed:
        """Remove what mappings that were given up left beside the tables; see `kgp.io.vacuum`."""
        return self._lake.vacuum_staging(before, dry_run=dry_run)

    def check_key(self, table: Table, where: str = "true") -> None:
        """Refuse repeated keys in a declared table's slice."""
        self._declared(table, self._job.writes)
        self._lake.check_key(table, where)

    def _declared(self, table: Table, tables: tuple[Table, ...]) -> None:
        if table not in tables:
            raise ContractError(f"It does not declare table {table.name}.", where=f"job {self._job.name}")


def run_job(job: Job[P], params: P, config: Config, *, progress: Progress | None = None) -> Report:
    """Run a job against the configured lake.

    Raises:
        KgpError: what a person can mend; the lake is as it was, or holds debris that the next run removes.
    """
    progress = progress or Progress()

    def start_spark() -> SparkSession:
        if progress.spark is None:  # the jobs of one process share a session
            with progress.step("starting Spark"):
                progress.spark = get_session(config.params(SessionParams), app_name=f"kgp {job.name}")
        return progress.spark

    learn_credentials()
    context = Context(Lake(start_spark, config.lake), progress, job)
    try:
        is_dry = bool(getattr(params, "dry_run", False))  # changes nothing, debris included
        for table, ids in {} if is_dry else context.remove_debris().items():
            progress.say(f"removed from {table} what an unfinished run left ({', '.join(ids)})")
        report = job.run(context, params)
    except Exception as problem:
        own = find_own_error(problem)
        if own is None and not isinstance(problem, KgpError):
            own = explain_storage(problem, config.lake)
        if own is None:
            raise
        raise own from problem
    report.seconds = context.seconds
    progress.say(f"{job.name}: {report.summary}")
    return report


def find_own_error(problem: Exception) -> KgpError | None:
    """The error of kgp that a Spark task raised, out of the text that Spark makes of it; None if there is none.

    >>> find_own_error(RuntimeError("Traceback …\\nkgp.errors.FormatError: a.vcf: It is cut off.\\n\\tat java"))
    FormatError('a.vcf: It is cut off.', None, None)
    """
    if isinstance(problem, KgpError):
        return None
    found = re.search(r"^kgp\.errors\.(\w+): (.+)$", str(problem), re.MULTILINE)
    kind = getattr(errors, found[1], None) if found else None
    if found is None or not (isinstance(kind, type) and issubclass(kind, KgpError)):
        return None
    return kind(found[2])
