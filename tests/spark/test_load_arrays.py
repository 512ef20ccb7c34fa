"""From an array dataset to a matrix set, without a JVM: a MAGE-TAB matrix, its design and a GTF of genes.

Matrix, SDRF and design are written here in the layouts in which E-MTAB-264 was published; the values are made up.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deltalake import DeltaTable

from kgp.config import load_config
from kgp.errors import UsageError
from kgp.job import Progress, Report, run_job
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES
from kgp.jobs.load_expression import LOAD_EXPRESSION
from kgp.params import EqtlBuild, LoadExpression
from matrix_world import CALLSET, World, inverse_normal, people_of

GENES = {"AAA": ("1", 5_050_000, "+"), "BBB": ("2", 5_100_000, "-"), "CCC": ("3", 5_150_000, "+")}
# Probe → symbols that the design has of it; two probes of one gene.
PROBES = {
    "ILMN_1": "AAA", "ILMN_2": "AAA", "ILMN_3": "BBB", "ILMN_4": "CCC", "ILMN_5": "NOSUCHGENE", "ILMN_6": "",
    "ILMN_7": "AAA;BBB",
}  # fmt: skip
LENGTH = 2_000


@pytest.fixture
def lake(world_copy: Path) -> Path:
    return world_copy


@pytest.fixture
def values(world: World) -> np.ndarray:
    return np.random.default_rng(4).normal(8.0, 1.0, (len(PROBES), len(people_of(world)))).round(6)


@pytest.fixture
def files(world: World, values: np.ndarray, tmp_path: Path) -> Path:
    """CHB_p3_expression.txt, E-MTAB-264.sdrf.txt, A-MEXP-930.adf.txt and genes.gtf."""
    people = people_of(world)
    matrix = [
        "\t".join(["Normalization REF", *people]),
        "\t".join(["Reporter REF", *["signal"] * len(people)]),
    ]
    matrix += [
        "\t".join([probe, *map(str, line)]) for probe, line in zip(PROBES, values.tolist(), strict=True)
    ]
    sdrf = ["Source Name\tMaterial Type\tHybridization Name\tArray Design REF\tNormalization Name"]
    sdrf += [f"{s}\tcell\t{s}_{i}_1\tA-MEXP-930\t{s}" for s in people for i in (1, 2)]
    adf = [
        "Array Design Name\tIllumina Human-6 v2 Expression BeadChip",
        "Comment[ArrayExpressAccession]\tA-MEXP-930",
    ]
    adf += ["", "[main]", "Reporter Name\tReporter Sequence\tReporter Database Entry[hugo]"]
    adf += [f"{probe}\tACGT\t{symbol}" for probe, symbol in PROBES.items()]
    gtf = ["##description: evidence-based annotation of the human genome (GRCh37), version 19 (Ensembl 74)"]
    for i, (symbol, (contig, tss, strand)) in enumerate(GENES.items()):
        first = tss if strand == "+" else tss - LENGTH + 1
        names = f'gene_id "ENSG0000090000{i}.3"; gene_name "{symbol}";'
        gtf.append(f"chr{contig}\tHAVANA\tgene\t{first}\t{first + LENGTH - 1}\t.\t{strand}\t.\t{names}")
    for name, lines in (
        ("CHB_p3_expression.txt", matrix),
        ("E-MTAB-264.sdrf.txt", sdrf),
        ("A-MEXP-930.adf.txt", adf),
        ("genes.gtf", gtf),
    ):
        (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def load(lake: Path, files: Path) -> Callable[..., Report]:
    def run(**options: Any) -> Report:
        config = load_config(lake=str(lake), environ={})
        given = {
            "dataset": "E-MTAB-264", "matrix": (str(files / "CHB_p3_expression.txt"),), "build": "GRCh37",
            "sdrf": (str(files / "E-MTAB-264.sdrf.txt"),), "annotation": str(files / "genes.gtf"),
            "design": str(files / "A-MEXP-930.adf.txt"), **options,
        }  # fmt: skip
        params = config.params(LoadExpression, given)
        return run_job(LOAD_EXPRESSION, params, config, progress=Progress(quiet=True))

    return run


def read(lake: Path, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (
        DeltaTable(str(lake / table)).to_pyarrow_table().to_pylist(maps_as_pydicts="strict")
    )
    return rows


def test_probes_become_phenotypes_where_their_genes_lie(lake: Path, load: Callable[..., Report]) -> None:
    report = load()
    (row,) = (r for r in read(lake, "quantifications") if r["dataset"] == "E-MTAB-264")
    assert (row["kind"], row["unit"], row["build"]) == ("probe", "log2_intensity", "GRCh37")
    assert (row["annotation"], row["n_phenotypes"]) == ("A-MEXP-930, GENCODE 19, GRCh37", len(PROBES))
    found = {r["phenotype_id"]: r for r in read(lake, "phenotypes") if r["dataset"] == "E-MTAB-264"}
    assert set(found) == set(PROBES)
    for probe, symbol in PROBES.items():
        one = found[probe]
        if symbol not in GENES:
            assert (one["contig"], one["gene_id"], one["tss"]) == (None, None, None)
            continue
        contig, tss, strand = GENES[symbol]
        id = f"ENSG0000090000{list(GENES).index(symbol)}"
        assert (one["contig"], one["tss"], one["strand"], one["end"] - one["start"]) == (
            contig,
            tss,
            strand,
            LENGTH,
        )
        assert (one["gene_id"], one["gene_version"], one["gene_name"], one["group_id"]) == (
            id,
            3,
            symbol,
            f"{id}.3",
        )
    assert report.details["without_place"] == 3
    notes = " ".join(report.notes)
    for why in (
        "1 x annotation: probes whose gene the annotation does not have",
        "1 x annotation: probes for which the design names no gene",
        "1 x annotation: probes of several genes",
    ):
        assert why in notes


def test_an_array_dataset_becomes_a_matrix_set(
    world: World, values: np.ndarray, lake: Path, load: Callable[..., Report]
) -> None:
    load()
    config = load_config(lake=str(lake), environ={})
    given = {
        "name": "arrays", "callset": CALLSET, "dataset": "E-MTAB-264", "profile": "basic",
        "min_expression_fraction": 0.0, "cis_window": 20_000, "swaps": "skip",
    }  # fmt: skip
    run_job(BUILD_EQTL_MATRICES, config.params(EqtlBuild, given), config, progress=Progress(quiet=True))
    (row,) = read(lake, "eqtl_matrices")
    assert row["sample_ids"] == people_of(world)
    assert row["dropped"]["phenotypes: no place"] == 3
    found = {r["phenotype_id"]: r for r in read(lake, "eqtl_phenotypes")}
    placed = {probe: symbol for probe, symbol in PROBES.items() if symbol in GENES}
    assert {p: (r["contig"], r["tss"]) for p, r in found.items()} == {
        p: GENES[s][:2] for p, s in placed.items()
    }
    normal = dict(zip(PROBES, inverse_normal(values), strict=True))
    for probe, one in found.items():
        np.testing.assert_allclose(one["values"], normal[probe], rtol=1e-9, atol=1e-12)
    near = sum(
        any(c == contig and abs(int(p) - tss) <= 20_000 for c, tss, _ in GENES.values())
        for contig, p in zip(world.contigs, world.pos, strict=True)
    )
    assert 0 < row["n_variants"] <= near


def test_another_design_is_another_load_and_the_same_is_none(
    lake: Path, files: Path, load: Callable[..., Report]
) -> None:
    load()
    assert not load().changed
    path = files / "A-MEXP-930.adf.txt"
    path.write_text(path.read_text().replace("NOSUCHGENE", "CCC"))
    assert load().changed
    found = {r["phenotype_id"]: r["contig"] for r in read(lake, "phenotypes") if r["dataset"] == "E-MTAB-264"}
    assert found["ILMN_5"] == "3"


def test_a_design_is_of_probes(load: Callable[..., Report]) -> None:
    with pytest.raises(UsageError) as refused:
        load(kind="gene")
    assert str(refused.value) == (
        "--design: A design is of probes; CHB_p3_expression.txt has genes. Leave it away, or give --kind probe."
    )
