"""A made-up lake with all that a matrix set meets: several contigs and X, relatives, missing genotypes, read counts.

The numbers are kept as arrays, and what a set must be is computed from them here, in numpy alone.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
from deltalake import write_deltalake
from scipy import stats

from kgp import tables as t
from kgp.io.delta import Lake
from kgp.transforms.calls import encode_texts

CALLSET, DATASET, VALUES, COUNTS = "made", "E-MADE-1", "rpkm", "reads"
AUTOSOMES = ("1", "2", "3", "4", "5")
N_PEOPLE, N_VARIANTS, N_ON_X, N_GENES = 60, 320, 40, 10
FIRST_POS, STEP = 5_000_000, 1_000


def no_spark(*_: Any, **__: Any) -> NoReturn:
    """What a lake is given where nothing may need Spark."""
    raise AssertionError("a set of this size needs no Spark")


@dataclass(frozen=True, eq=False)
class World:
    """What the lake holds.

    Args:
        samples: people of the callset in its order.
        people: sample_id → row of `samples`.
        runs: run_id → sample_id.
        contigs: of each variant.
        pos: 1-based, of each variant.
        n_alts: of each variant's record.
        dosages: variants × samples of the callset, copies of ALT as the file has them, -1 where missing.
        genes: (gene, contig or None, tss).
        values, counts: genes × runs.
    """

    samples: list[str]
    people: dict[str, dict[str, Any]]
    runs: dict[str, str]
    contigs: np.ndarray
    pos: np.ndarray
    n_alts: np.ndarray
    dosages: np.ndarray
    genes: list[tuple[str, str | None, int]]
    values: np.ndarray
    counts: np.ndarray

    @property
    def is_male(self) -> np.ndarray:
        """Of the callset's samples."""
        return np.array([self.people[s]["sex"] == "male" for s in self.samples])

    def variant_ids(self) -> list[str]:
        """As the lake names them."""
        return [f"{c}_{p}_A_G" for c, p in zip(self.contigs, self.pos, strict=True)]


def make_world(seed: int = 7) -> World:
    """Sixty people; person 3 is a child of person 1, person 9 has no run, and one run is of nobody in the callset."""
    rng = np.random.default_rng(seed)
    samples = [f"HG{i:05}" for i in rng.permutation(np.arange(1, N_PEOPLE + 1))]
    people: dict[str, dict[str, Any]] = {}
    for i in range(1, N_PEOPLE + 2):
        population = ("CEU", "FIN", "YRI")[i % 3]
        people[f"HG{i:05}"] = {
            "population": population,
            "superpopulation": "AFR" if population == "YRI" else "EUR",
            "sex": "female" if rng.random() < 0.5 else "male",
            "father_id": "HG00001" if i == 3 else None,
        }
    runs = {f"ERR{i:05}": f"HG{i:05}" for i in range(1, N_PEOPLE + 2) if i != 9}
    contigs = np.array([*np.repeat(AUTOSOMES, N_VARIANTS), *["X"] * N_ON_X])
    pos = np.concatenate(
        [FIRST_POS + STEP * np.arange(N_VARIANTS)] * len(AUTOSOMES) + [FIRST_POS + STEP * np.arange(N_ON_X)]
    )
    frequency = rng.choice(
        [0.0, 0.004, 0.03, 0.2, 0.4, 0.7, 1.0], len(pos), p=[0.02, 0.05, 0.08, 0.25, 0.3, 0.28, 0.02]
    )
    dosages = rng.binomial(2, frequency[:, None], (len(pos), N_PEOPLE)).astype(np.int8)
    is_male = np.array([people[s]["sex"] == "male" for s in samples])
    on_x = contigs == "X"
    haploid = rng.binomial(1, frequency[:, None], dosages.shape).astype(np.int8)
    dosages[np.ix_(on_x, is_male)] = haploid[np.ix_(on_x, is_male)]
    is_missing = rng.random(dosages.shape) < rng.choice(
        [0.0, 0.008, 0.12], (len(pos), 1), p=[0.8, 0.12, 0.08]
    )
    dosages[is_missing] = -1
    n_alts = np.where(rng.random(len(pos)) < 0.03, 2, 1)
    genes: list[tuple[str, str | None, int]] = [
        (f"G{contig}_{i:02}", contig, int(FIRST_POS + STEP * rng.integers(-60, N_VARIANTS + 60)))
        for contig in (*AUTOSOMES, "X") for i in range(N_GENES)
    ]  # fmt: skip
    genes += [("GY", "Y", 9_000_000), ("GMT", "MT", 5_000), ("Gnowhere", None, 0), ("G21", "21", 20_000_000)]
    # Large counts, so that none are tied where TMM cuts; each sixth gene is hardly there.
    mean = np.where(np.arange(len(genes)) % 6 == 5, 0.01, rng.gamma(2.0, 4.0, len(genes)))[:, None]
    hidden = rng.normal(size=(len(genes), 3)) @ rng.normal(size=(3, len(runs)))
    level = mean * np.exp(0.4 * hidden + 0.3 * rng.normal(size=(len(genes), len(runs))))
    depth = rng.uniform(0.5, 2.0, len(runs))
    counts = rng.poisson(level * depth * 400).astype(float)
    values = np.where(counts > 0, level, 0.0).round(4)
    return World(samples, people, runs, contigs, pos, n_alts, dosages, genes, values, counts)


