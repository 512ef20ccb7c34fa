"""A phenotype of a matrix set, or all those of a gene, by any name that people call it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from kgp.amounts import count, name_first
from kgp.errors import InputError, LakeError
from kgp.io.matrix_sets import PHENOTYPE_PLACES, PhenotypeRows, group_of, read_phenotypes
from kgp.io.parts import read_part
from kgp.io.predicates import in_list
from kgp.job import Context
from kgp.tables import EQTL_PHENOTYPES, PHENOTYPES

Row = Mapping[str, Any]

# Columns that phenotypes are looked for in, in this order.
_NAMES = ("phenotype_id", "group_id", "gene_id", "gene_name")
_ENSEMBL = re.compile(r"(ENS[A-Z]*\d{11})(\.\d+)?")
# What may be a gene's name, and stand in a predicate.
_SYMBOL = re.compile(r"[A-Za-z][\w.@/-]*")
# Suggestions where there is no such name.
_N_NEAR = 3


@dataclass(frozen=True)
class Named:
    """What a name means in a set.

    Args:
        wanted: the name.
        rows: columns `PHENOTYPE_PLACES` of one phenotype, or of all phenotypes of one gene or group; by TSS and id.
        is_gene: whether the name is that of the gene or group, not of a phenotype of it.
    """

    wanted: str
    rows: tuple[Row, ...]
    is_gene: bool

    @property
    def contig(self) -> str:
        """Where they lie."""
        return str(self.rows[0]["contig"])

    @property
    def group(self) -> str:
        """Name of the group that a grouped mapping searches them in."""
        return group_of(self.rows[0])

    @property
    def ids(self) -> list[str]:
        """Ids of the phenotypes."""
        return [str(row["phenotype_id"]) for row in self.rows]


def list_phenotypes(context: Context, matrix: Row) -> pa.Table:
    """Columns `PHENOTYPE_PLACES` of the phenotypes of a set, in the order of the table; no values are read."""
    schema = pa.schema([EQTL_PHENOTYPES.arrow_schema.field(name) for name in PHENOTYPE_PLACES])
    parts = context.parts(EQTL_PHENOTYPES, partitions={"matrix_id": [matrix["matrix_id"]]})
    batches = [batch for part in parts for batch in read_part(part, EQTL_PHENOTYPES, PHENOTYPE_PLACES)]
    return pa.Table.from_batches(batches, schema)


def find_named(context: Context, matrix: Row, wanted: str) -> Named:
    """The phenotypes of a set that are called so.

    A name is looked for as it is among the ids of phenotypes, then among those of groups, of genes and the names of
    genes; then as an Ensembl id without its version; then whatever its case; at last as a gene's name that any loaded
    quantification has, where the set has the gene's id alone. The first of these that finds something decides.

    Args:
        context: of a job that reads `eqtl_phenotypes` and `phenotypes`.
        matrix: row of `eqtl_matrices`.
        wanted: the name.

    Raises:
        InputError: nothing is called so, and what comes near is named; or phenotypes of several genes are, and they are
            listed.
    """
    table = list_phenotypes(context, matrix)
    names = {column: table[column].to_pylist() for column in _NAMES}
    for is_alike in (_is_same, _is_same_but_version, _is_same_but_case):
        for column in _NAMES:
            places = [
                i for i, name in enumerate(names[column]) if name is not None and is_alike(wanted, name)
            ]
            if places:
                return _take(matrix, table, places, wanted, is_gene=column != "phenotype_id")
    if ids := _ids_of_symbol(context, wanted):
        pairs = enumerate(zip(names["gene_id"], names["phenotype_id"], strict=True))
        if places := [i for i, (gene, name) in pairs if _without_version(gene or name) in ids]:
            return _take(matrix, table, places, wanted, is_gene=True)
    raise InputError(
        f"Set {matrix['name']} has no phenotype or gene {wanted}.",
        where="--gene",
        mend=_suggest(names, wanted),
    )


def need_single(matrix: Row, named: Named) -> Row:
    """The one phenotype that a name means.

    Raises:
        InputError: they are several; they are listed.
    """
    if len(named.rows) == 1:
        return named.rows[0]
    raise _several(matrix, named)


def read_phenotype(context: Context, matrix: Row, row: Row) -> PhenotypeRows:
    """A phenotype of a set with its values; only the part of the table that holds it is read whole."""
    partitions = {"matrix_id": [matrix["matrix_id"]], "contig": [row["contig"]]}
    for part in context.parts(EQTL_PHENOTYPES, partitions=partitions):
        ids = [
            name
            for batch in read_part(part, EQTL_PHENOTYPES, ["phenotype_id"])
            for name in batch.column(0).to_pylist()
        ]
        if row["phenotype_id"] in ids:
            whole = read_phenotypes([part], len(matrix["sample_ids"]))
            return whole.take([ids.index(row["phenotype_id"])])
    raise changed_meanwhile(matrix)


def changed_meanwhile(matrix: Row) -> LakeError:
    """What is told of a set that lost rows while it was read."""
    return LakeError(
        "It was built again while it was read.", where=f"set {matrix['name']}", mend="Run the command again."
    )


def _take(matrix: Row, table: pa.Table, places: Sequence[int], wanted: str, *, is_gene: bool) -> Named:
    """Phenotypes of one gene or group; see `find_named`."""
    order = [("tss", "ascending"), ("phenotype_id", "ascending")]
    named = Named(wanted, tuple(table.take(places).sort_by(order).to_pylist()), is_gene)
    if len({(row["contig"], group_of(row)) for row in named.rows}) > 1:
        raise _several(matrix, named)
    return named


def _several(matrix: Row, named: Named) -> InputError:
    return InputError(
        f"{count(len(named.rows), 'phenotype')} of set {matrix['name']} are called {named.wanted}: "
        f"{name_first(named.ids, 20)}.",
        where="--gene",
        mend="Give the id of one.",
    )


def _is_same(wanted: str, name: str) -> bool:
    return wanted == name


def _is_same_but_version(wanted: str, name: str) -> bool:
    """Whether an Ensembl id is another one of which one of the two has no version.

    >>> [_is_same_but_version(f"ENSG00000172404{one}", "ENSG00000172404.4") for one in ("", ".4", ".5")]
    [True, True, False]
    """
    first, second = _ENSEMBL.fullmatch(wanted), _ENSEMBL.fullmatch(name)
    if first is None or second is None or first[1] != second[1]:
        return False
    return first[2] is None or second[2] is None or first[2] == second[2]


def _is_same_but_case(wanted: str, name: str) -> bool:
    return wanted.upper() == name.upper() or _is_same_but_version(wanted.upper(), name.upper())


def _without_version(name: str) -> str:
    found = _ENSEMBL.fullmatch(name)
    return found[1] if found else name


def _ids_of_symbol(context: Context, wanted: str) -> set[str]:
    """Ids, without versions, of the genes that loaded quantifications have under a name."""
    if not _SYMBOL.fullmatch(wanted):
        return set()
    names = in_list("gene_name", sorted({wanted, wanted.upper()}))
    rows = context.fetch(PHENOTYPES, ["phenotype_id", "gene_id"], names)
    return {_without_version(row["gene_id"] or row["phenotype_id"]) for row in rows}


def _suggest(names: Mapping[str, Sequence[str | None]], wanted: str) -> str:
    folded = {name.casefold(): name for column in _NAMES for name in names[column] if name is not None}
    near = difflib.get_close_matches(wanted.casefold(), folded, n=_N_NEAR)
    if near:
        return f"Did you mean {' or '.join(folded[name] for name in near)}?"
    return "See eqtl_phenotypes; eqtl_matrices says what was dropped."
