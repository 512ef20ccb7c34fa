"""Lakes for the tests of matrices and exports, filled from the raw bundled files in plain Python and numpy.

Nothing of kgp's readers is used: what the tests expect must not come from the code that they test.
"""

from __future__ import annotations

import datetime
import gzip
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import WriterProperties, write_deltalake

from kgp.io.delta import Lake
from matrix_world import World, fill, make_world, no_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from kgp.config import Config
    from kgp.job import Report

CALLSET, DATASET, QUANTIFICATION = "slice", "E-GEUV-1", "genes"


@dataclass(frozen=True, eq=False)
class Raw:
    """The bundled slice as its files say.

    Args:
        samples: people of the VCF in its order.
        sites: (pos, id, ref, alt) a variant.
        dosages: variants × samples, copies of ALT.
        genes: (start, end, gene, strand) a gene.
        gene_samples: people of the BED in its order.
        expression: genes × samples.
        panel: sample → (population, superpopulation, sex).
    """

    samples: list[str]
    sites: list[tuple[int, str, str, str]]
    dosages: np.ndarray
    genes: list[tuple[int, int, str, str]]
    gene_samples: list[str]
    expression: np.ndarray
    panel: dict[str, tuple[str, str, str]]


@pytest.fixture(scope="session")
def world() -> World:
    """The made-up people, genotypes and expression of `matrix_world`."""
    return make_world()


