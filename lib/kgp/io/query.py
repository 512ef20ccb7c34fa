"""`kgp query`: DuckDB's SQL over the valid rows of a lake, read-only, with nothing else in reach.

The tables are Arrow datasets that `deltalake` opens, so filters on partition columns and on columns with statistics
choose the files that are read. Other datasets, such as the curated edition, can stand beside them, with or without a
lake. The connection is in memory; files, network, extensions, Python variables and settings are closed before the
statement runs.
"""

from __future__ import annotations

import difflib
import re
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from duckdb import DuckDBPyConnection, DuckDBPyRelation, StatementType

from kgp.errors import InputError, LakeError, UsageError
from kgp.io.catalog import Catalog
from kgp.io.output import align, delimited, json_rows
from kgp.tables import TABLES

# Columns of kgp that are words of DuckDB's grammar.
_KEYWORDS = ("end", "offset", "seconds")
_BATCH = 1024


@dataclass(frozen=True)
class Answer:
    """What a query gives; its rows are computed as they are printed.

    Args:
        connection: to DuckDB.
        relation: DuckDB's relation.
        is_plan: whether the statement was an EXPLAIN.
        tables: tables and views that there are, for messages.
        scratch: where DuckDB puts what does not fit into memory; lives as long as the answer.
    """

    connection: DuckDBPyConnection
    relation: DuckDBPyRelation
    is_plan: bool
    tables: tuple[str, ...]
    scratch: TemporaryDirectory[str]

    @property
    def columns(self) -> tuple[str, ...]:
        """Column names, made different where they repeat."""
        seen: dict[str, int] = {}
        names = []
        for name in self.relation.columns:
            seen[name] = seen.get(name, 0) + 1
            names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
        return tuple(names)

    def rows(self, limit: int | None = None) -> Iterator[list[object]]:
        """The rows as Python values; maps as dicts.

        Raises:
            InputError: DuckDB's message.
        """
        with _explained(self.tables), _interruptible(self.connection):
            relation = self.relation if limit is None else self.relation.limit(limit)
            # Closed also where not all rows are taken: then none of DuckDB's threads reads on as Python ends.
            with relation.to_arrow_reader(_BATCH) as batches:
                for batch in batches:
                    columns = [_values(column) for column in batch.columns]
                    yield from map(list, zip(*columns, strict=True))

    def count(self) -> int:
        """How many rows there are."""
        with _explained(self.tables), _interruptible(self.connection):
            return int(self.relation.aggregate("count(*)").fetchall()[0][0])

    def render(self, shape: str, *, max_rows: int = 0) -> Iterator[str]:
        """The answer as text.

        Args:
            shape: table, tsv, csv or json.
            max_rows: rows that a table shows; 0 for all. The other shapes always have all.
        """
        if self.is_plan and shape == "table":
            yield from (f"{row[-1]}\n" for row in self.rows())
        elif shape == "table":
            rows = list(self.rows(max_rows + 1 if max_rows else None))
            yield align(self.columns, rows[:max_rows] if max_rows else rows)
            if max_rows and len(rows) > max_rows:
                yield f"… {self.count() - max_rows:,} more rows (--rows N shows more, --format tsv all)\n"
        elif shape == "json":
            yield from json_rows(self.columns, self.rows())
        else:
            yield from delimited(self.columns, self.rows(), "\t" if shape == "tsv" else ",")


def run_query(
    catalog: Catalog,
    sql: str,
    *,
    extra: Mapping[str, ds.Dataset] | None = None,
    views: Mapping[str, str] | None = None,
) -> Answer:
    """Plan one read-only statement over the lake's valid rows.

    Args:
        catalog: the lake's tables.
        sql: the statement.
        extra: tables that stand beside the lake's, as datasets; then there may be no lake.
        views: name → SELECT over `extra`.

    Raises:
        UsageError: it is not one SELECT, WITH, FROM, VALUES, EXPLAIN, DESCRIBE, SHOW or SUMMARIZE.
        InputError: DuckDB does not understand it, or it names a table or column that is not there.
        LakeError: there is no lake, and nothing beside it.
    """
    extra, views = extra or {}, views or {}
    stored = _stored(catalog, may_lack=bool(extra))
    there = (*stored, *extra, *views)
    is_plan = _check_statement(sql)
    connection = duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        },
    )
    scratch = TemporaryDirectory(prefix="kgp-query-")
    connection.execute(f"SET temp_directory = '{scratch.name}'")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET enable_progress_bar = false")  # it would stand among the rows on standard output
    if wanted := _tables_of(sql, stored):
        for name, dataset in catalog.open(wanted).items():
            connection.register(name, dataset)
    for name, dataset in extra.items():
        connection.register(name, dataset)
    for name, select in views.items():
        connection.execute(f"CREATE TEMP VIEW {name} AS {select}")
    _close(connection)
    with _explained(there):
        return Answer(connection, connection.sql(sql), is_plan, there, scratch)


