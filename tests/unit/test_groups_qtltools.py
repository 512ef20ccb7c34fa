"""Phenotypes searched as one: QTLtools cis --permute --grp-best, and its conditional pass."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pysam
import pytest

from cis_data import Cis, read_cis, read_covariates
from kgp.eqtl.conditional import map_independent
from kgp.eqtl.design import make_design
from kgp.eqtl.distinct import find_distinct
from kgp.eqtl.permutation import draw_permutations, map_permutations, prepare_permuted


def move_together(cis: Cis, groups: Sequence[Sequence[int]]) -> Cis:
    """Each phenotype of a group where its first is: QTLtools gives a group the window of that one."""
    tss = cis.tss.copy()
    for members in groups:
        tss[list(members)] = tss[members[0]]
    return replace(cis, tss=tss)


def write_grouped_bed(path: Path, cis: Cis, groups: Sequence[Sequence[int]]) -> Path:
    """Phenotypes in QTLtools' layout: contig, start, end, id, group, strand, values."""
    lines = ["\t".join(["#chr", "start", "end", "id", "group", "strand", *cis.samples]) + "\n"]
    for k, members in enumerate(groups):
        for i in members:
            row = ["chr22", str(cis.tss[i] - 1), str(cis.tss[i]), cis.genes[i], f"group{k}", "+"]
            lines.append("\t".join([*row, *map(repr, cis.expression[i].tolist())]) + "\n")
    path.write_text("".join(lines))
    return Path(pysam.tabix_index(str(path), preset="bed", force=True))


def run_qtltools(program: Path, *options: object) -> list[list[str]]:
    out = options[options.index("--out") + 1]
    assert isinstance(out, Path)
    subprocess.run([program, "cis", *map(str, options)], check=True, capture_output=True)
    return [line.split() for line in out.read_text().splitlines()]


def compare_groups(
    cis: Cis, groups: Sequence[Sequence[int]], covariates, rows: list[list[str]], n: int
) -> None:
    """Same best phenotype and variant of each group; p_beta near.

    Columns: group, contig, start, end, strand, best phenotype, phenotypes, variants, distance, variant, its contig,
    start, end, df, effective df, shape, shape, p, r², slope, p_perm, p_beta.
    """
    design = make_design(covariates, "qtltools")
    found = list(
        map_permutations(
            prepare_permuted(cis.expression, design),
            find_distinct(cis.genotypes, design),
            cis.windows,
            cis.distances,
            draw_permutations(358, n, 1),
            design,
            groups,
        )
    )
    told = {row[0]: row for row in rows}
    assert told.keys() == {f"group{one.group}" for one in found}
    for one in found:
        row = told[f"group{one.group}"]
        assert cis.genes[int(one.pair.phenotype[0])] == row[5]
        assert one.n_phenotypes == int(row[6])
        assert one.n_variants == int(row[7])
        assert cis.ids[int(one.pair.variant[0])] == row[9] or one.n_ties > 1
        assert one.pair.p[0] == pytest.approx(float(row[17]), rel=1e-4)
        assert one.pair.slope[0] == pytest.approx(float(row[19]), rel=1e-4)
        assert abs(one.p_perm - float(row[20])) < 5 * np.sqrt(0.25 / n)
        assert one.neg_log10_p_beta == pytest.approx(-np.log10(float(row[21])), rel=0.25, abs=0.3)


def test_qtltools_finds_the_same_best_of_groups(require_tool, bundled, tmp_path):
    program = require_tool("QTLtools")
    vcf = bundled / "genotypes.chr22.vcf.gz"
    cis = read_cis(vcf, bundled / "genes.50percent.chr22.bed.gz", 50_600_000, 50_800_000)
    groups = [[k for k in range(start, start + 3) if k < len(cis.genes)] for start in range(0, 12, 3)]
    cis = move_together(cis, groups)
    bed = write_grouped_bed(tmp_path / "phenotypes.bed", cis, groups)
    out = tmp_path / "permute.txt"
    rows = run_qtltools(
        program, "--permute", 300, "--grp-best", "--seed", 1, "--vcf", vcf, "--bed", bed, "--out", out
    )
    assert len(rows) == 4
    compare_groups(cis, groups, np.empty((358, 0)), rows, 300)


@pytest.mark.slow
def test_qtltools_finds_the_same_best_of_recorded_genes(require_tool, shared_data, tmp_path):
    """Sixty genes by twos and threes with 50 covariates, 1,000 permutations."""
    program = require_tool("QTLtools")
    place = shared_data / "geuvadis-eqtl-qtltools"
    cis = read_cis(
        place / "genotypes.chr22.vcf.gz", place / "genes.50percent.chr22.bed.gz", 36_000_000, 40_000_000
    )
    covariates = read_covariates(place / "genes.covariates.pc50.txt.gz", cis.samples)
    edges = [0, *np.cumsum([2, 3] * 12).tolist()]
    groups = [list(range(first, last)) for first, last in pairwise(edges)]
    assert edges[-1] <= len(cis.genes)
    cis = move_together(cis, groups)
    bed = write_grouped_bed(tmp_path / "phenotypes.bed", cis, groups)
    rows = run_qtltools(
        program, "--permute", 1000, "--grp-best", "--seed", 1, "--vcf", place / "genotypes.chr22.vcf.gz",
        "--cov", place / "genes.covariates.pc50.txt.gz", "--bed", bed, "--out", tmp_path / "permute.txt",
    )  # fmt: skip
    assert len(rows) == 24
    compare_groups(cis, groups, covariates, rows, 1000)


def test_qtltools_finds_the_same_signals_of_groups(require_tool, bundled, tmp_path):
    """The conditional pass of groups; columns as of the permutation pass up to the variant, then rank and p."""
    program = require_tool("QTLtools")
    vcf = bundled / "genotypes.chr22.vcf.gz"
    cis = read_cis(vcf, bundled / "genes.50percent.chr22.bed.gz", 46_400_000, 46_700_000)
    groups = [list(range(k, min(k + 2, len(cis.genes)))) for k in range(0, len(cis.genes), 2)]
    cis = move_together(cis, groups)
    bed = write_grouped_bed(tmp_path / "phenotypes.bed", cis, groups)
    thresholds = "".join(f"group{k} 1e-4\n" for k in range(len(groups)))
    (tmp_path / "thresholds.txt").write_text(thresholds)
    rows = run_qtltools(
        program, "--mapping", tmp_path / "thresholds.txt", "--grp-best", "--vcf", vcf, "--bed", bed,
        "--out", tmp_path / "mapping.txt",
    )  # fmt: skip
    told = {(row[0], int(row[13]) + 1): row for row in rows if row[22] == row[23] == "1"}
    design = make_design(np.empty((358, 0)), "qtltools")
    found = map_independent(
        cis.expression,
        find_distinct(cis.genotypes, design),
        cis.windows,
        cis.distances,
        draw_permutations(358, 10, 1),
        np.empty((358, 0)),
        design,
        np.full(len(groups), 1e-4),
        groups,
    )
    ours = {(f"group{one.best.group}", one.rank): one.best for one in found}
    assert ours.keys() == told.keys()
    assert max(rank for _, rank in ours) > 1
    for key, best in ours.items():
        assert cis.genes[int(best.pair.phenotype[0])] == told[key][5]
        assert best.pair.p[0] == pytest.approx(float(told[key][19]), rel=1e-3)
