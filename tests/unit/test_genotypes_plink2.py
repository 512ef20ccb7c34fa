"""The filters and counts of matrix sets against plink2: the bundled slice with holes, dosages, and made-up X."""

from __future__ import annotations

import gzip
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kgp.tables import VARIANTS
from kgp.transforms.calls import encode_texts
from kgp.transforms.genotypes import GenotypeFilter, filter_genotypes

N_ROWS, HOLES = 3000, 0.02
Plink2 = Callable[..., None]


@dataclass(frozen=True, eq=False)
class Made:
    """A made-up VCF and what is in it.

    Args:
        path: the VCF.
        samples: its people.
        pos: of its variants.
        dosages: variants × people, negative or NaN where missing.
    """

    path: Path
    samples: list[str]
    pos: np.ndarray
    dosages: np.ndarray

    def batch(self, column: str) -> pa.RecordBatch:
        """The rows of `variants`."""
        n, m = self.dosages.shape
        is_missing = ~(self.dosages >= 0)
        flat = pa.array(self.dosages.reshape(-1), mask=is_missing.reshape(-1))
        made = {
            "contig": ["22"] * n, "variant_id": [f"v{i}" for i in range(n)], "start": self.pos - 1, "end": self.pos,
            "ref": ["A"] * n, "alt": ["C"] * n, "n_alts": [1] * n, "calls": [b"\x02"] * n,
            column: pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * np.int32(m), flat),
        }  # fmt: skip
        fields = [VARIANTS.arrow_schema.field(name) for name in (*made, "vcf_id", "rsid")]
        nulls = pa.nulls(n, pa.string())
        arrays = [pa.array(made[f.name], f.type) if f.name in made else nulls for f in fields]
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields))


@pytest.fixture
def plink2(require_tool: Callable[[str], Path], tmp_path: Path) -> Plink2:
    """``plink2("out", "--vcf", …)``: writes beside the test's other files."""
    program = require_tool("plink2")

    def run(prefix: str, *options: object) -> None:
        command = [
            program,
            *map(str, options),
            "--out",
            tmp_path / prefix,
            "--threads",
            "1",
            "--memory",
            "1000",
        ]
        subprocess.run(command, check=True, capture_output=True)

    return run