def _stored(catalog: Catalog, *, may_lack: bool) -> tuple[str, ...]:
    """The lake's tables; none where there is no lake and that is allowed."""
    try:
        return catalog.names()
    except LakeError:
        if may_lack:
            return ()
        raise


def _close(connection: DuckDBPyConnection) -> None:
    """From here on the connection reads what is registered and nothing else, and nobody can open it again."""
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _check_statement(sql: str) -> bool:
    """Refuse whatever is not one reading statement.

    Returns:
        whether it is an EXPLAIN.
    """
    with _explained(()):
        statements = duckdb.extract_statements(sql)
    kinds = [statement.type for statement in statements]
    is_plan = kinds == [StatementType.EXPLAIN]
    if is_plan:
        # EXPLAIN ANALYZE runs its statement, whatever it is.
        inner = re.sub(
            r"^\s*EXPLAIN\s+(ANALYZE\s+)?(\(\s*(ANALYZE|FORMAT)\b[^)]*\)\s*)?",
            "",
            statements[0].query,
            flags=re.I,
        )
        with _explained(()):
            kinds = [statement.type for statement in duckdb.extract_statements(inner)]
    if kinds != [StatementType.SELECT]:
        found = ", ".join(str(kind.name) for kind in kinds) or "nothing"
        raise UsageError(
            f"kgp query takes one reading statement; this is {found}.",
            mend="Use SELECT, WITH, FROM, VALUES, EXPLAIN, DESCRIBE, SHOW or SUMMARIZE.",
        )
    return is_plan


def _tables_of(sql: str, there: Iterable[str]) -> list[str]:
    """The tables that the statement may use: those whose name occurs in it, or all where it looks around."""
    words = set(re.findall(r"\w+", sql.lower()))
    looks_around = words & {"show", "information_schema", "pg_catalog"} or any(
        word.startswith(("duckdb_", "pg_")) for word in words
    )
    return [name for name in there if looks_around or name in words]


def _values(column: pa.Array) -> list[object]:
    values: list[object] = column.to_pylist(maps_as_pydicts="lossy")
    return values


@contextmanager
def _interruptible(connection: DuckDBPyConnection) -> Iterator[None]:
    """Ctrl-C ends the query even while DuckDB keeps the main thread, where Python's own handler can't run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def watch() -> None:
        while number := receiver.recv(1):
            if number[0] == signal.SIGINT:
                connection.interrupt()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        sender.close()
        watcher.join()
        receiver.close()


@contextmanager
def _explained(there: tuple[str, ...]) -> Iterator[None]:
    """DuckDB's errors as one message; failures in the middle of a stream come as OSError with the same text."""
    try:
        yield
    except (RuntimeError, duckdb.InterruptException) as problem:
        if "interrupted" in str(problem).lower():
            raise KeyboardInterrupt from problem
        raise
    except (duckdb.Error, pa.ArrowException, OSError) as problem:
        text = re.sub(r"\x1b\[[0-9;]*m|\nDid you mean \"pg_\w+\"\?", "", str(problem)).strip()
        raise InputError(text.rstrip("."), where="SQL", mend=_advice(problem, text, there)) from problem


def _advice(problem: Exception, text: str, there: tuple[str, ...]) -> str | None:
    if isinstance(problem, duckdb.ParserException):
        quoted = [w for w in _KEYWORDS if re.search(rf"^LINE.*(?<![\"\w]){w}(?![\"\w])", text, re.I | re.M)]
        if quoted:
            return f'\nA word of SQL that is meant as a column stands in double quotes: "{quoted[0]}".'
    if isinstance(problem, duckdb.PermissionException):
        return "\nkgp query reads the tables of the lake and nothing else."
    missing = re.search(r"Table with name (\S+) does not exist", text)
    if missing:
        name = missing[1].lower()
        if name in TABLES:
            return f"\nIt is a table of kgp, but not in this lake yet. There are: {', '.join(there)}."
        near = difflib.get_close_matches(name, there, n=1)
        return f"\n{f'Did you mean {near[0]}? ' if near else ''}There are: {', '.join(there)}."
    return None
