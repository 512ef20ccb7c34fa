"""Lakes that the tests of `kgp report` look at: every table, made of simulated people, written without Spark."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

from kgp import tables as t
from kgp.io.delta import Lake
from kgp.table import Table
from kgp.transforms.groups import CallsetPeople, name_statistics
from kgp.transforms.people import SUPERPOPULATIONS

CALLSET, OTHER, DATASET, ARRAYS = "phase3", "high_coverage", "E-GEUV-1", "E-MTAB-264"
HOSTILE = '<script>alert("x")</script> & Co'
POPULATIONS = ("CEU", "FIN", "GBR", "TSI", "YRI")
_DAY = datetime.datetime(2024, 5, 6, 7, 8, 9, tzinfo=datetime.UTC)


def _no_spark() -> NoReturn:
    raise AssertionError("no Spark is needed")


def open_lake(place: Path | str) -> Lake:
    """The lake at a place."""
    return Lake(_no_spark, str(place))


def make_people(populations: Sequence[str], n_each: int) -> list[dict[str, Any]]:
    """Rows of `samples`, and whom nobody knows the population of."""
    superpopulation_of = {p: s for s, group in SUPERPOPULATIONS.items() for p in group}
    rows = [
        {
            "sample_id": f"HG{1000 * i + j:05d}", "load_ids": ["p1"], "callsets": [CALLSET],
            "sex": "male" if j % 2 else "female", "population": population,
            "superpopulation": superpopulation_of[population],
        }
        for i, population in enumerate(populations)
        for j in range(n_each)
    ]  # fmt: skip
    return [*rows, {"sample_id": "NA00001", "load_ids": ["p1"], "callsets": []}]


def simulate_genotypes(
    people: Sequence[Mapping[str, Any]], n_variants: int, rng: np.random.Generator
) -> np.ndarray:
    """Dosages, variants × people: frequencies drift from an ancestor to superpopulations and on to populations."""
    ancestral = rng.beta(0.35, 1.2, n_variants)
    frequency: dict[str | None, np.ndarray] = {}
    for drift, column in ((0.12, "superpopulation"), (0.01, "population")):
        for person in people:
            name = person.get(column)
            if name is not None and name not in frequency:
                of = frequency.get(person["superpopulation"], ancestral)
                p = np.clip(of, 0.001, 0.999)
                scale = (1 - drift) / drift
                frequency[name] = rng.beta(p * scale, (1 - p) * scale)
    columns = [rng.binomial(2, frequency.get(person.get("population"), ancestral)) for person in people]
    return np.array(columns, dtype=np.int8).T


def variants_table(
    dosages: np.ndarray, callset: str, contigs: Sequence[str], load_id: str, rng: np.random.Generator
) -> pa.Table:
    """Rows of `variants`: mostly SNVs, some indels and symbolic alleles; -1 is a missing genotype."""
    n, n_samples = dosages.shape
    kinds = rng.choice(3, n, p=(0.85, 0.12, 0.03))
    ref = np.array(["A", "AC", "A"])[kinds]
    alt = np.array(["G", "A", "<DEL>"])[kinds]
    start = np.sort(rng.integers(16_000_000, 50_000_000, n))
    called = dosages >= 0
    an, ac = 2 * called.sum(1), np.where(called, dosages, 0).sum(1)
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * n_samples)
    values = pa.array(dosages.reshape(-1), pa.int8(), mask=~called.reshape(-1))
    contig = np.array(contigs)[np.arange(n) * len(contigs) // n]
    sites = list(zip(contig, start, ref, alt, strict=True))
    columns: dict[str, Any] = {
        "callset": callset, "contig": contig, "load_id": load_id, "start": start, "end": start + 1,
        "record_id": np.arange(n), "alt_index": 1, "n_alts": 1, "source_contig": contig, "ref": ref, "alt": alt,
        "variant_id": [f"{c}_{s + 1}_{r}_{a}#{i}" for i, (c, s, r, a) in enumerate(sites)],
        "ac": ac, "an": an, "af": ac / an, "dosages": pa.ListArray.from_arrays(offsets, values),
    }  # fmt: skip
    arrays = []
    for field in t.VARIANTS.arrow_schema:
        column = columns.get(field.name)
        if isinstance(column, pa.Array):
            arrays.append(column)
        else:
            many = column if isinstance(column, np.ndarray | list) else [column] * n
            arrays.append(pa.array(many, field.type))
    return pa.Table.from_arrays(arrays, schema=t.VARIANTS.arrow_schema)


def append(lake: Lake, table: Table, rows: pa.Table, *, group_rows: int = 1_000) -> None:
    """Add rows to a table, in row groups of a size."""
    lake.create(table)
    properties = WriterProperties(max_row_group_size=group_rows)
    write_deltalake(lake.path(table), rows, mode="append", writer_properties=properties)


def load_row(load_id: str, target: str, subject: str, **given: Any) -> dict[str, Any]:
    """A row of `loads`."""
    return {
        "load_id": load_id, "target": target, "subject": subject, "path": f"/data/{load_id}.txt",
        "content_id": f"md5:{load_id}", "build": "GRCh37", "selection": {}, "reader": "builtin",
        "reader_reason": "test", "versions": {"kgp": "0"}, "rows_in": 0, "rows_out": 0, "rows_quarantined": 0,
        "alleles_out": 0, "warnings": {}, "warned_at": {}, "seconds": 1.5, "loaded_at": _DAY, **given,
    }  # fmt: skip


def make_lake(
    place: Path, *, populations: Sequence[str] = POPULATIONS, n_each: int = 40, n_variants: int = 6_000
) -> Lake:
    """A lake with something in every section of the report, and text that must be escaped."""
    rng, lake = np.random.default_rng(7), open_lake(place)
    people = make_people(populations, n_each)
    known = people[:-1]
    put_people(lake, people)
    dosages = simulate_genotypes(known, n_variants, rng)
    put_callset(lake, CALLSET, known, dosages, "v1", rng)
    put_statistics(lake, known, dosages)
    tenth = [dict(person) for person in known[::4]]
    put_callset(lake, OTHER, tenth, simulate_genotypes(tenth, 500, rng), "v2", rng)
    put_runs(lake, known)
    put_quality(lake, known, rng)
    put_rest(lake, known)
    lake.put(
        t.LOADS,
        [
            load_row("p1", "sample_records", "panel", build=None, rows_in=len(people), rows_out=len(people)),
            load_row(
                "v1", "variants", CALLSET, path=f"https://me:secret@host/{HOSTILE}.vcf.gz?sig=secret", seconds=71.25,
                rows_in=n_variants + 4, rows_out=n_variants, rows_quarantined=4, alleles_out=n_variants,
                warnings={"INFO key is not declared": 17},
            ),
            load_row("v2", "variants", OTHER, rows_in=503, rows_out=500, rows_quarantined=3, alleles_out=500),
            load_row("e1", "expression", DATASET, rows_in=300, rows_out=300, alleles_out=300),
        ],
        None,
    )  # fmt: skip
    return lake


def put_people(lake: Lake, people: Sequence[Mapping[str, Any]]) -> None:
    """`samples`, `populations` and `sample_conflicts`."""
    lake.put(t.SAMPLES, people, None)
    lake.put(
        t.POPULATIONS,
        [
            {"population": "FIN", "n_people": 40, "load_ids": ["p1"], "population_name": "Finnish in Finland",
             "superpopulation": "EUR"},
        ],
        None,
    )  # fmt: skip
    lake.put(
        t.SAMPLE_CONFLICTS,
        [
            {"sample_id": people[0]["sample_id"], "field": "sex", "kept": "female", "kept_from": "/data/a.panel",
             "other": "male", "other_from": "/data/b.ped"},
            {"sample_id": people[1]["sample_id"], "field": "population", "kept": "CEU", "kept_from": "/data/a.panel",
             "other": "TSI", "other_from": "/data/b.ped"},
        ],
        None,
    )  # fmt: skip


def put_callset(
    lake: Lake,
    name: str,
    people: Sequence[Mapping[str, Any]],
    dosages: np.ndarray,
    load_id: str,
    rng: np.random.Generator,
    *,
    contigs: Sequence[str] = ("21", "22", "X"),
    group_rows: int = 1_000,
) -> None:
    """Variants of a callset, and whose genotypes they are."""
    append(lake, t.VARIANTS, variants_table(dosages, name, contigs, load_id, rng), group_rows=group_rows)
    rows = [
        {"callset": name, "sample_index": i, "sample_id": person["sample_id"], "load_id": load_id}
        for i, person in enumerate(people)
    ]
    lake.put(t.CALLSET_SAMPLES, rows, f"callset = '{name}'")


def put_statistics(lake: Lake, people: Sequence[Mapping[str, Any]], dosages: np.ndarray) -> None:
    """Statistics of each superpopulation of the first callset; those of AFR are stale."""
    ledger, rows = [], []
    by_id = {str(person["sample_id"]): person for person in people}
    present = CallsetPeople(CALLSET, list(enumerate(by_id)), by_id)
    for name in present.name_groups(["superpopulation"], []):
        group = present.find_group(name)
        load_ids = ["older"] if name.endswith("AFR") else ["v1"]
        statistics_id = name_statistics(CALLSET, group, load_ids)
        n = len(group.sample_ids)
        ledger.append(
            {
                "statistics_id": statistics_id, "callset": CALLSET, "group": name, "load_ids": load_ids,
                "people_digest": group.digest, "sample_ids": list(group.sample_ids), "n_samples": n,
                "n_variants": len(dosages), "seconds": 1.0, "computed_at": _DAY,
            }
        )  # fmt: skip
        rows += [
            {
                "callset": CALLSET, "contig": "22", "group": name, "statistics_id": statistics_id, "start": i,
                "variant_id": f"v{i}", "n_samples": n, "ac": ac, "an": 2 * n,
            }
            for i, ac in enumerate(dosages[:, list(group.sample_indices)].sum(1).tolist())
        ]  # fmt: skip
    lake.put(t.STATISTICS, ledger, None)
    append(lake, t.ALLELE_STATISTICS, pa.Table.from_pylist(rows, schema=t.ALLELE_STATISTICS.arrow_schema))


def put_runs(lake: Lake, people: Sequence[Mapping[str, Any]]) -> None:
    """Runs of two datasets, three of nobody."""

    def run(dataset: str, number: int, person: Mapping[str, Any] | None, **given: Any) -> dict[str, Any]:
        return {
            "dataset": dataset, "run_id": f"{'ERR' if dataset == DATASET else 'ARR'}{number:06d}", "evidence": "SDRF",
            "load_ids": ["e1"], "sample_id": person and person["sample_id"], "lab": f"lab {number % 7 + 1}", **given,
        }  # fmt: skip

    rows = [run(DATASET, i, person) for i, person in enumerate(people) if i % 8 != 3]
    rows += [run(ARRAYS, i, person) for i, person in enumerate(people[: len(people) // 2]) if i % 3]
    lost = {"person_text": "GM12345", "problem": "nobody of this name is among the people"}
    rows += [run(DATASET, 990_000 + i, None, **lost) for i in range(2)]
    rows += [run(ARRAYS, 990_000, None, person_text="pool", problem="a pool of several people")]
    lake.put(t.RUNS, rows, None)
    lake.put(
        t.QUANTIFICATIONS,
        [
            {
                "dataset": DATASET, "quantification": "GD462.GeneQuantRPKM.50FN", "kind": "gene", "unit": "rpkm",
                "processing": "none", "build": "GRCh37", "annotation": "GENCODE 12, GRCh37", "n_phenotypes": 300,
                "run_ids": [row["run_id"] for row in rows if row["dataset"] == DATASET], "columns": ["a"],
                "load_id": "e1",
            }
        ],
        None,
    )  # fmt: skip


def put_quality(lake: Lake, people: Sequence[Mapping[str, Any]], rng: np.random.Generator) -> None:
    """Quality of one table of values: one run of low correlation, two of the other sex."""
    rows = []
    for i, person in enumerate(people):
        if i % 8 == 3:
            continue
        is_female, flags = person["sex"] == "female", []
        d, inferred = 0.965 + 0.006 * rng.standard_normal(), person["sex"]
        if i == 8:
            d, flags = 0.871, ["low_correlation", "pca_outlier"]
        if i in (17, 22):
            is_female, inferred = not is_female, "male" if is_female else "female"
            flags = ["sex_mismatch"]
        shift = {"AFR": 0.4}.get(person["superpopulation"], 0.0)
        rows.append(
            {
                "dataset": DATASET, "quantification": "GD462.GeneQuantRPKM.50FN", "run_id": f"ERR{i:06d}",
                "quality_id": "q1", "load_ids": ["e1"], "n_phenotypes": 300, "n_expressed": int(rng.integers(200, 290)),
                "d_statistic": d, "d_score": (d - 0.965) / 0.006,
                "components": [(i % 7) * 0.3 + rng.normal(0, 0.2) + 3 * (i == 8), shift + rng.normal(0, 0.3), 0.0],
                "variance_explained": [0.181, 0.0734, 0.05], "flags": flags, "sample_id": person["sample_id"],
                "lab": f"lab {i % 7 + 1}", "population": person["population"], "sex_stated": person["sex"],
                "sex_inferred": inferred, "xist": (5.5 if is_female else 0.2) + abs(rng.normal(0, 0.4)),
                "y_expression": (0.05 if is_female else 2.6) + abs(rng.normal(0, 0.2)),
            }
        )  # fmt: skip
    lake.put(t.EXPRESSION_QUALITY, rows, None)


def put_rest(lake: Lake, people: Sequence[Mapping[str, Any]]) -> None:
    """A matrix set and the quarantine."""
    lake.put(
        t.EQTL_MATRICES,
        [
            {
                "matrix_id": "m1", "name": "eur", "callset": CALLSET, "dataset": DATASET, "build": "GRCh37",
                "parameters": {"min_maf": "0.01"}, "load_ids": ["e1", "p1", "v1"], "table_versions": {"samples": 0},
                "sample_ids": [person["sample_id"] for person in people[:3]], "run_ids": ["a", "b", "c"],
                "n_samples": 3, "n_variants": 4_321, "n_phenotypes": 250, "n_covariates": 4,
                "dropped": {
                    "people: no genotypes": 5, "people: not in the cohort": 36,
                    "phenotypes: expression below threshold": 48, "phenotypes: constant": 2,
                    "variants: minor allele too rare in the cohort": 1_500,
                    "variants: multiallelic": 80, "variants: outside the cis windows": 99, "covariates: constant": 1,
                },
                "dropped_samples": {"HG04000": "no genotypes", "HG04001": "no genotypes", "ERR9": "a second run"},
                "notes": [],
                "seconds": 2.0, "built_at": _DAY,
            }
        ],
        None,
    )  # fmt: skip
    reasons = [
        "POS is no number",
        "POS is no number",
        f"INFO holds {HOSTILE}",
        "FORMAT has 3 fields, a sample 4",
    ]
    rows = [
        {"load_id": "v1", "path": "/data/v1.vcf.gz", "offset": i, "reason": reason, "line": b"x"}
        for i, reason in enumerate(reasons)
    ]
    rows += [
        {"load_id": "v2", "path": "/data/v2.vcf.gz", "offset": i, "reason": "REF is empty", "line": b"x"}
        for i in range(3)
    ]
    debris = {
        "load_id": "gone",
        "path": "/data/gone.vcf",
        "offset": 0,
        "reason": "of a load that was cut off",
    }
    lake.put(t.QUARANTINE, [*rows, {**debris, "line": b"x"}], None)
