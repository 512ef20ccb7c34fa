"""Matrix sets for tests of the mapping, written from arrays without the job that builds them; and runs of the job."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import DeltaTable

from cis_data import read_cis, read_covariates
from kgp import tables as t
from kgp.config import Config, load_config
from kgp.io.delta import Lake
from kgp.io.direct import write_files
from kgp.job import Progress, Report, run_job
from kgp.params import EqtlMap


@dataclass
class MadeSet:
    """A set as its arrays.

    Args:
        genotypes: variants × samples: int8 with -1 where missing, or float32 with NaN.
        positions: of the variants, 1-based; of each contig one after another, ascending.
        contigs: of the variants.
        phenotypes: phenotypes × samples, NaN where missing.
        tss: of the phenotypes, 1-based.
        phenotype_contigs: of the phenotypes.
        covariates: samples × covariates.
        groups: group of each phenotype, or None.
        covariate_contigs: contig of each covariate, or None.
        ids: of the variants and phenotypes; made up where not given.
    """

    genotypes: np.ndarray
    positions: np.ndarray
    contigs: Sequence[str]
    phenotypes: np.ndarray
    tss: np.ndarray
    phenotype_contigs: Sequence[str]
    covariates: np.ndarray
    groups: Sequence[str | None] | None = None
    covariate_contigs: Sequence[str | None] | None = None
    variant_ids: Sequence[str] = ()
    vcf_ids: Sequence[str] = ()
    phenotype_ids: Sequence[str] = ()
    covariate_names: Sequence[str] = ()
    window: int = 1_000_000
    build: str = "GRCh37"
    name: str = "made"
    matrix_id: str = "m1"
    n_files: int = field(default=1)

    def __post_init__(self) -> None:
        if not len(self.variant_ids):
            self.variant_ids = [f"{c}_{p}_A_C" for c, p in zip(self.contigs, self.positions, strict=True)]
        if not len(self.vcf_ids):
            self.vcf_ids = [f"rs{i}" for i in range(len(self.positions))]
        if not len(self.phenotype_ids):
            self.phenotype_ids = [f"gene{i}" for i in range(len(self.tss))]
        if not len(self.covariate_names):
            self.covariate_names = [f"c{i}" for i in range(self.covariates.shape[1])]

    @property
    def n_samples(self) -> int:
        return self.genotypes.shape[1]

    def write(self, uri: Path | str) -> Lake:
        """Write the set into a lake."""
        lake = Lake(_no_spark, str(uri))
        self._write(lake, t.EQTL_GENOTYPES, self._genotype_rows())
        self._write(lake, t.EQTL_PHENOTYPES, self._phenotype_rows())
        covariates = [
            {
                "matrix_id": self.matrix_id,
                "covariate_id": name,
                "row_index": i,
                "values": self.covariates[:, i].tolist(),
                "contig": None if self.covariate_contigs is None else self.covariate_contigs[i],
            }
            for i, name in enumerate(self.covariate_names)
        ]
        if covariates:
            lake.put(t.EQTL_COVARIATES, covariates, f"matrix_id = '{self.matrix_id}'")
        lake.put(t.EQTL_MATRICES, [self._set_row()], f"matrix_id = '{self.matrix_id}'")
        return lake

    def _set_row(self) -> dict[str, Any]:
        people = [f"P{i}" for i in range(self.n_samples)]
        return {
            "matrix_id": self.matrix_id, "name": self.name, "callset": "made", "build": self.build,
            "parameters": {"cis_window": str(self.window)}, "load_ids": [], "table_versions": {},
            "sample_ids": people, "run_ids": people, "n_samples": self.n_samples,
            "n_variants": len(self.positions), "n_phenotypes": len(self.tss),
            "n_covariates": self.covariates.shape[1], "dropped": {}, "dropped_samples": {}, "notes": [],
            "seconds": 0.0, "built_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
        }  # fmt: skip

    def _write(self, lake: Lake, table: Any, rows: pa.Table) -> None:
        lake.create(table)
        files = []
        for contig in dict.fromkeys(rows["contig"].to_pylist()):
            of_contig = rows.filter(pa.compute.equal(rows["contig"], contig))
            size = -(-of_contig.num_rows // self.n_files)
            for begin in range(0, of_contig.num_rows, size):
                batches = of_contig.slice(begin, size).combine_chunks().to_batches()
                files += write_files(batches, table, lake.path(table))
        lake.commit(table, files, [self.matrix_id])

    def _genotype_rows(self) -> pa.Table:
        n, m = self.genotypes.shape
        is_calls = self.genotypes.dtype == np.int8
        missing = self.genotypes < 0 if is_calls else np.isnan(self.genotypes)
        known = np.where(missing, 0, self.genotypes).astype(np.float64).sum(axis=1)
        an = 2 * (~missing).sum(axis=1)
        values = pa.array(self.genotypes.reshape(-1), mask=missing.reshape(-1))
        lists = pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * m), values)
        starts = np.asarray(self.positions, dtype=np.int64) - 1
        alleles = [one.rpartition("_")[0].rpartition("_")[2] or "A" for one in self.variant_ids]
        return _table(
            t.EQTL_GENOTYPES,
            n,
            matrix_id=self.matrix_id,
            contig=list(self.contigs),
            variant_id=list(self.variant_ids),
            start=starts,
            end=starts + 1,
            ref=alleles,
            alt=[one.rpartition("_")[2] for one in self.variant_ids],
            ac=np.rint(known).astype(np.int32),
            an=an.astype(np.int32),
            af=known / np.maximum(an, 1),
            n_missing=missing.sum(axis=1).astype(np.int32),
            vcf_id=list(self.vcf_ids),
            **{"dosages" if is_calls else "expected_dosages": lists},
        )

    def _phenotype_rows(self) -> pa.Table:
        n, m = self.phenotypes.shape
        values = pa.array(self.phenotypes.reshape(-1), mask=np.isnan(self.phenotypes).reshape(-1))
        starts = np.asarray(self.tss, dtype=np.int64) - 1
        return _table(
            t.EQTL_PHENOTYPES,
            n,
            matrix_id=self.matrix_id,
            contig=list(self.phenotype_contigs),
            phenotype_id=list(self.phenotype_ids),
            start=starts,
            end=starts + 1,
            tss=starts + 1,
            group_id=None if self.groups is None else list(self.groups),
            values=pa.ListArray.from_arrays(pa.array(np.arange(n + 1, dtype=np.int32) * m), values),
        )


def make_set(
    seed: int = 1, n_samples: int = 60, n_variants: int = 80, n_phenotypes: int = 6, **given: Any
) -> MadeSet:
    """A small set on contigs 2 and 10, with an effect of a variant on each second phenotype, and three covariates."""
    generator = np.random.default_rng(seed)
    genotypes = generator.binomial(2, 0.3, size=(n_variants, n_samples)).astype(np.int8)
    covariates = generator.normal(size=(n_samples, 3))
    half = n_variants // 2
    positions = np.concatenate([np.arange(half), np.arange(n_variants - half)]) * 100 + 1000
    contigs = ["2"] * half + ["10"] * (n_variants - half)
    chosen = np.linspace(5, n_variants - 6, n_phenotypes).astype(int)
    phenotypes = (
        generator.normal(size=(n_phenotypes, n_samples))
        + generator.normal(size=(n_phenotypes, 3)) @ covariates.T
    )
    phenotypes[::2] += 1.2 * genotypes[chosen[::2]]
    fields: dict[str, Any] = {
        "genotypes": genotypes,
        "positions": positions,
        "contigs": contigs,
        "phenotypes": phenotypes,
        "tss": positions[chosen] + 7,
        "phenotype_contigs": [contigs[i] for i in chosen],
        "covariates": covariates,
        "window": 1500,
    }
    return MadeSet(**{**fields, **given})


def read_real_set(vcf: Path, bed: Path, covariates: Path | np.ndarray, **given: Any) -> MadeSet:
    """The set of a VCF, a BED and covariates (a file, or samples × covariates) of chromosome 22."""
    cis = read_cis(vcf, bed)
    if isinstance(covariates, Path):
        covariates = read_covariates(covariates, cis.samples)
    fields: dict[str, Any] = {
        "genotypes": cis.genotypes,
        "positions": cis.positions,
        "contigs": ["22"] * len(cis.ids),
        "phenotypes": cis.expression,
        "tss": cis.tss,
        "phenotype_contigs": ["22"] * len(cis.genes),
        "covariates": covariates,
        # Ids of the file may be repeated; its alleles are of no matter here.
        "variant_ids": [f"22_{i}_A_C" for i in range(len(cis.ids))],
        "vcf_ids": cis.ids,
        "phenotype_ids": cis.genes,
    }
    return MadeSet(**{**fields, **given})


def make_params(uri: Path | str = "lake", **options: Any) -> EqtlMap:
    """The defaults of the job but these, and few permutations."""
    values = _config(str(uri)).values
    # As a configuration has it: on the command line only the modes that permute take the option.
    config = Config({**values, "eqtl_map": {**values["eqtl_map"], "permutations": 100}})
    return config.params(EqtlMap, {"name": "made", "mode": "nominal", **options})


def map_set(uri: Path | str, *, said: io.StringIO | None = None, **options: Any) -> Report:
    """Run the job on a lake with the defaults but these options."""
    from kgp.jobs.map_eqtl import MAP_EQTL

    progress = Progress(said, quiet=said is None, every=0.2)
    return run_job(MAP_EQTL, make_params(uri, **options), _config(str(uri)), progress=progress)


def read_rows(uri: Path | str, table: Any, where: str = "true") -> pa.Table:
    """All rows of a table by delta-rs, by key."""
    rows = Lake(_no_spark, str(uri)).fetch(table, where=where)
    return rows.sort_by([(name, "ascending") for name in table.key])


def list_data_files(uri: Path | str, table: Any) -> list[str]:
    """Data files that the table's log names."""
    return sorted(DeltaTable(f"{uri}/{table.name}").file_uris())


def _config(uri: str) -> Config:
    made = load_config(environ={"KGP_SESSION_MASTER": "local[2]", "KGP_SESSION_DRIVER_MEMORY": "2g"})
    return Config({**made.values, "": {**made.values[""], "lake": uri}})


def _table(table: Any, n: int, **columns: Any) -> pa.Table:
    arrays = []
    for one in table.arrow_schema:
        value = columns.get(one.name)
        if value is None or isinstance(value, str):
            arrays.append(pa.array([value] * n, one.type))
        else:
            arrays.append(value.cast(one.type) if isinstance(value, pa.Array) else pa.array(value, one.type))
    return pa.Table.from_arrays(arrays, names=table.arrow_schema.names)


def _no_spark() -> Any:
    raise AssertionError("Spark was started for a small set")