@pytest.fixture(scope="session")
def world_lake(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake filled with it, which nobody changes."""
    place = tmp_path_factory.mktemp("world") / "lake"
    fill(world, Lake(no_spark, str(place)))
    return place


@pytest.fixture
def world_copy(world_lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that may be changed, without Spark."""
    monkeypatch.setattr("kgp.job.get_session", no_spark)
    return Path(shutil.copytree(world_lake, tmp_path / "lake"))


@pytest.fixture(scope="session")
def raw(bundled: Path) -> Raw:
    """The bundled slice, parsed here."""
    samples: list[str] = []
    sites, rows = [], []
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rb") as lines:
        for line in lines:
            if line.startswith(b"#CHROM"):
                samples = line.decode().split()[9:]
            elif not line.startswith(b"#"):
                fields = line.rstrip(b"\n").split(b"\t", 9)
                calls = np.frombuffer(fields[9] + b"\t", np.uint8).reshape(len(samples), 4)
                assert set(calls[:, 1]) == {ord("|")}
                rows.append((calls[:, 0] == ord("1")).astype(np.int8) + (calls[:, 2] == ord("1")))
                _, pos, vcf_id, ref, alt = (f.decode() for f in fields[:5])
                sites.append((int(pos), vcf_id, ref, alt))
    with gzip.open(bundled / "genes.50percent.chr22.bed.gz", "rt") as text:
        header, *body = (line.rstrip("\n").split("\t") for line in text)
    with open(bundled / "samples.panel") as text:
        panel = {f[0]: (f[1], f[2], f[3]) for f in (line.split() for line in text) if f[0] != "sample"}
    return Raw(
        samples,
        sites,
        np.array(rows),
        [(int(f[1]), int(f[2]), f[3], f[5]) for f in body],
        header[6:],
        np.array([[float(x) for x in f[6:]] for f in body]),
        panel,
    )


def load_row(load_id: str, target: str, subject: str, build: str | None, n: int = 0) -> dict[str, Any]:
    """A row of `loads`."""
    return {
        "load_id": load_id, "target": target, "subject": subject, "path": f"{load_id}.txt", "content_id": load_id,
        "build": build, "selection": {}, "reader": "test", "reader_reason": "test", "versions": {}, "rows_in": n,
        "rows_out": n, "rows_quarantined": 0, "alleles_out": n, "warnings": {}, "warned_at": {}, "seconds": 0.0,
        "loaded_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip


def variant(pos: int, dosages: Sequence[int | None] | None, **given: Any) -> dict[str, Any]:
    """A row of `variants` at 22:pos A>C of load v1."""
    contig, ref, alt = given.get("contig", "22"), given.get("ref", "A"), given.get("alt", "C")
    row = {
        "callset": CALLSET, "contig": contig, "load_id": "v1", "start": pos - 1, "end": pos - 1 + len(ref),
        "record_id": pos, "alt_index": int(alt is not None), "n_alts": int(alt is not None), "ref": ref, "alt": alt,
        "variant_id": f"{contig}_{pos}_{ref}_{alt}", "source_contig": f"chr{contig}", "dosages": dosages,
    }  # fmt: skip
    return {**row, **given}


def append(lake: Lake, table: Any, rows: pa.Table) -> None:
    """Add rows to a table by delta-rs."""
    lake.create(table)
    groups = WriterProperties(max_row_group_size=10_000)
    write_deltalake(lake.path(table), rows, mode="append", writer_properties=groups)


@dataclass
class Toy:
    """A lake small enough to be read: the tests change what they are about.

    Args:
        people: sample_id → (population, superpopulation, sex).
        callset: people of the callset in its order.
        runs: run_id → sample_id.
        variants: rows from `variant`.
        genes: gene → (contig, tss).
        expression: gene → run → value.
        loads: rows from `load_row`.
    """

    people: dict[str, tuple[str | None, str | None, str | None]]
    callset: list[str]
    runs: dict[str, str | None]
    variants: list[dict[str, Any]]
    genes: dict[str, tuple[str, int]]
    expression: dict[str, dict[str, float | None]]
    build: str = "GRCh37"
    loads: list[dict[str, Any]] = field(
        default_factory=lambda: [
            load_row("p1", "samples", "panel", None),
            load_row("v1", "variants", CALLSET, "GRCh37"),
            load_row("e1", "expression", DATASET, "GRCh37"),
        ]
    )

    def fill(self, lake: Lake) -> None:
        """Write all tables."""
        from kgp import tables as t

        def put(table: Any, rows: list[dict[str, Any]]) -> None:
            append(lake, table, pa.Table.from_pylist(rows, schema=table.arrow_schema))

        put(t.LOADS, self.loads)
        put(
            t.SAMPLES,
            [
                {
                    "sample_id": s,
                    "load_ids": ["p1"],
                    "callsets": [CALLSET],
                    "population": p,
                    "superpopulation": q,
                    "sex": x,
                }
                for s, (p, q, x) in self.people.items()
            ],
        )
        put(
            t.CALLSET_SAMPLES,
            [
                {"callset": CALLSET, "sample_index": i, "sample_id": s, "load_id": "v1"}
                for i, s in enumerate(self.callset)
            ],
        )
        put(
            t.RUNS,
            [
                {
                    "dataset": DATASET,
                    "run_id": r,
                    "sample_id": s,
                    "evidence": "test",
                    "load_ids": ["e1"],
                    "problem": None if s else "nobody known",
                }
                for r, s in self.runs.items()
            ],
        )
        put(
            t.QUANTIFICATIONS,
            [
                {"dataset": DATASET, "quantification": QUANTIFICATION, "kind": "gene", "unit": "rpkm",
                 "processing": "none", "build": self.build, "annotation": "matrix", "n_phenotypes": len(self.genes),
                 "run_ids": list(self.runs), "columns": list(self.runs), "load_id": "e1"}
            ],
        )  # fmt: skip
        put(t.VARIANTS, self.variants)
        put(
            t.PHENOTYPES,
            [
                {"dataset": DATASET, "quantification": QUANTIFICATION, "phenotype_id": g, "contig": c,
                 "start": tss - 1, "end": tss, "tss": tss, "build": self.build, "kind": "gene", "unit": "rpkm",
                 "source_contig": f"chr{c}", "load_id": "e1", "strand": "+"}
                for g, (c, tss) in self.genes.items()
            ],
        )  # fmt: skip
        put(
            t.EXPRESSION,
            [
                {
                    "dataset": DATASET,
                    "quantification": QUANTIFICATION,
                    "phenotype_id": g,
                    "run_id": r,
                    "value": v,
                    "load_id": "e1",
                }
                for g, values in self.expression.items()
                for r, v in values.items()
            ],
        )


@pytest.fixture
def toy() -> Toy:
    """Eight people (one without expression, one without genotypes), one gene, one variant at each pos 1000 + i."""
    people = {
        f"HG{i}": ("CEU" if i < 5 else "FIN", "EUR", "male" if i % 2 else "female") for i in range(1, 9)
    }
    callset = ["HG3", "HG1", "HG2", "HG4", "HG6", "HG5", "HG7"]  # HG8 has no genotypes
    runs = {f"ERR{i}": f"HG{i}" for i in (1, 2, 3, 4, 5, 6, 8)}  # HG7 has no expression
    return Toy(
        people,
        callset,
        dict(runs),
        [variant(1000, [0, 1, 2, 1, 0, 1, 0]), variant(1001, [2, 1, 0, None, 0, 0, 2])],
        {"g1": ("22", 1000)},
        {"g1": {run: float(i) for i, run in enumerate(runs)}},
    )


@pytest.fixture(scope="session")
def slice_template(raw: Raw, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A lake with the whole bundled slice, loaded from arrays; copy it."""
    from kgp import tables as t

    place = tmp_path_factory.mktemp("slice")
    lake = Lake(spark, str(place / "lake"))

    def put(table: Any, columns: dict[str, Any]) -> None:
        n = len(next(c for c in columns.values() if isinstance(c, list | np.ndarray | pa.Array)))
        filled = [
            columns[f.name] if isinstance(columns.get(f.name), pa.Array)
            else pa.array(columns[f.name], f.type) if isinstance(columns.get(f.name), list | np.ndarray)
            else pa.array([columns.get(f.name)] * n, f.type)
            for f in table.arrow_schema
        ]  # fmt: skip
        append(lake, table, pa.Table.from_arrays(filled, schema=table.arrow_schema))

    n, m = raw.dosages.shape
    pos = np.array([site[0] for site in raw.sites])
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * m)
    loads = [
        load_row("p1", "samples", "panel", None),
        load_row("v1", "variants", CALLSET, "GRCh37", n),
        load_row("e1", "expression", DATASET, "GRCh37", len(raw.genes)),
    ]
    append(lake, t.LOADS, pa.Table.from_pylist(loads, schema=t.LOADS.arrow_schema))
    put(
        t.SAMPLES,
        {
            "sample_id": list(raw.panel), "load_ids": pa.array([["p1"]] * len(raw.panel)),
            "callsets": pa.array([[CALLSET]] * len(raw.panel)), "population": [p[0] for p in raw.panel.values()],
            "superpopulation": [p[1] for p in raw.panel.values()], "sex": [p[2] for p in raw.panel.values()],
        },
    )  # fmt: skip
    put(
        t.CALLSET_SAMPLES,
        {"callset": CALLSET, "load_id": "v1", "sample_index": list(range(m)), "sample_id": raw.samples},
    )
    put(
        t.VARIANTS,
        {
            "callset": CALLSET, "contig": "22", "source_contig": "chr22", "load_id": "v1", "start": pos - 1,
            "end": pos, "record_id": np.arange(n), "alt_index": 1, "n_alts": 1,
            "variant_id": [f"22_{p}_{r}_{a}" for p, _, r, a in raw.sites], "vcf_id": [s[1] for s in raw.sites],
            "ref": [s[2] for s in raw.sites], "alt": [s[3] for s in raw.sites],
            "dosages": pa.ListArray.from_arrays(offsets, pa.array(raw.dosages.reshape(-1))),
        },
    )  # fmt: skip
    put(
        t.RUNS,
        {
            "dataset": DATASET, "load_ids": pa.array([["e1"]] * len(raw.gene_samples)), "evidence": "test",
            "run_id": raw.gene_samples, "sample_id": raw.gene_samples,
        },
    )  # fmt: skip
    put(
        t.QUANTIFICATIONS,
        {
            "dataset": DATASET, "quantification": [QUANTIFICATION], "kind": "gene", "unit": "rpkm", "load_id": "e1",
            "processing": "none", "build": "GRCh37", "annotation": "matrix", "n_phenotypes": len(raw.genes),
            "run_ids": pa.array([raw.gene_samples]), "columns": pa.array([raw.gene_samples]),
        },
    )  # fmt: skip
    put(
        t.PHENOTYPES,
        {
            "dataset": DATASET, "quantification": QUANTIFICATION, "load_id": "e1", "contig": "22",
            "source_contig": "chr22", "build": "GRCh37", "kind": "gene", "unit": "rpkm",
            "start": [g[0] for g in raw.genes], "end": [g[1] for g in raw.genes],
            "tss": [g[1] for g in raw.genes], "phenotype_id": [g[2] for g in raw.genes],
            "strand": [g[3] for g in raw.genes],
        },
    )  # fmt: skip
    put(
        t.EXPRESSION,
        {
            "dataset": DATASET, "quantification": QUANTIFICATION, "load_id": "e1", "value": raw.expression.reshape(-1),
            "phenotype_id": [g[2] for g in raw.genes for _ in raw.gene_samples],
            "run_id": [r for _ in raw.genes for r in raw.gene_samples],
        },
    )  # fmt: skip
    yield place / "lake"
    shutil.rmtree(place)


@pytest.fixture(scope="session")
def make_config(config: Config) -> Callable[[Path | str], Config]:
    """The configuration with another lake."""
    from kgp.config import Config

    def make(lake: Path | str) -> Config:
        return Config({**config.values, "": {**config.values[""], "lake": str(lake)}})

    return make


@pytest.fixture(scope="session")
def make_run(make_config: Callable[[Path | str], Config]) -> Callable[..., Callable[..., Report]]:
    """``make_run(JOB, callset="c")(lake, min_maf=0.05)``: run a job with the defaults but these; gives its report."""
    from kgp.job import Job, Progress, run_job

    def make(job: Job[Any], **always: Any) -> Callable[..., Report]:
        def run(lake: Path | str, **options: Any) -> Report:
            config = make_config(lake)
            params = config.params(job.params, {**always, **options})
            return run_job(job, params, config, progress=Progress(quiet=True))

        return run

    return make


@pytest.fixture(scope="session")
def build_set(make_run: Callable[..., Callable[..., Report]]) -> Callable[..., Report]:
    """``build_set(lake, name="eur", cohort="EUR")``: run the job with the defaults but these; gives its report."""
    from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES

    return make_run(BUILD_EQTL_MATRICES, callset=CALLSET, dataset=DATASET)


@pytest.fixture(scope="session")
def slice_lake(
    slice_template: Path, build_set: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A lake with the bundled slice and the set ``eur``, built from it with the defaults. Not to be changed."""
    place = tmp_path_factory.mktemp("built") / "lake"
    shutil.copytree(slice_template, place)
    build_set(place, name="eur", cohort="EUR")
    return place
