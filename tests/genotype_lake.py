"""Made-up callsets with structure and relatives, for tests of what genotypes tell of people."""

from __future__ import annotations

import datetime
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from deltalake import WriterProperties, write_deltalake

from kgp import tables as t
from kgp.io.delta import Lake

CALLSET = "made"


def no_spark() -> Any:
    """What a lake is given where nothing may need Spark."""
    raise AssertionError("Spark was started")


@dataclass(frozen=True, eq=False)
class Contig:
    """Variants of a contig.

    Args:
        starts: 0-based, ascending.
        refs, alts: alleles.
        dosages: variants × samples, -1 where missing.
        calls: of each variant the column `calls`; None where there is none.
    """

    starts: np.ndarray
    refs: list[str]
    alts: list[str]
    dosages: np.ndarray
    calls: list[bytes | None] | None = None


@dataclass(frozen=True, eq=False)
class MadeCallset:
    """A callset.

    Args:
        samples: ids.
        contigs: contig → variants.
        people: sample → columns of `samples` that are known.
    """

    samples: list[str]
    contigs: dict[str, Contig]
    people: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def dosages(self) -> np.ndarray:
        """Of all contigs, variants × samples."""
        return np.concatenate([contig.dosages for contig in self.contigs.values()])


def draw_haplotypes(rng: np.random.Generator, n_variants: int, groups: Sequence[int]) -> np.ndarray:
    """Alleles with linkage disequilibrium: variants × 2 · samples; each copies stretches of its group's ancestors."""
    n_ancestors = 24
    base = rng.beta(0.8, 0.8, n_variants)
    founders = {}
    for group in sorted(set(groups)):
        frequency = np.clip(base + rng.normal(0, 0.15, n_variants), 0.02, 0.98)
        founders[group] = rng.random((n_variants, n_ancestors)) < frequency[:, None]
    found = np.empty((n_variants, 2 * len(groups)), np.int8)
    for column in range(2 * len(groups)):
        switches = np.cumsum(rng.random(n_variants) < 0.08)
        ancestor = rng.integers(0, n_ancestors, switches[-1] + 1)[switches]
        found[:, column] = founders[groups[column // 2]][np.arange(n_variants), ancestor]
    return found


def make_child(rng: np.random.Generator, father: np.ndarray, mother: np.ndarray) -> np.ndarray:
    """Alleles of a child, variants × 2: of each parent one of both alleles, in stretches of about 50 variants."""
    chosen = []
    for parent in (father, mother):
        side = (np.cumsum(rng.random(len(parent)) < 0.02) + rng.integers(0, 2)) % 2
        chosen.append(parent[np.arange(len(parent)), side])
    return np.column_stack(chosen)


def make_callset(
    seed: int, contigs: Sequence[str], n_variants: int, n_founders: int, missing: float = 0.0
) -> MadeCallset:
    """People of three groups; and two children of the first two, a copy of the third, and a child of the first child.

    Every 23rd variant is an indel, every 29th does not vary.
    """
    rng = np.random.default_rng(seed)
    groups = [i % 3 for i in range(n_founders)]
    made = {}
    for contig in contigs:
        alleles = draw_haplotypes(rng, n_variants, groups).reshape(n_variants, n_founders, 2)
        first, second = (make_child(rng, alleles[:, 0], alleles[:, 1]) for _ in range(2))
        grandchild = make_child(rng, first, alleles[:, 5])
        late = np.stack([first, second, alleles[:, 2], grandchild], axis=1)
        dosages = np.concatenate([alleles, late], axis=1).sum(axis=2).astype(np.int8)
        dosages[::29] = 0
        dosages[rng.random(dosages.shape) < missing] = -1
        starts = np.cumsum(rng.integers(1, 900, n_variants)) + 3_000_000
        alts = ["CT" if i % 23 == 0 else "C" for i in range(n_variants)]
        made[contig] = Contig(starts, ["A"] * n_variants, alts, dosages)
    samples = [f"S{i:03}" for i in range(n_founders)] + ["CHILD1", "CHILD2", "COPY", "GRANDCHILD"]
    people = {
        name: {"superpopulation": ("AFR", "EAS", "EUR")[i % 3], "sex": ("male", "female")[i % 2]}
        for i, name in enumerate(samples)
    }
    return MadeCallset(samples, made, people)


def load_row(load_id: str, build: str = "GRCh37", callset: str = CALLSET) -> dict[str, Any]:
    """A row of `loads`."""
    return {
        "load_id": load_id, "target": "variants", "subject": callset, "path": f"{load_id}.vcf", "content_id": load_id,
        "build": build, "selection": {}, "reader": "test", "reader_reason": "test", "versions": {}, "rows_in": 0,
        "rows_out": 0, "rows_quarantined": 0, "alleles_out": 0, "warnings": {}, "warned_at": {}, "seconds": 0.0,
        "loaded_at": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    }  # fmt: skip


def append(lake: Lake, table: Any, rows: pa.Table, row_group: int = 10_000) -> None:
    """Add rows to a table by delta-rs."""
    lake.create(table)
    properties = WriterProperties(max_row_group_size=row_group, write_batch_size=row_group)
    write_deltalake(lake.path(table), rows, mode="append", writer_properties=properties)


def variant_rows(contig: str, of: Contig, load_id: str, chosen: np.ndarray) -> pa.Table:
    """Rows of `variants`."""
    rows = []
    for i in chosen.tolist():
        ref, alt, start = of.refs[i], of.alts[i], int(of.starts[i])
        row = {
            "callset": CALLSET, "contig": contig, "load_id": load_id, "start": start, "end": start + len(ref),
            "record_id": start, "alt_index": 1, "n_alts": 1, "variant_id": f"{contig}_{start + 1}_{ref}_{alt}",
            "source_contig": contig, "ref": ref, "alt": alt, "calls": of.calls[i] if of.calls else None,
            "dosages": [None if d < 0 else d for d in of.dosages[i].tolist()],
        }  # fmt: skip
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=t.VARIANTS.arrow_schema)


def fill_lake(
    path: Path,
    callset: MadeCallset,
    *,
    loads: Sequence[str] = ("v1",),
    row_group: int = 10_000,
    build: str = "GRCh37",
    is_shuffled: bool = False,
) -> Lake:
    """Write a callset; its variants are dealt out to the loads in turn, stretches of 50, so that files interleave.

    With `is_shuffled` the rows of a file are in no order, as other programs that rewrite tables leave them.
    """
    lake = Lake(no_spark, str(path))
    append(
        lake,
        t.LOADS,
        pa.Table.from_pylist([load_row(one, build) for one in loads], schema=t.LOADS.arrow_schema),
    )
    places = [
        {"callset": CALLSET, "sample_index": i, "sample_id": s, "load_id": loads[0]}
        for i, s in enumerate(callset.samples)
    ]
    append(lake, t.CALLSET_SAMPLES, pa.Table.from_pylist(places, schema=t.CALLSET_SAMPLES.arrow_schema))
    put_people(lake, callset.people)
    for contig, of in callset.contigs.items():
        dealt = np.arange(len(of.starts)) // 50 % len(loads)
        for number, load_id in enumerate(loads):
            chosen = np.flatnonzero(dealt == number)
            if is_shuffled:
                chosen = np.random.default_rng(number).permutation(chosen)
            rows = variant_rows(contig, of, load_id, chosen)
            append(lake, t.VARIANTS, rows, row_group)
    return lake


def put_people(lake: Lake, people: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the table `samples`."""
    rows = [
        {"sample_id": s, "load_ids": ["p1"], "callsets": [CALLSET], **known} for s, known in people.items()
    ]
    lake.put(t.SAMPLES, rows, None)


def write_bed(prefix: Path, callset: MadeCallset) -> None:
    """PLINK 1 files of a callset."""
    dosages, n = callset.dosages, len(callset.samples)
    codes = np.array([3, 2, 0, 1], dtype=np.uint8)[np.where(dosages < 0, 3, dosages)]
    codes = np.pad(codes, ((0, 0), (0, -n % 4))).reshape(len(dosages), -1, 4)
    packed = codes[:, :, 0] | codes[:, :, 1] << 2 | codes[:, :, 2] << 4 | codes[:, :, 3] << 6
    prefix.with_suffix(".bed").write_bytes(bytes([0x6C, 0x1B, 0x01]) + packed.astype(np.uint8).tobytes())
    lines = [
        f"{contig}\t{contig}_{start + 1}\t0\t{start + 1}\t{alt}\t{ref}\n"
        for contig, of in callset.contigs.items()
        for start, ref, alt in zip(of.starts.tolist(), of.refs, of.alts, strict=True)
    ]
    prefix.with_suffix(".bim").write_text("".join(lines))
    prefix.with_suffix(".fam").write_text("".join(f"0\t{name}\t0\t0\t0\t-9\n" for name in callset.samples))


def run_plink2(plink2: Path, prefix: Path, out: Path, *options: object, memory: int = 640) -> None:
    """Run plink2 on PLINK 1 files, on one core and with so many MiB of memory."""
    command = [plink2, "--bfile", prefix, *options, "--out", out, "--threads", "1", "--memory", memory]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def read_table(path: Path) -> list[dict[str, str]]:
    """Rows of a file of plink."""
    lines = path.read_text().splitlines()
    header = lines[0].removeprefix("#").split()
    return [dict(zip(header, line.split(), strict=True)) for line in lines[1:]]