# ------------------------------------------------------------------------------------------------------ the lake


def load_row(load_id: str, target: str, subject: str, build: str | None) -> dict[str, Any]:
    """A row of `loads`."""
    return {
        "load_id": load_id, "target": target, "subject": subject, "path": f"{load_id}.txt", "content_id": load_id,
        "build": build, "selection": {}, "reader": "test", "reader_reason": "test", "versions": {}, "rows_in": 1,
        "rows_out": 1, "rows_quarantined": 0, "alleles_out": 1, "warnings": {}, "warned_at": {}, "seconds": 0.0,
        "loaded_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip


def put(lake: Lake, table: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows by delta-rs."""
    lake.create(table)
    write_deltalake(
        lake.path(table), pa.Table.from_pylist(list(rows), schema=table.arrow_schema), mode="append"
    )


def variant_rows(world: World, chosen: Sequence[int] | np.ndarray, load_id: str) -> list[dict[str, Any]]:
    """Rows of `variants`; of X with the genotypes' texts, which tell one allele from two."""
    ids = world.variant_ids()
    rows = []
    for i in (int(one) for one in chosen):
        contig, pos = str(world.contigs[i]), int(world.pos[i])
        copies = [None if one < 0 else int(one) for one in world.dosages[i]]
        rows.append(
            {"callset": CALLSET, "contig": contig, "load_id": load_id, "start": pos - 1, "end": pos, "record_id": i,
             "alt_index": 1, "n_alts": int(world.n_alts[i]), "ref": "A", "alt": "G", "variant_id": ids[i],
             "source_contig": contig, "dosages": copies, "calls": _texts(world, i)}
        )  # fmt: skip
    return rows


def _texts(world: World, i: int) -> bytes | None:
    if world.contigs[i] != "X":
        return None
    ways = {True: {-1: ".", 0: "0", 1: "1"}, False: {-1: "./.", 0: "0/0", 1: "0/1", 2: "1/1"}}
    pairs = zip(world.is_male.tolist(), world.dosages[i].tolist(), strict=True)
    return encode_texts([ways[is_male][copies] for is_male, copies in pairs], 1)


def fill(world: World, lake: Lake) -> None:
    """Write all tables, the variants as a load a contig."""
    loads = [load_row("p1", "samples", "panel", None), load_row("e1", "expression", DATASET, "GRCh37"),
             load_row("e2", "expression", DATASET, "GRCh37")]  # fmt: skip
    loads += [load_row(f"v{c}", "variants", CALLSET, "GRCh37") for c in (*AUTOSOMES, "X")]
    put(lake, t.LOADS, loads)
    put(
        lake,
        t.SAMPLES,
        [{"sample_id": s, "load_ids": ["p1"], "callsets": [], **row} for s, row in world.people.items()],
    )
    put(
        lake,
        t.CALLSET_SAMPLES,
        [
            {"callset": CALLSET, "sample_index": i, "sample_id": s, "load_id": "v1"}
            for i, s in enumerate(world.samples)
        ],
    )
    for contig in (*AUTOSOMES, "X"):
        put(lake, t.VARIANTS, variant_rows(world, np.flatnonzero(world.contigs == contig), f"v{contig}"))
    put(
        lake,
        t.RUNS,
        [
            {"dataset": DATASET, "run_id": r, "sample_id": s, "evidence": "test", "load_ids": ["e1"]}
            for r, s in world.runs.items()
        ],
    )
    for name, unit, load_id, numbers in (
        (VALUES, "rpkm", "e1", world.values),
        (COUNTS, "count", "e2", world.counts),
    ):
        put(
            lake,
            t.QUANTIFICATIONS,
            [{"dataset": DATASET, "quantification": name, "kind": "gene", "unit": unit, "processing": "none",
              "build": "GRCh37", "annotation": "matrix", "n_phenotypes": len(world.genes),
              "run_ids": list(world.runs), "columns": list(world.runs), "load_id": load_id}],
        )  # fmt: skip
        put(lake, t.PHENOTYPES, [_phenotype(gene, name, unit, load_id) for gene in world.genes])
        put(
            lake,
            t.EXPRESSION,
            [
                {"dataset": DATASET, "quantification": name, "phenotype_id": gene[0], "run_id": run,
                 "value": float(numbers[i, j]), "load_id": load_id}
                for i, gene in enumerate(world.genes) for j, run in enumerate(world.runs)
            ],
        )  # fmt: skip


def _phenotype(gene: tuple[str, str | None, int], name: str, unit: str, load_id: str) -> dict[str, Any]:
    gene_id, contig, tss = gene
    place = {} if contig is None else {
        "contig": contig, "start": tss - 1, "end": tss, "tss": tss, "source_contig": contig, "strand": "+"
    }  # fmt: skip
    return {"dataset": DATASET, "quantification": name, "phenotype_id": gene_id, "build": "GRCh37", "kind": "gene",
            "unit": unit, "load_id": load_id, **place}  # fmt: skip


# ---------------------------------------------------------------------------------------- what a set must be


def people_of(world: World) -> list[str]:
    """People with genotypes and a run, without the child, in the callset's order."""
    measured = set(world.runs.values())
    return [s for s in world.samples if s in measured and s != "HG00003"]


def columns_of(world: World, people: Sequence[str]) -> list[int]:
    """Columns of `values` of the people's runs."""
    run_of = {s: j for j, s in enumerate(world.runs.values())}
    return [run_of[s] for s in people]


def inverse_normal(values: np.ndarray) -> np.ndarray:
    """Φ⁻¹(rank / (n + 1)) of each row, average ties."""
    ranks = np.vstack([stats.rankdata(row) for row in values])
    return stats.norm.ppf(ranks / (values.shape[1] + 1))


def tmm_cpm(counts: np.ndarray) -> np.ndarray:
    """Counts per million by effective library sizes: edgeR's calcNormFactors, method TMM."""
    sizes = counts.sum(axis=0)
    there = counts[counts.sum(axis=1) > 0]
    upper = np.quantile(there / sizes, 0.75, axis=0)
    reference = int(np.argmin(np.abs(upper - upper.mean())))
    factors = []
    for j in range(counts.shape[1]):
        one, other = there[:, j], there[:, reference]
        with np.errstate(divide="ignore", invalid="ignore"):
            log_ratio = np.log2(one / sizes[j]) - np.log2(other / sizes[reference])
            level = (np.log2(one / sizes[j]) + np.log2(other / sizes[reference])) / 2
            variance = (sizes[j] - one) / sizes[j] / one + (sizes[reference] - other) / sizes[
                reference
            ] / other
        usable = np.isfinite(log_ratio) & np.isfinite(level) & (level > -1e10)
        log_ratio, level, variance = log_ratio[usable], level[usable], variance[usable]
        if np.abs(log_ratio).max() < 1e-6:
            factors.append(1.0)
            continue
        n = len(log_ratio)
        low_ratio, low_level = np.floor(n * 0.3) + 1, np.floor(n * 0.05) + 1
        ratio_rank, level_rank = stats.rankdata(log_ratio), stats.rankdata(level)
        kept = (ratio_rank >= low_ratio) & (ratio_rank <= n + 1 - low_ratio)
        kept &= (level_rank >= low_level) & (level_rank <= n + 1 - low_level)
        factors.append(2 ** ((log_ratio[kept] / variance[kept]).sum() / (1 / variance[kept]).sum()))
    scaled = np.array(factors) / np.exp(np.log(factors).mean())
    return counts / (sizes * scaled) * 1e6


@dataclass(frozen=True, eq=False)
class Genotypes:
    """Variants of a set: id → copies with -1 where missing, and their ac and an."""

    copies: dict[str, list[int]]
    ac: dict[str, int]
    an: dict[str, int]


def expect_genotypes(
    world: World, people: Sequence[str], tss: Mapping[str, Sequence[int]], *, cis_window: int, min_maf: float,
    max_missing: float, min_mac: int = 0, keep_multiallelic: bool = False,
) -> Genotypes:  # fmt: skip
    """Variant by variant, as a person would: X with one copy of men counted twice."""
    indices = [world.samples.index(s) for s in people]
    is_male = world.is_male[indices]
    found = Genotypes({}, {}, {})
    for i, variant_id in enumerate(world.variant_ids()):
        contig, pos = str(world.contigs[i]), int(world.pos[i])
        if not any(abs(pos - place) <= cis_window for place in tss.get(contig, ())):
            continue
        if world.n_alts[i] > 1 and not keep_multiallelic:
            continue
        copies = world.dosages[i, indices].astype(int)
        called = copies >= 0
        groups = [is_male, ~is_male] if contig == "X" else [np.ones(len(people), dtype=bool)]
        if any((~called[group]).mean() > max_missing for group in groups if group.any()):
            continue
        each = np.where(is_male, 1, 2) if contig == "X" else np.full(len(people), 2)
        ac, an = int(copies[called].sum()), int(each[called].sum())
        minor = min(ac, an - ac)
        if (
            minor == 0
            or minor / an < min_maf
            or minor < min_mac
            or len(set(copies[called] * (2 // each[called]))) == 1
        ):
            continue
        doubled = copies * (2 // each)
        found.copies[variant_id] = np.where(called, doubled, -1).tolist()
        found.ac[variant_id], found.an[variant_id] = ac, an
    return found


def components(dosages: np.ndarray, n: int) -> np.ndarray:
    """samples × n: eigenvectors of the matrix of people × people, of biallelic variants (missing ones at the mean)."""
    called = dosages >= 0
    p = np.where(called, dosages, 0).sum(axis=1) / (2 * called.sum(axis=1))
    scaled = np.where(called, (dosages - 2 * p[:, None]) / np.sqrt(2 * p * (1 - p))[:, None], 0.0)
    _, vectors = np.linalg.eigh(scaled.T @ scaled)
    return vectors[:, ::-1][:, :n]
