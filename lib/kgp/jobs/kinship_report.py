"""What `kgp samples kinship` says: relatives, duplicates, and where genotypes and pedigree differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kgp.amounts import count, some
from kgp.eqtl.kinship import DEGREES, MIN_KINSHIP, KinshipTable
from kgp.eqtl.ld_pruning import MIN_CONTIGS
from kgp.io.output import align
from kgp.job import Report
from kgp.jobs.genotype_tasks import Callset
from kgp.tables import KINSHIP, KINSHIP_RUNS
from kgp.transforms.families import Relation, find_relations
from kgp.transforms.people import Person
from kgp.transforms.unrelated import find_largest_unrelated

Row = Mapping[str, Any]

# Pairs that a terminal shows; the table has all.
N_SHOWN = 50
N_NAMES = 10

# Of fewer variants a kinship scatters by more than the distance of two degrees.
FEW_VARIANTS = 10_000

_SHOWN = ("sample_id_1", "sample_id_2", "n_variants", "kinship", "degree", "pedigree")
_CLOSE = ("duplicate", "first", "second")


def describe_basis(n_variants: int, contigs: Sequence[str]) -> tuple[str, ...]:
    """What to say where kinship was told by few contigs: it scatters widely around its expectation.

    Args:
        n_variants: variants that were compared.
        contigs: autosomes that they lie on.
    """
    if len(contigs) >= MIN_CONTIGS:
        return ()
    return (
        f"told by {count(n_variants, 'variant')} of {count(len(contigs), 'contig')} alone ({', '.join(contigs)}): "
        f"kinship of fewer than {MIN_CONTIGS} contigs misses relatives and takes strangers for them",
    )


def report_kinship(
    rows: Sequence[Row],
    made: Row,
    callset: Callset,
    people: Mapping[str, Person],
    *,
    contigs: Sequence[str],
    table: KinshipTable | None = None,
    dropped: Counter[str] | None = None,
    denied: Sequence[str] = (),
) -> Report:
    """The report on a callset.

    Args:
        rows: of `kinship`.
        made: the callset's row of `kinship_runs`.
        callset: its people.
        people: sample_id → person, with what the pedigree says.
        contigs: autosomes that were compared.
        table: of every two people, where it was computed now; None where the rows were there.
        dropped: variants that were left out, by reason.
        denied: what the pedigree says and the genotypes don't, a sentence a pair.
    """
    relations = find_relations(set(callset.sample_ids), people, max_degree=3)
    pairs = [_describe(row, relations) for row in sorted(rows, key=lambda row: -row["kinship"])]
    counts = Counter(row["degree"] for row in rows)
    n_unrelated = len(find_largest_unrelated(_graph(rows, callset.sample_ids)))
    said = ", ".join(f"{counts[name]:,} {name}" for name, _ in DEGREES if counts[name]) or "none"
    summary = (
        f"{count(len(rows), 'related pair')} in callset {callset.name} ({said}); of {len(callset.sample_ids):,} people "
        f"{n_unrelated:,} are not related to each other"
    )
    if table is None:
        summary += "; up to date, nothing to do"
    unknown = [pair for pair in pairs if pair["pedigree"] is None and pair["degree"] in _CLOSE]
    basis = [f"relatives were {said}" for said in describe_basis(made["n_variants"], contigs)]
    notes = [*_notes(pairs, unknown, made, table), *basis, *_say_denied(denied)]
    is_new = table is not None
    return Report(
        "compute_kinship",
        is_new,
        summary,
        rows={KINSHIP.name: len(rows), KINSHIP_RUNS.name: 1} if is_new else {},
        details={
            "n_variants": made["n_variants"],
            "degrees": {name: counts[name] for name, _ in DEGREES},
            "n_unrelated": n_unrelated,
            "duplicates": [_name(pair) for pair in pairs if pair["degree"] == "duplicate"],
            "not_in_pedigree": [_name(pair) for pair in unknown],
            **({"only_in_pedigree": list(denied)} if is_new else {}),
            **({"variants_left_out": dict(sorted((dropped or {}).items()))} if is_new else {}),
        },
        notes=notes,
        text="\n".join([*_show(pairs), summary, *notes]),
    )


def find_denied(table: KinshipTable, callset: Callset, people: Mapping[str, Person]) -> list[str]:
    """Relatives of first degree by the pedigree whom the genotypes say to be less than second degree."""
    place = {sample: i for i, sample in enumerate(callset.sample_ids)}
    denied = []
    for one, others in find_relations(set(place), people, max_degree=1).items():
        for other, relation in others.items():
            if one < other:
                first, second = max(place[one], place[other]), min(place[one], place[other])
                kinship = float(table.kinship[first * (first - 1) // 2 + second])
                if np.isfinite(kinship) and kinship < MIN_KINSHIP:
                    denied.append(f"{one} {relation.name} of {other} (kinship {kinship:.4f})")
    return sorted(denied)


def _describe(row: Row, relations: Mapping[str, Mapping[str, Relation]]) -> dict[str, Any]:
    """A pair with what the pedigree says of it."""
    relation = relations.get(row["sample_id_1"], {}).get(row["sample_id_2"])
    return {
        **{name: row[name] for name in _SHOWN if name != "pedigree"},
        "pedigree": None if relation is None else relation.name,
    }


def _notes(pairs: Sequence[Row], unknown: Sequence[Row], made: Row, table: KinshipTable | None) -> list[str]:
    notes = []
    if duplicates := [_name(pair) for pair in pairs if pair["degree"] == "duplicate"]:
        notes.append(
            f"DUPLICATES: {count(len(duplicates), 'pair')} with the same genotypes, one sample twice or identical "
            f"twins: {some(duplicates, N_NAMES)}"
        )
    if unknown:
        notes.append(
            f"{count(len(unknown), 'pair')} of second degree or closer that the pedigree doesn't know: "
            f"{some([_name(pair) for pair in unknown], N_NAMES)}"
        )
    if table is not None and table.n_undetermined:
        notes.append(
            f"the kinship of {count(table.n_undetermined, 'pair')} can't be told: somebody has no heterozygous genotype"
        )
    if (least := float(made["parameters"]["min_kinship"])) > MIN_KINSHIP:
        notes.append(
            f"only pairs of at least {least:g} were kept: relatives of second degree may be among the others"
        )
    if made["n_variants"] < FEW_VARIANTS:
        notes.append(
            f"only {count(made['n_variants'], 'variant')} were compared: with fewer than {FEW_VARIANTS:,} unrelated "
            "people can look like relatives"
        )
    return notes


def _say_denied(denied: Sequence[str]) -> list[str]:
    if not denied:
        return []
    said = count(len(denied), "pair")
    return [f"{said} of first degree by the pedigree, but not by their genotypes: {some(denied, N_NAMES)}"]


def _show(pairs: Sequence[Row]) -> list[str]:
    if not pairs:
        return []
    shown = [
        [f"{pair[name]:.4f}" if name == "kinship" else pair[name] or "-" for name in _SHOWN]
        for pair in pairs[:N_SHOWN]
    ]
    more = len(pairs) - len(shown)
    return [align(_SHOWN, shown), *([f"and {count(more, 'more pair')} in table kinship"] if more else [])]


def _graph(rows: Sequence[Row], sample_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    near: dict[str, set[str]] = {sample: set() for sample in sample_ids}
    for row in rows:
        if row["kinship"] >= MIN_KINSHIP:
            near[row["sample_id_1"]].add(row["sample_id_2"])
            near[row["sample_id_2"]].add(row["sample_id_1"])
    return {sample: frozenset(others) for sample, others in near.items()}


def _name(pair: Row) -> str:
    return f"{pair['sample_id_1']} and {pair['sample_id_2']} ({pair['kinship']:.4f})"
