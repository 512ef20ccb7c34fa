"""The contract is swept: every term, every table, every check, and the page that is generated from them."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

import kgp.tables
from kgp import tabledocs
from kgp.errors import ContractError, UsageError
from kgp.table import Table
from kgp.tabledocs import sql_type
from kgp.tables import ALL_TABLES, TABLES
from kgp.terms import TERMS, Term

FORBIDDEN = {"chrom", "chr", "chromosome"}
SQL_WORDS = {"and", "or", "not", "is", "null", "in", "between", "like"}
COORDINATES = {"start", "end", "tss"}

terms = pytest.mark.parametrize("term", TERMS.values(), ids=list(TERMS))
tables = pytest.mark.parametrize("table", ALL_TABLES, ids=list(TABLES))
checks = pytest.mark.parametrize(
    ("table", "name"), [pytest.param(t, c, id=f"{t.name}.{c}") for t in ALL_TABLES for c in t.checks]
)


@terms
def test_a_term_is_used_by_a_table(term: Term) -> None:
    assert any(term.name in table.columns for table in ALL_TABLES)


@terms
def test_a_term_is_named_and_described_in_the_same_style(term: Term) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", term.name)
    assert not FORBIDDEN & set(term.name.split("_"))
    assert term.description.endswith(".")
    assert "\n" not in term.description
    assert len(term.description) <= 120
    assert term.base in (None, "0-based", "1-based")
    if term.name.startswith("n_"):
        assert pa.types.is_integer(term.type)
        assert term.unit is not None
    assert pa.types.is_boolean(term.type) == term.name.startswith(("is_", "has_"))


@pytest.mark.parametrize("name", sorted(COORDINATES))
def test_a_coordinate_says_its_base_and_unit(name: str) -> None:
    assert TERMS[name].base is not None
    assert TERMS[name].unit == "bp"
    assert TERMS[name].type == pa.int64()


@tables
def test_keys_and_partitions_are_never_null(table: Table) -> None:
    assert table.key, "a table without a key can't be tested for repeated rows"
    assert {*table.key, *table.partition_by} <= set(table.required)


@tables
def test_rows_are_valid_by_a_ledger_or_the_table_is_written_whole(table: Table) -> None:
    if table.ledger is None:
        ledgers = {"loads", "eqtl_matrices", "eqtl_maps", "statistics", "files", "kinship_runs"}
        made_anew = {
            "samples",
            "sample_conflicts",
            "populations",
            "runs",
            "run_aliases",
            "expression_quality",
            "sample_quality",
            "kinship",
        }
        assert table.name in ledgers | made_anew
    else:
        assert TABLES[table.ledger].key == (table.ledger_column,)
        assert table.ledger_column in table.required


@tables
def test_schemas_carry_nullability_and_comments(table: Table) -> None:
    assert tuple(table.arrow_schema.names) == table.columns
    for field in table.arrow_schema:
        assert field.nullable == (field.name in table.optional)
        assert field.metadata[b"comment"].decode() == TERMS[field.name].comment


@tables
def test_spark_and_arrow_schemas_are_one(table: Table) -> None:
    for spark_field, arrow_field in zip(table.spark_schema.fields, table.arrow_schema, strict=True):
        assert spark_field.name == arrow_field.name
        assert spark_field.dataType.simpleString() == sql_type(arrow_field.type)
        assert spark_field.nullable == arrow_field.nullable
        assert spark_field.metadata["comment"] == TERMS[arrow_field.name].comment


@tables
def test_statistics_reach_the_columns_that_are_searched(table: Table) -> None:
    """Delta keeps minimum and maximum of the first 32 columns only."""
    searched = {*table.key, *table.sort_by, table.ledger_column, "start", "end"} & set(table.columns)
    assert all(table.columns.index(name) < 32 for name in searched)


@checks
def test_a_check_speaks_of_the_tables_own_columns(table: Table, name: str) -> None:
    without_texts = re.sub(r"'[^']*'", "", table.checks[name])
    words = set(re.findall(r"`?([A-Za-z_]\w*)`?", without_texts))
    assert {w for w in words if w.lower() not in SQL_WORDS} <= set(table.columns)


@checks
def test_a_check_allows_null_explicitly(table: Table, name: str) -> None:
    """Delta refuses a row whose CHECK is null, so a predicate must decide where optional columns are null."""
    values = [
        f'CAST({_sample(table, c)} AS {_duckdb_type(TERMS[c].type)}) AS "{c}"'
        for c in table.columns
        if not pa.types.is_nested(TERMS[c].type) and TERMS[c].type != pa.binary()
    ]
    values += [f'NULL AS "{c}"' for c in table.optional if pa.types.is_nested(TERMS[c].type)]
    predicate = re.sub(rf"`?\b({'|'.join(table.columns)})\b`?", r'"\1"', table.checks[name])
    found = duckdb.sql(f"SELECT ({predicate}) FROM (SELECT {', '.join(values)})").fetchall()[0][0]
    assert found is not None


def _sample(table: Table, column: str) -> str:
    if column in table.optional:
        return "NULL"
    return "'2020-01-01'" if pa.types.is_timestamp(TERMS[column].type) else "1"


def _duckdb_type(kind: pa.DataType) -> str:
    return {"string": "VARCHAR"}.get(sql_type(kind), sql_type(kind))


def test_the_exported_names_are_the_tables() -> None:
    for table in ALL_TABLES:
        assert getattr(kgp.tables, table.name.upper()) is table


def test_a_table_refuses_strange_and_repeated_columns() -> None:
    with pytest.raises(ContractError, match="no columns"):
        Table(name="t", grain="row", required=("sample_id",), key=("load_id",))
    with pytest.raises(ContractError, match="twice"):
        Table(name="t", grain="row", required=("sample_id",), optional=("sample_id",))


def test_the_table_dictionary_is_up_to_date(root: Path) -> None:
    assert (root / "docs" / "TABLES.md").read_text(encoding="utf-8") == tabledocs.render(), "run: make docs"


def test_the_table_dictionary_documents_every_column() -> None:
    page = tabledocs.render()
    for table in ALL_TABLES:
        section = page.split(f"\n## {table.name}\n")[1].split("\n## ")[0]
        for term in table.terms:
            assert f"| `{term.name}` | `{sql_type(term.type)}` |" in section
            assert term.description.replace("|", "\\|") in section
        assert all(f"`{name}`" in section for name in table.checks)


def test_the_page_is_written_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "docs" / "TABLES.md"
    assert tabledocs.main(["--check", str(page)]) == 1
    assert tabledocs.main([str(page)]) == 0
    assert tabledocs.main(["--check", str(page)]) == 0
    page.write_text("stale", encoding="utf-8")
    assert tabledocs.main(["--check", str(page)]) == 1
    assert "make docs" in capsys.readouterr().err
    assert tabledocs.main([]) == 2


@tables
def test_describe_shows_every_column(table: Table) -> None:
    text = tabledocs.describe(table)
    assert text.startswith(f"{table.name}: one row per {table.grain}\n")
    lines = text.splitlines()
    for column in tabledocs.describe_as_dict(table)["columns"]:
        (line,) = [x for x in lines if re.match(rf"{column['name']} +\S*{re.escape(column['type'])}", x)]
        assert line.endswith(column["description"])


def test_an_unknown_table_gives_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"Did you mean eqtl_genotypes\?"):
        tabledocs.find_table("eqtl_genotype")
