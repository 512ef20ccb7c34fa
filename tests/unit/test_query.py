"""`kgp query` and the catalog: what the ledger names, all of it and nothing else; lakes are made without Spark."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from kgp.errors import InputError, KgpError, LakeError, UsageError
from kgp.io.catalog import Catalog
from kgp.io.output import delimited, json_rows, plain, short
from kgp.io.query import run_query
from kgp.tables import TABLES
from kgp.terms import TERMS

A, B = "a" * 32, "b" * 32  # B is debris: no ledger names it
HLA = "HLA-A*01:01"


def write(lake: Path, table: str, rows: list[dict[str, object]], **options: object) -> None:
    """Append rows with some of the table's columns."""
    columns = [c for c in TABLES[table].columns if c in rows[0]]
    schema = pa.schema([(c, TERMS[c].type) for c in columns])
    partitions = list(TABLES[table].partition_by)
    write_deltalake(
        str(lake / table),
        pa.Table.from_pylist(rows, schema),
        mode="append",
        partition_by=partitions,
        **options,
    )


def variants(contig: str, starts: Iterable[int], load_id: str = A) -> list[dict[str, object]]:
    return [
        {
            "callset": "phase3",
            "contig": contig,
            "load_id": load_id,
            "start": start,
            "end": start + 1,
            "alt": None if start % 2 else "T",
            "info": {"AC": "1", "VT": "SNP"},
            "dosages": [0, 1, 2, None],
            "calls": b"\x01\x80",
        }
        for start in starts
    ]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Variants of three contigs in five files, one of them debris, and the ledger."""
    path = tmp_path / "lake"
    write(path, "loads", [{"load_id": A, "target": "variants", "size": 7}])
    for contig, starts in (
        ("22", range(1000)),
        ("22", range(5000, 6000)),
        ("21", range(10)),
        (HLA, range(4)),
    ):
        write(path, "variants", variants(contig, starts))
    write(path, "variants", variants("22", range(500), B))
    return path


def ask(lake: Path, sql: str) -> list[list[object]]:
    return list(run_query(Catalog(str(lake)), sql).rows())


def data_files(lake: Path, **where: object) -> list[Path]:
    """Files whose row of add actions has these values."""
    actions = pa.table(DeltaTable(str(lake / "variants")).get_add_actions(flatten=True)).to_pylist()
    chosen = [a for a in actions if all(a[name.replace("__", ".")] == value for name, value in where.items())]
    return [lake / "variants" / str(a["path"]) for a in chosen]


# -- what is seen


def test_only_what_the_ledger_names_is_seen(lake: Path) -> None:
    assert ask(lake, "SELECT count(*) FROM variants") == [[2014]]
    assert ask(lake, "SELECT DISTINCT load_id FROM variants") == [[A]]
    assert ask(lake, f"SELECT count(*) FROM variants WHERE load_id = '{B}'") == [[0]]
    assert ask(lake, "SELECT count(*) FROM variants WHERE contig = '22' AND start < 1000") == [[1000]]
    assert ask(lake, "SELECT count(*) FROM variants v JOIN loads USING (load_id)") == [[2014]]


def test_a_lake_may_be_named_by_a_file_uri(lake: Path) -> None:
    assert ask(Path(lake), "SELECT 1") == [[1]]
    assert list(run_query(Catalog(lake.as_uri()), "SELECT count(*) FROM variants").rows()) == [[2014]]


def test_nothing_is_seen_without_a_ledger(tmp_path: Path) -> None:
    write(tmp_path, "variants", variants("22", range(5)))
    assert ask(tmp_path, "SELECT count(*) FROM variants") == [[0]]


def test_debris_in_one_file_with_valid_rows_is_filtered_out(tmp_path: Path) -> None:
    write(tmp_path, "loads", [{"load_id": A}])
    write(tmp_path, "variants", variants("22", range(3)) + variants("22", range(3, 9), B))
    assert ask(tmp_path, "SELECT start FROM variants ORDER BY 1") == [[0], [1], [2]]
    assert {r["table"]: r["rows"] for r in Catalog(str(tmp_path)).overview()} == {"loads": 1, "variants": 3}


def test_matrix_rows_are_seen_where_their_set_is_named(tmp_path: Path) -> None:
    write(tmp_path, "eqtl_matrices", [{"matrix_id": A, "name": "demo"}])
    for matrix_id, n in ((A, 2), (B, 3)):
        row = {"matrix_id": matrix_id, "contig": "22", "values": [1.0]}
        write(tmp_path, "eqtl_phenotypes", [{**row, "phenotype_id": f"g{i}"} for i in range(n)])
    assert ask(tmp_path, "SELECT matrix_id, count(*) FROM eqtl_phenotypes GROUP BY ALL") == [[A, 2]]


def test_tables_without_a_ledger_are_seen_whole(tmp_path: Path) -> None:
    write(tmp_path, "samples", [{"sample_id": "HG1", "load_ids": [B], "callsets": []}])
    assert ask(tmp_path, "SELECT sample_id, load_ids FROM samples") == [["HG1", [B]]]


def test_the_overview_counts_valid_rows_without_reading_files(lake: Path) -> None:
    for file in data_files(lake, partition__contig="22", **{"min__load_id": A}):
        file.unlink()  # counts come from the log where nothing has to be filtered
    DeltaTable(str(lake / "variants")).delete(f"load_id = '{B}'")
    rows = {r["table"]: r for r in Catalog(str(lake)).overview(include_missing=True)}
    assert rows["variants"]["rows"] == 2014
    assert rows["variants"]["version"] == 5
    assert rows["loads"]["rows"] == 1
    assert rows["samples"]["rows"] is None
    assert list(rows) == list(TABLES)


def test_types_survive(lake: Path) -> None:
    (row,) = ask(
        lake,
        f"""SELECT contig, start, "end", alt, info, dosages, calls FROM variants
                           WHERE contig = '{HLA}' AND start = 2""",
    )
    assert row == [HLA, 2, 3, "T", {"AC": "1", "VT": "SNP"}, [0, 1, 2, None], b"\x01\x80"]
    assert ask(lake, "SELECT DISTINCT contig FROM variants ORDER BY 1") == [["21"], ["22"], [HLA]]
    assert ask(lake, "SELECT info['VT'], list_sum(dosages) FROM variants LIMIT 1") == [["SNP", 3]]


def test_times_are_utc(tmp_path: Path) -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    write(tmp_path, "loads", [{"load_id": A, "loaded_at": when}])
    text = "".join(run_query(Catalog(str(tmp_path)), "SELECT loaded_at FROM loads").render("csv"))
    assert text == "loaded_at\n2026-01-02T03:04:05+00:00\n"


@pytest.mark.parametrize(
    "sql",
    [
        "WITH v AS (SELECT * FROM variants) SELECT count(*) FROM v",
        "FROM variants SELECT count(*)",
        "VALUES (2014)",
        "SELECT count(*) FROM variants;",
        "  -- how many?\nselect COUNT(*) from VARIANTS -- all",
        "SELECT count(*) FROM (FROM variants UNION ALL FROM variants WHERE false)",
        "SELECT 2014 -- ; DROP TABLE variants",
    ],
)
def test_reading_statements_run(lake: Path, sql: str) -> None:
    assert ask(lake, sql) == [[2014]]


def test_looking_around(lake: Path) -> None:
    assert ask(lake, "SHOW TABLES") == [["loads"], ["variants"]]
    assert [row[0] for row in ask(lake, "DESCRIBE variants")][:3] == ["callset", "contig", "load_id"]
    assert ask(lake, "SELECT table_name FROM information_schema.tables ORDER BY 1") == [
        ["loads"],
        ["variants"],
    ]
    assert ask(lake, "SUMMARIZE loads")[0][0] == "load_id"


def test_only_the_tables_that_are_named_are_opened(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    real = Catalog.open

    def open_(self: Catalog, names: Iterable[str]) -> dict[str, object]:
        found = real(self, names)
        opened.extend(found)
        return dict(found)

    monkeypatch.setattr(Catalog, "open", open_)
    ask(lake, "SELECT count(*) FROM loads")
    assert opened == ["loads"]


def test_a_ledger_that_changes_meanwhile_makes_it_open_again(
    lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = Catalog._ledgers, []

    def changing(self: Catalog, tables: Iterable[object]) -> dict[str, frozenset[str]]:
        calls.append(1)
        if len(calls) == 2:
            write(lake, "loads", [{"load_id": B, "target": "variants", "size": 7}])
        return real(self, tables)  # type: ignore[arg-type]

    monkeypatch.setattr(Catalog, "_ledgers", changing)
    assert ask(lake, "SELECT count(*) FROM variants") == [[2514]]
    assert len(calls) == 4


# -- which files are read


def test_filters_on_partitions_and_statistics_choose_the_files(lake: Path) -> None:
    (far,) = data_files(lake, partition__contig="22", min__start=5000)
    (other,) = data_files(lake, partition__contig="21")
    far.unlink()
    other.unlink()
    assert ask(lake, "SELECT count(*), max(start) FROM variants WHERE contig = '22' AND start < 900") == [
        [900, 899]
    ]
    assert ask(lake, f"SELECT count(*) FROM variants WHERE contig = '{HLA}'") == [[4]]
    assert ask(
        lake, f"SELECT count(*) FROM variants WHERE contig IN ('{HLA}') AND start BETWEEN 1 AND 2"
    ) == [[2]]
    with pytest.raises(InputError, match="No such file"):
        ask(lake, "SELECT count(*) FROM variants WHERE contig = '21'")


def test_the_plan_shows_the_filters_at_the_scan(lake: Path) -> None:
    sql = "EXPLAIN SELECT max(start) FROM variants WHERE contig = '22' AND start < 1000"
    plan = "".join(run_query(Catalog(str(lake)), sql).render("table"))
    scan = re.sub(r"[^\w'\"<=]+", " ", plan[plan.index("ARROW_SCAN") :])
    assert "\"contig\" = '22'" in scan
    assert '"start" < 1000' in scan
    assert "FILTER" not in plan.upper().split("ARROW")[0]


# -- breaking out


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM read_csv_auto('{secret}')",
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_blob('{secret}')",
        "SELECT * FROM read_json('{secret}')",
        "SELECT * FROM sniff_csv('{secret}')",
        "SELECT * FROM glob('/etc/*')",
        "SELECT * FROM read_parquet('{lake}/variants/**/*.parquet')",
        "SELECT * FROM parquet_metadata('{lake}/variants/**/*.parquet')",
        "SELECT * FROM parquet_schema('{lake}/variants/**/*.parquet')",
        "SELECT * FROM delta_scan('{lake}/variants')",
        "SELECT * FROM sqlite_scan('{secret}', 't')",
        "SELECT * FROM '{secret}'",
        'SELECT * FROM "{secret}"',
        "FROM '{secret}'",
        "FROM 'https://example.org/a.parquet'",
        "FROM read_parquet('s3://bucket/a.parquet')",
        "SELECT (SELECT content FROM read_text('{secret}'))",
        "WITH x AS (FROM read_text('{secret}')) FROM x",
        "EXPLAIN ANALYZE SELECT * FROM read_text('{secret}')",
        "DESCRIBE SELECT * FROM read_csv('{secret}')",
        "SUMMARIZE SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM query('SELECT * FROM read_text(''{secret}'')')",
        "SELECT * FROM query_table('{secret}')",
        "SELECT getenv('HOME')",
        "SELECT * FROM secret_rows",
        "SELECT * FROM secret_table",
        "SELECT * FROM python_map_function(secret_rows)",
        "SELECT * FROM which_secret('s3://a', 's3')",
        "SELECT * FROM duckdb_secrets()",
        "SELECT * FROM pragma_user_agent() WHERE load_aws_credentials()",
    ],
)
def test_nothing_outside_the_lake_is_in_reach(lake: Path, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nhush\n", encoding="utf-8")
    secret_rows = [{"word": "hush"}]  # Python variables that DuckDB would find by name
    secret_table = pa.table({"word": ["hush"]})
    assert secret_rows is not None
    assert secret_table is not None
    with pytest.raises(KgpError) as caught:
        ask(lake, sql.format(secret=secret, lake=lake))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "COPY variants TO '{out}'",
        "COPY (SELECT 1) TO '{out}' (FORMAT csv)",
        "EXPORT DATABASE '{out}'",
        "ATTACH '{out}' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE TABLE t AS SELECT 1",
        "CREATE VIEW v AS SELECT 1",
        "CREATE MACRO m() AS 1",
        "CREATE SECRET s (TYPE s3)",
        "INSERT INTO loads VALUES (1)",
        "UPDATE loads SET size = 1",
        "DELETE FROM loads",
        "DROP VIEW loads",
        "ALTER TABLE loads RENAME TO l",
        "PRAGMA database_list",
        "PRAGMA enable_profiling",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "RESET enable_external_access",
        "CALL pragma_version()",
        "USE memory",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY variants TO '{out}'",
        "EXPLAIN COPY variants TO '{out}'",
        "EXPLAIN ANALYZE COPY variants TO '{out}'",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "/* */ EXPLAIN (ANALYZE) COPY variants TO '{out}'",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
        "",
        "-- nothing",
        ";",
    ],
)
def test_only_one_reading_statement_is_taken(lake: Path, tmp_path: Path, sql: str) -> None:
    before = sorted(lake.rglob("*"))
    out = tmp_path / "out.csv"
    with pytest.raises(UsageError) as caught:
        ask(lake, sql.format(out=out))
    assert caught.value.exit_code == 2
    assert not out.exists()
    assert sorted(lake.rglob("*")) == before


def test_what_hides_in_a_select_changes_nothing(lake: Path, tmp_path: Path) -> None:
    before = sorted(lake.rglob("*"))
    for sql in (
        "WITH x AS (INSERT INTO loads VALUES ('x') RETURNING *) SELECT * FROM x",
        f"WITH x AS (COPY loads TO '{tmp_path}/out.csv') SELECT * FROM x",
        "SELECT * FROM (DELETE FROM loads RETURNING *)",
    ):
        with pytest.raises(KgpError):
            ask(lake, sql)
    assert sorted(lake.rglob("*")) == before
    assert not (tmp_path / "out.csv").exists()


def test_what_does_not_fit_into_memory_goes_to_a_scratch_directory(lake: Path) -> None:
    answer = run_query(
        Catalog(str(lake)), "SELECT value FROM duckdb_settings() WHERE name = 'temp_directory'"
    )
    assert list(answer.rows()) == [[answer.scratch.name]]
    assert not answer.scratch.name.startswith(str(Path.cwd()))


def test_settings_stay_closed(lake: Path) -> None:
    settings = "('enable_external_access', 'lock_configuration', 'python_enable_replacements')"
    found = ask(lake, f"SELECT name, value FROM duckdb_settings() WHERE name IN {settings} ORDER BY 1")
    assert [[name, str(value).lower()] for name, value in found] == [
        ["enable_external_access", "false"],
        ["lock_configuration", "true"],
        ["python_enable_replacements", "false"],
    ]


# -- messages


def test_a_lake_that_is_missing_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"There is no lake here.*kgp demo"):
        ask(tmp_path / "nowhere", "SELECT 1")


def test_an_unknown_table_names_those_that_exist(lake: Path) -> None:
    with pytest.raises(
        InputError, match=r"(?s)variant does not exist.*Did you mean variants\? There are: loads, variants"
    ):
        ask(lake, "SELECT * FROM variant")
    with pytest.raises(InputError, match=r"(?s)samples does not exist.*not in this lake yet"):
        ask(lake, "SELECT * FROM samples")


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT start, end FROM variants", "end"),
        ("SELECT * FROM variants WHERE end > 5", "end"),
        ("SELECT offset FROM quarantine", "offset"),
    ],
)
def test_a_keyword_that_is_a_column_must_be_quoted(lake: Path, sql: str, word: str) -> None:
    with pytest.raises(InputError, match=rf'(?s)stands in double quotes: "{word}"'):
        ask(lake, sql)


def test_other_errors_are_duckdbs_own(lake: Path) -> None:
    with pytest.raises(InputError, match='"nope" not found') as caught:
        ask(lake, "SELECT nope FROM variants")
    assert "double quotes" not in str(caught.value)
    with pytest.raises(InputError, match="syntax error"):
        ask(lake, "SELEC 1")
    with pytest.raises(InputError, match="Could not convert string"):
        ask(lake, "SELECT contig::INT FROM variants")


def test_a_broken_log_is_named(lake: Path) -> None:
    for file in (lake / "variants" / "_delta_log").glob("*.json"):
        file.write_text("{", encoding="utf-8")
    with pytest.raises(LakeError, match="variants"):
        ask(lake, "SELECT count(*) FROM variants")


# -- what is printed


def test_a_table_is_limited_and_says_how_many_more(lake: Path) -> None:
    answer = run_query(
        Catalog(str(lake)), "SELECT start, dosages FROM variants WHERE contig = '21' ORDER BY start"
    )
    assert "".join(answer.render("table", max_rows=2)) == (
        "start  dosages\n-----  ---------------\n    0  [0, 1, 2, NULL]\n    1  [0, 1, 2, NULL]\n"
        "… 8 more rows (--rows N shows more, --format tsv all)\n"
    )
    assert "more rows" not in "".join(answer.render("table", max_rows=10))


def test_columns_of_one_name_stay_apart(lake: Path) -> None:
    answer = run_query(Catalog(str(lake)), "SELECT 1 AS a, 2 AS a, 3 AS b")
    assert json.loads("".join(answer.render("json"))) == [{"a": 1, "a_2": 2, "b": 3}]


def test_no_rows_have_a_header(lake: Path) -> None:
    answer = run_query(Catalog(str(lake)), "SELECT start FROM variants WHERE false")
    assert "".join(answer.render("tsv")) == "start\n"
    assert json.loads("".join(answer.render("json"))) == []
    assert "".join(answer.render("table", max_rows=5)) == "start\n-----\n"


def test_json_is_json(lake: Path) -> None:
    sql = """SELECT 'nan'::DOUBLE AS x, 12345678901234567890::HUGEINT AS h, DATE '2026-01-01' AS d, 'é"' AS t,
             1.5::DECIMAL(4,2) AS c, true AS b, {'a': [1, NULL]} AS s, NULL AS n, '\\x00A'::BLOB AS z, uuid() AS u"""
    (row,) = json.loads("".join(run_query(Catalog(str(lake)), sql).render("json")))
    assert len(row.pop("u")) == 36
    assert row == {
        "x": None,
        "h": 12345678901234567890,
        "d": "2026-01-01",
        "t": 'é"',
        "c": 1.5,
        "b": True,
        "s": {"a": [1, None]},
        "n": None,
        "z": "\\x00A",
    }


def test_cells() -> None:
    assert short([1] * 358) == "[1, 1, 1, 1, 1, … (358)]"
    assert short("x" * 100) == "x" * 59 + "…"
    assert short("a\nb\tc") == "a\\nb\\tc"
    assert plain(b"1|0\\\n") == "1|0\\x5C\\x0A"
    assert plain(math.inf) is None
    assert list(delimited(["a"], [["x\ty"], [None], [True]], "\t")) == ["a\n", '"x\ty"\n', '""\n', "True\n"]
    assert list(json_rows(["a"], [])) == ["[", "\n]\n"]