@pytest.fixture(scope="module")
def holed(bundled: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Variants of the slice, with missing genotypes and some that nobody or everybody has."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("holed") / "holed.vcf"
    samples: list[str] = []
    pos, rows = [], []
    words = np.array(["0/0", "0/1", "1/1", "./."])
    with gzip.open(bundled / "genotypes.chr22.vcf.gz", "rt") as lines, path.open("w") as written:
        for line in lines:
            if line.startswith("#"):
                samples = line.split()[9:] if line.startswith("#CHROM") else samples
                written.write(line)
                continue
            fields = line.rstrip("\n").split("\t")
            copies = np.array([int(call[0]) + int(call[2]) for call in fields[9:]], dtype=np.int8)
            if len(rows) % 40 < 3:
                copies[:] = len(rows) % 40
            copies[rng.random(len(copies)) < HOLES * rng.integers(0, 4)] = -1
            fields[0], fields[2] = "22", f"v{len(rows)}"
            written.write("\t".join([*fields[:9], *words[copies]]) + "\n")
            pos.append(int(fields[1]))
            rows.append(copies)
            if len(rows) == N_ROWS:
                break
    return Made(path, samples, np.array(pos), np.array(rows))


def which_of(made: Made, chosen: Sequence[int], **given: Any) -> GenotypeFilter:
    everywhere = {"22": made.pos.tolist()}
    options = {
        "sample_indices": tuple(chosen), "n_callset": len(made.samples), "sexes": (None,) * len(chosen),
        "build": "GRCh37", "tss_by_contig": everywhere, "cis_window": 0, "source": "calls", "min_maf": 0.0,
        "min_mac": 0, "max_missing": 1.0, "min_hwe_p": 0.0, "multiallelic": "drop", "missing_genotypes": "mean",
        "x_model": "drop",
    }  # fmt: skip
    return GenotypeFilter(**{**options, **given})


def choose(made: Made, tmp_path: Path, n: int = 150) -> list[int]:
    """Some of the people, and a file of their ids."""
    chosen = sorted(np.random.default_rng(2).choice(len(made.samples), n, replace=False).tolist())
    (tmp_path / "keep.txt").write_text("#IID\n" + "".join(f"{made.samples[i]}\n" for i in chosen))
    return chosen


def read_columns(path: Path, *names: str) -> dict[str, list[str]]:
    """A table of plink2: ID → those columns as text."""
    header, *rows = (line.split() for line in path.read_text().splitlines())
    places = [header.index(name) for name in names]
    return {row[header.index("ID")]: [row[place] for place in places] for row in rows}


def test_plink2_counts_the_same_alleles_and_missing_genotypes(
    holed: Made, tmp_path: Path, plink2: Plink2
) -> None:
    chosen = choose(holed, tmp_path)
    plink2(
        "out",
        "--vcf",
        holed.path,
        "--keep",
        tmp_path / "keep.txt",
        "--freq",
        "counts",
        "--missing",
        "variant-only",
    )
    counted = read_columns(tmp_path / "out.acount", "ALT_CTS", "OBS_CT")
    missing = read_columns(tmp_path / "out.vmiss", "MISSING_CT")
    kept, dropped, n_missing = filter_genotypes(holed.batch("dosages"), which_of(holed, chosen))
    rows = kept.to_pylist()
    assert len(rows) + dropped.total() == N_ROWS
    assert {row["variant_id"]: [str(row["ac"]), str(row["an"])] for row in rows}.items() <= counted.items()
    assert {row["variant_id"]: [str(row["n_missing"])] for row in rows}.items() <= missing.items()
    assert n_missing == sum(row["n_missing"] for row in rows) > 10_000
    # What is not kept has one allele, or everybody one of each.
    gone = [counted[name] for name in counted.keys() - {row["variant_id"] for row in rows}]
    assert len(gone) == dropped.total() > 200
    assert all(2 * int(ac) in (0, int(an), 2 * int(an)) for ac, an in gone)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        ({"min_maf": 0.05}, ["--maf", "0.05"]),
        ({"min_mac": 11}, ["--mac", "11"]),
        ({"max_missing": 0.04}, ["--geno", "0.04", "--mac", "1"]),
        ({"min_hwe_p": 0.01}, ["--hwe", "0.01", "--mac", "1"]),
        (
            {"min_maf": 0.02, "max_missing": 0.05, "min_hwe_p": 1e-4},
            ["--maf", "0.02", "--geno", "0.05", "--hwe", "1e-4"],
        ),
        ({"missing_genotypes": "drop"}, ["--geno", "0", "--mac", "1"]),
    ],
    ids=["maf", "mac", "geno", "hwe", "all", "complete"],
)
def test_plink2_keeps_the_same_variants(
    given: dict[str, Any], options: list[str], holed: Made, tmp_path: Path, plink2: Plink2
) -> None:
    chosen = choose(holed, tmp_path)
    plink2("out", "--vcf", holed.path, "--keep", tmp_path / "keep.txt", *options, "--write-snplist")
    kept, dropped, _ = filter_genotypes(holed.batch("dosages"), which_of(holed, chosen, **given))
    found = set(kept["variant_id"].to_pylist())
    # Everybody heterozygous: plink2 keeps what no slope can be computed of.
    called = holed.dosages[:, chosen]
    constant = {f"v{i}" for i, row in enumerate(called) if set(row[row >= 0].tolist()) == {1}}
    assert found == set((tmp_path / "out.snplist").read_text().split()) - constant
    assert 200 < len(found) < N_ROWS - 200
    assert len(found) + dropped.total() == N_ROWS


