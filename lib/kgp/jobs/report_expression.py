"""What the report says of runs and expression, from rows of the lake's tables. Pure functions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from kgp.eqtl.quality_scale import choose_scaling
from kgp.report.facts import Floats, NobodyFact, PeoplePoints, QualityFact, QuantificationFact, RunsFact, pick

Row = Mapping[str, Any]


def list_quantifications(rows: Iterable[Row]) -> tuple[QuantificationFact, ...]:
    """The released tables of values."""
    ordered = sorted(rows, key=lambda row: (row["dataset"], row["quantification"]))
    return tuple(pick(QuantificationFact, {**row, "n_runs": len(row["run_ids"])}) for row in ordered)


def count_runs(rows: Iterable[Row]) -> tuple[RunsFact, ...]:
    """How many runs and people a dataset has."""
    by_dataset: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_dataset[row["dataset"]].append(row)
    return tuple(
        RunsFact(
            dataset,
            len(runs),
            len({row["sample_id"] for row in runs} - {None}),
            dict(sorted(Counter(row["problem"] for row in runs if row["sample_id"] is None).items())),
            dict(sorted(Counter(row["lab"] for row in runs if row["lab"] is not None).items())),
        )
        for dataset, runs in sorted(by_dataset.items())
    )


def gather_quality(
    rows: Iterable[Row], quantifications: Iterable[Row], people: Mapping[str, Row]
) -> tuple[QualityFact, ...]:
    """How the runs of each quantification compare."""
    released = {(row["dataset"], row["quantification"]): row for row in quantifications}
    by_set: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_set[row["dataset"], row["quantification"]].append(row)
    return tuple(
        _as_quality(*name, sorted(found, key=lambda row: str(row["run_id"])), released.get(name), people)
        for name, found in sorted(by_set.items())
    )


def _as_quality(
    dataset: str, quantification: str, rows: Sequence[Row], released: Row | None, people: Mapping[str, Row]
) -> QualityFact:
    n_components = min(len(row["components"]) for row in rows)

    def numbers(name: str) -> Any:
        return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)

    def texts(name: str) -> tuple[Any, ...]:
        return tuple(row[name] for row in rows)

    return QualityFact(
        dataset,
        quantification,
        rows[0]["n_phenotypes"],
        "" if released is None else _scale(released, np.array([numbers("xist"), numbers("y_expression")])),
        PeoplePoints(
            tuple(row["sample_id"] or row["run_id"] for row in rows),
            texts("population"),
            tuple(people.get(row["sample_id"], {}).get("superpopulation") for row in rows),
            np.array([row["components"][:n_components] for row in rows], dtype=np.float64),
            tuple(rows[0]["variance_explained"]),
        ),
        texts("run_id"),
        texts("lab"),
        numbers("d_statistic"),
        numbers("d_score"),
        texts("n_expressed"),
        tuple(tuple(sorted(row["flags"])) for row in rows),
        numbers("xist"),
        numbers("y_expression"),
        texts("sex_stated"),
        texts("sex_inferred"),
        tuple(sorted({load_id for row in rows for load_id in row["load_ids"]})),
    )


def _scale(released: Row, measured: Floats) -> str:
    """What the values of a table were compared as, in words; a logarithm of a linear value is never negative."""
    least = float(np.nanmin(measured, initial=0.0))
    return choose_scaling(released["unit"], released["processing"], least, None).text


def list_nobody(rows: Iterable[Row]) -> tuple[NobodyFact, ...]:
    """Runs that belong to nobody."""
    ordered = sorted(rows, key=lambda row: (row["dataset"], row["run_id"]))
    return tuple(pick(NobodyFact, row) for row in ordered if row["sample_id"] is None)
