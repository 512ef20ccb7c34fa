"""What an expression matrix is taken to be, which runs its columns are, and whether it is to be loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from kgp.errors import FormatError, InputError, LakeError, UsageError
from kgp.genome import get_build
from kgp.io.expression import NO_PLACE, MatrixLayout, read_layout
from kgp.io.predicates import in_list
from kgp.io.storage import content_id
from kgp.job import Context
from kgp.jobs.ledger import FileLoad, plan_load
from kgp.jobs.reconcile_runs import as_row, fetch_people, fetch_records
from kgp.params import LoadExpression
from kgp.sources.datasets import find_dataset
from kgp.tables import EXPRESSION, LOADS, QUANTIFICATIONS
from kgp.transforms.expression import Facts, check_columns, guess_kind, name_quantification
from kgp.transforms.runs import MATRIX, ColumnRun, RunRecord, resolve_columns

_COLUMN = "matrix column"


@dataclass(frozen=True)
class Matrix:
    """A matrix that is to be loaded, as far as its header and what was given about it say.

    Args:
        layout: of the file.
        name: of the quantification.
        facts: what is known of it.
    """

    layout: MatrixLayout
    name: str
    facts: Facts


def describe_matrix(url: str, params: LoadExpression) -> Matrix:
    """Take together what is given, what the dataset's descriptor says, and what the ids look like, in this order.

    Raises:
        UsageError: nothing says which build the places are on, the file's name can't be a quantification's, or a design
            is given for what are no probes.
        InputError: neither the matrix nor an annotation says where the phenotypes lie, or the file can't be read.
    """
    layout = read_layout(url)
    file_name = PurePosixPath(layout.path).name
    name = params.quantification or name_quantification(file_name)
    dataset = find_dataset(params.dataset)
    known = None if dataset is None else dataset.find_quantification(file_name)
    build = params.build or (None if known is None else known.build)
    if build is None:
        raise UsageError(
            f"Nothing says which build the places of {file_name} of {params.dataset} are on.",
            where=layout.path,
            mend="Give --build.",
        )
    if not layout.has_places and params.annotation is None:
        raise InputError(
            "The matrix does not say where its phenotypes lie.",
            where=layout.path,
            mend="Give --annotation: a GTF, a BED, an array design (ADF) or a table of places; of an array whose "
            "design has no places a GTF, and the design with --design.",
        )
    build = get_build(build).name
    kind = params.kind or (known.kind if known is not None else guess_kind(layout.first_id))
    if params.design is not None and kind != "probe":
        raise UsageError(
            f"A design is of probes; {file_name} has {kind}s.",
            where="--design",
            mend="Leave it away, or give --kind probe.",
        )
    origin = known.annotation if known is not None and known.build == build else None
    facts = Facts(
        kind=kind,
        unit=params.unit or (known.unit if known is not None else "unknown"),
        processing=params.processing or (known.processing if known is not None else "unknown"),
        build=build,
        annotation=origin or "matrix",
    )
    return Matrix(layout, name, facts)


def check_names(matrices: Sequence[Matrix]) -> None:
    """Refuse matrices that would have one name.

    Raises:
        UsageError: two would.
    """
    by_name: dict[str, str] = {}
    for matrix in matrices:
        if matrix.name in by_name:
            raise UsageError(
                f"It and {by_name[matrix.name]} would both be called {matrix.name}.",
                where=matrix.layout.path,
                mend="Load them one by one, each with a --quantification of its own.",
            )
        by_name[matrix.name] = matrix.layout.path


def check_content(contents: dict[str, str], load: FileLoad) -> None:
    """Refuse two files of one content in one command: the second would take the place of the first.

    Args:
        contents: content → file, of the matrices before this one; this one is added.
        load: of this one.

    Raises:
        InputError: the content has come before.
    """
    content = load.identity.content_id
    if content in contents:
        raise InputError(
            f"It has the same content as {contents[content]}.", where=load.path, mend="Give one."
        )
    contents[content] = load.path


def resolve(context: Context, layout: MatrixLayout, params: LoadExpression) -> list[ColumnRun]:
    """What each column is.

    Raises:
        FormatError, OverlapError: as `check_columns`.
    """
    records = fetch_records(context, params.dataset)
    columns = resolve_columns(layout.runs, records, fetch_people(context))
    check_columns(
        columns,
        first_number=layout.n_leading + 1,
        has_lists=any(record.kind != MATRIX for record in records),
        keeps_unknown=params.unknown_runs == "keep",
        path=layout.path,
        dataset=params.dataset,
    )
    return columns


def record_columns(columns: Sequence[ColumnRun], dataset: str, load_id: str) -> list[dict[str, Any]]:
    """Rows of `run_records` for all columns of a matrix.

    A run that a list has gets a record, too, which names nobody: should the list's next version leave the run out, its
    values still belong to a run that `runs` has.

    Args:
        columns: what each column is.
        dataset: accession.
        load_id: of the matrix.
    """
    return [as_row(column.record or _record_listed(column), dataset, load_id) for column in columns]


def _record_listed(column: ColumnRun) -> RunRecord:
    aliases = {} if column.column == column.run_id else {_COLUMN: (column.column,)}
    return RunRecord(column.run_id, None, _COLUMN, aliases=aliases, kind=MATRIX)


def plan_matrix(
    context: Context, matrix: Matrix, columns: Sequence[ColumnRun], params: LoadExpression
) -> FileLoad:
    """Look the load up; its recipe is what the rows depend on besides the matrix.

    Raises:
        LakeError: the name is that of another matrix.
    """
    facts = matrix.facts
    recipe = [
        [
            (c.column, c.run_id, None if c.record is None else as_row(c.record, params.dataset, ""))
            for c in columns
        ],
        "" if params.annotation is None else content_id(params.annotation),
        *([] if params.design is None else [content_id(params.design)]),
        [matrix.name, facts.kind, facts.unit, facts.processing, facts.annotation],
        [params.missing, params.bad_lines],
    ]
    load = plan_load(
        context,
        matrix.layout.url,
        target=EXPRESSION.name,
        subject=params.dataset,
        build=facts.build,
        recipe=hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:16],
    )
    check_name(context, matrix, load, params.dataset)
    return load


def check_name(context: Context, matrix: Matrix, load: FileLoad, dataset: str) -> None:
    """Refuse a name that another matrix has, but for those that this load takes the place of.

    Raises:
        LakeError: the name is that of another matrix.
    """
    replaced = (load.load_id, *load.decision.supersedes)
    for row in context.fetch(QUANTIFICATIONS, where=in_list("dataset", [dataset])):
        if row["quantification"] == matrix.name and row["load_id"] not in replaced:
            (other,) = (r["path"] for r in context.fetch(LOADS) if r["load_id"] == row["load_id"])
            raise LakeError(
                f"{dataset} has a quantification {matrix.name} already, loaded from {other}.",
                where=load.path,
                mend="Give this one a name of its own with --quantification.",
            )


def check_loaded(context: Context, load: FileLoad, params: LoadExpression) -> None:
    """Refuse a matrix whose earlier load, which is as valid as a new one, has phenotypes without a place.

    Raises:
        FormatError: it has, and that is not to be borne.
    """
    if params.unplaced == "keep":
        return
    (loaded,) = (row for row in context.fetch(LOADS) if row["load_id"] == load.load_id)
    n_unplaced = loaded["warnings"].get(NO_PLACE, 0)
    if n_unplaced:
        raise FormatError(
            f"{n_unplaced:,} phenotypes have no place in the annotation; the matrix is loaded already with them.",
            where=load.path,
            mend="Give the annotation that the values were made with, or use --unplaced keep.",
        )