def test_plink2_sees_the_same_in_expected_dosages(bundled: Path, tmp_path: Path, plink2: Plink2) -> None:
    rng = np.random.default_rng(8)
    n, samples = 400, [f"p{i}" for i in range(120)]
    dosages = (
        np.clip(rng.integers(0, 3, (n, 120)) + rng.normal(0, 0.15, (n, 120)), 0, 2)
        .round(2)
        .astype(np.float32)
    )
    dosages[rng.random(dosages.shape) < 0.03] = np.nan
    made = Made(tmp_path / "ds.vcf", samples, np.arange(n) + 1000, dosages)
    lines = [
        "##fileformat=VCFv4.2", "##contig=<ID=22,length=51304566>",
        '##FORMAT=<ID=DS,Number=A,Type=Float,Description="dosage">',
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *samples]),
    ]  # fmt: skip
    for i, row in enumerate(dosages.tolist()):
        texts = ["." if value != value else f"{value:.2f}" for value in row]
        lines.append("\t".join(["22", str(1000 + i), f"v{i}", "A", "C", ".", "PASS", ".", "DS", *texts]))
    made.path.write_text("\n".join(lines) + "\n")
    plink2(
        "out",
        "--vcf",
        made.path,
        "dosage=DS",
        "--freq",
        "--missing",
        "variant-only",
        "vcols=+nmissdosage",
        "--hardy",
    )
    frequency = read_columns(tmp_path / "out.afreq", "ALT_FREQS", "OBS_CT")
    missing = read_columns(tmp_path / "out.vmiss", "MISSING_DOSAGE_CT")
    p = {name: float(text) for name, (text,) in read_columns(tmp_path / "out.hardy", "P").items()}

    which = which_of(made, range(120), source="dosages")
    rows = filter_genotypes(made.batch("expected_dosages"), which)[0].to_pylist()
    assert len(rows) == n
    for row in rows:
        frequency_there, an = frequency[row["variant_id"]]
        # plink2 holds dosages in steps of 1 / 16384.
        assert row["af"] == pytest.approx(float(frequency_there), abs=4e-5)
        assert (row["an"], row["n_missing"]) == (int(an), int(missing[row["variant_id"]][0]))
        assert row["ac"] == pytest.approx(row["af"] * row["an"], abs=0.5)
    bound = sorted(p.values())[n // 2]
    tested = filter_genotypes(
        made.batch("expected_dosages"), which_of(made, range(120), source="dosages", min_hwe_p=bound)
    )
    expected = {name for name, one in p.items() if one > bound * 1.00001}
    assert (
        expected
        <= set(tested[0]["variant_id"].to_pylist())
        <= {name for name in p if p[name] >= bound * 0.99999}
    )
    assert 100 < tested[0].num_rows < n


# -------------------------------------------------------------------------------------------------------------- X


def make_x(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """A VCF of X with men haploid in some records and diploid in others: sexes, and position and GT texts a record."""
    rng = np.random.default_rng(4)
    sexes = ["male" if i % 5 < 2 else "female" for i in range(60)]
    records = []
    for number in range(240):
        in_par, is_haploid = number < 40, number % 3 > 0
        frequency = rng.uniform(0.02, 0.5)
        texts = []
        for sex in sexes:
            a, b = (rng.random(2) < frequency).astype(int)
            if sex == "female" or in_par:
                text = f"{a}/{b}"
            elif is_haploid:
                text = str(a)
            else:
                text = "0/1" if rng.random() < 0.04 else f"{a}|{a}"
            if rng.random() < 0.05 * (number % 4):
                text = re.sub(r"\d", ".", text)
            texts.append(text)
        records.append((100_000 + 10 * number if in_par else 3_000_000 + 10 * number, texts))
    lines = [
        "##fileformat=VCFv4.2",
        "##contig=<ID=X,length=155270560>",
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="genotype">',
        "\t".join(
            ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *name_people(sexes)]
        ),
    ]
    for number, (pos, texts) in enumerate(records):
        lines.append("\t".join(["X", str(pos), f"v{number}", "A", "C", ".", "PASS", ".", "GT", *texts]))
    path.write_text("\n".join(lines) + "\n")
    return sexes, records


def name_people(sexes: Sequence[str]) -> list[str]:
    return [f"p{i}" for i in range(len(sexes))]


def x_batch(records: Sequence[tuple[int, list[str]]]) -> pa.RecordBatch:
    rows = []
    for number, (pos, texts) in enumerate(records):
        dosages = [None if "." in text else text.count("1") for text in texts]
        rows.append(
            {
                "contig": "X", "variant_id": f"v{number}", "start": pos - 1, "end": pos, "ref": "A", "alt": "C",
                "n_alts": 1, "dosages": dosages, "calls": encode_texts(texts, 1),
            }
        )  # fmt: skip
    names = [*rows[0], "vcf_id", "rsid"]
    return pa.RecordBatch.from_pylist(rows, pa.schema([VARIANTS.arrow_schema.field(name) for name in names]))


def test_plink2_sees_the_same_on_x(tmp_path: Path, plink2: Plink2) -> None:
    sexes, records = make_x(tmp_path / "x.vcf")
    people = zip(name_people(sexes), sexes, strict=True)
    (tmp_path / "sexes.txt").write_text("#IID\tSEX\n" + "".join(f"{name}\t{sex}\n" for name, sex in people))
    plink2(
        "raw", "--vcf", tmp_path / "x.vcf", "--update-sex", tmp_path / "sexes.txt", "--split-par", "hg19",
        "--sort-vars", "--make-pgen",
    )  # fmt: skip
    plink2("x", "--pfile", tmp_path / "raw", "--set-hh-missing", "--make-pgen")
    x = tmp_path / "x"
    plink2("all", "--pfile", x, "--freq", "--missing", "variant-only")
    plink2("men", "--pfile", x, "--keep-males", "--missing", "variant-only")
    plink2("women", "--pfile", x, "--keep-females", "--missing", "variant-only", "--hardy")
    frequency = read_columns(tmp_path / "all.afreq", "ALT_FREQS", "OBS_CT")
    missing = read_columns(tmp_path / "all.vmiss", "MISSING_CT")
    of_sexes = [read_columns(tmp_path / f"{group}.vmiss", "F_MISS") for group in ("men", "women")]
    p = read_columns(tmp_path / "women.hardy.x", "P")

    def which(**given: Any) -> GenotypeFilter:
        options: dict[str, Any] = {
            "sample_indices": tuple(range(len(sexes))), "n_callset": len(sexes), "sexes": tuple(sexes),
            "build": "GRCh37", "tss_by_contig": {"X": [pos for pos, _ in records]}, "cis_window": 0, "source": "calls",
            "min_maf": 0.0, "min_mac": 0, "max_missing": 1.0, "min_hwe_p": 0.0, "multiallelic": "drop",
            "missing_genotypes": "mean", "x_model": "0_2",
        }  # fmt: skip
        return GenotypeFilter(**{**options, **given})

    batch = x_batch(records)
    rows = {row["variant_id"]: row for row in filter_genotypes(batch, which())[0].to_pylist()}
    assert len(rows) > 230
    for name, row in rows.items():
        assert f"{row['af']:.6g}" == frequency[name][0]
        assert row["an"] == int(frequency[name][1])
        assert row["n_missing"] == int(missing[name][0])

    on_x = set(p)
    assert len(on_x) == 200
    least = min(min(row["ac"], row["an"] - row["ac"]) / row["an"] for row in rows.values())
    assert least < 0.05
    frequent = set(filter_genotypes(batch, which(min_maf=0.1))[0]["variant_id"].to_pylist())
    assert frequent == {name for name, (af, _) in frequency.items() if 0.1 <= float(af) <= 0.9}
    complete = set(filter_genotypes(batch, which(max_missing=0.1))[0]["variant_id"].to_pylist()) & on_x
    shares = {name: max(float(group[name][0]) for group in of_sexes) for name in on_x & set(rows)}
    assert complete == {name for name, share in shares.items() if share <= 0.1}
    assert 20 < len(complete) < 180
    tested = set(filter_genotypes(batch, which(min_hwe_p=0.3))[0]["variant_id"].to_pylist()) & on_x
    assert tested == {name for name in on_x & set(rows) if float(p[name][0]) >= 0.3}
    assert 20 < len(tested) < 180
