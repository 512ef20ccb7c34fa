"""A matrix set as wide Parquet tables, an id column first: for jaxQTL, LIMIX, tensorQTL and data frames.

The layouts are what the tools read. jaxQTL and tensorQTL take phenotypes from a ``.bed.parquet``, whose fourth column
is their index; jaxQTL takes covariates from a ``.tsv`` with a row a person, and genotypes from PLINK 1 files only,
which PLINK 2 makes of ``kgp eqtl export --format plink2``. LIMIX's functions take data frames with a row a person: the
transposed genotypes and phenotypes, and the covariates as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from types import TracebackType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kgp.io import matrix_text as text
from kgp.io.matrix_files import ExportFiles, MatrixSet, Section, TextFile, Written, constant_lines
from kgp.io.matrix_sets import GenotypeRows
from kgp.io.matrix_stretches import STRETCH_VALUES

_FILES = """\
genotypes.C.parquet          variant_id, then a column a person, of contig C: copies of ALT (8-bit), or expected copies
                             (32-bit); null where missing
variants.parquet             variant_id contig pos (1-based) ref alt af ac an n_missing rsid, in the same order
phenotypes.bed.parquet       #chr start end phenotype_id, then a column a person; start = TSS - 1, end = TSS; null where
                             missing. Read by jaxQTL and tensorQTL
covariates.parquet, .tsv     iid, then a column a covariate; the .tsv is the one that jaxQTL reads
genes.txt                    the phenotypes' ids, the list that jaxQTL wants

In Python, for LIMIX and others, people in rows:
    G = pandas.read_parquet("genotypes.22.parquet").set_index("variant_id").T
    Y = pandas.read_parquet("phenotypes.bed.parquet").set_index("phenotype_id").iloc[:, 3:].T
    M = pandas.read_parquet("covariates.parquet").set_index("iid")
    limix.qtl.scan(G, Y[["a phenotype"]], "normal", M=M)
"""
_VARIANTS = pa.schema(
    {
        **dict.fromkeys(("variant_id", "contig"), pa.string()),
        "pos": pa.int64(),
        **dict.fromkeys(("ref", "alt"), pa.string()),
        **dict.fromkeys(("af", "ac"), pa.float64()),
        **dict.fromkeys(("an", "n_missing"), pa.int64()),
        "rsid": pa.string(),
    }
)


def write_parquet(matrices: MatrixSet, directory: Path) -> Written:
    """Genotypes a contig, variants, phenotypes, covariates."""
    written = Written()
    _write_genotypes(matrices, directory, written)
    for section in matrices.sections:
        _write_phenotypes(matrices, section, directory, written)
        _write_covariates(matrices, section, directory, written)
    return written


def _write_genotypes(matrices: MatrixSet, directory: Path, written: Written) -> None:
    value = pa.float32() if matrices.is_expected else pa.int8()
    wide = pa.schema([("variant_id", pa.string()), *((one, value) for one in matrices.sample_ids)])
    path = directory / "variants.parquet"
    with _Writer(path, _VARIANTS, matrices.n_samples) as places:
        pieces = ((_read(a), _read(b)) for a, b in matrices.make_pieces(_make_batches))
        for contig, group in groupby(pieces, key=lambda pair: pair[0].column("contig")[0].as_py()):
            name = f"genotypes.{contig}.parquet"
            with _Writer(directory / name, wide, matrices.n_samples) as out:
                for rows, dosages in group:
                    places.add(rows)
                    # Columns have no names on their way.
                    out.add(pa.RecordBatch.from_arrays(dosages.columns, schema=wide))
            written.rows[name] = out.n_rows
    written.rows[path.name] = written.counts["variants"] = places.n_rows


def _make_batches(found: GenotypeRows) -> tuple[bytes, ...]:
    columns = dict(zip(found.rows.schema.names, found.rows.columns, strict=True))
    columns["pos"] = pa.array(found.pos)
    places = pa.RecordBatch.from_arrays(
        [columns[name].cast(_VARIANTS.field(name).type) for name in _VARIANTS.names], schema=_VARIANTS
    )
    is_missing = found.dosages < 0 if found.dosages.dtype == np.int8 else np.isnan(found.dosages)
    people = [pa.array(one, mask=mask) for one, mask in zip(found.dosages.T, is_missing.T, strict=True)]
    names = ["variant_id", *map(str, range(len(people)))]
    return _as_bytes(places), _as_bytes(pa.RecordBatch.from_arrays([columns["variant_id"], *people], names))


def _write_phenotypes(matrices: MatrixSet, section: Section, directory: Path, written: Written) -> None:
    leading = [
        ("#chr", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("phenotype_id", pa.string()),
    ]
    schema = pa.schema([*leading, *((one, pa.float64()) for one in matrices.sample_ids)])
    names = section.name("phenotypes", ".bed.parquet"), section.name("genes", ".txt")
    with (
        _Writer(directory / names[0], schema, matrices.n_samples) as out,
        TextFile(directory / names[1]) as ids,
    ):
        for found in matrices.read_section(section):
            tss = found.rows.column("tss").to_numpy()
            places = [
                found.rows.column("contig"),
                pa.array(tss - 1),
                pa.array(tss),
                found.rows.column("phenotype_id"),
            ]
            values = [pa.array(one, mask=np.isnan(one)) for one in found.values.T]
            out.add(pa.RecordBatch.from_arrays([*places, *values], schema=schema))
            ids.write(constant_lines(found.rows, ("phenotype_id",)))
    written.rows |= dict.fromkeys(names, out.n_rows)
    written.counts["phenotypes"] += out.n_rows


def _write_covariates(matrices: MatrixSet, section: Section, directory: Path, written: Written) -> None:
    names, values = matrices.read_covariates(section)
    if not names:
        return
    table = section.name("covariates", ".parquet"), section.name("covariates", ".tsv")
    columns = {"iid": matrices.sample_ids, **dict(zip(names, values.T, strict=True))}
    pq.write_table(pa.table(columns), directory / table[0])
    lines = text.bed_header(["iid"], names) + text.value_lines(matrices.sample_ids, values)
    (directory / table[1]).write_bytes(lines)
    written.rows |= dict.fromkeys(table, matrices.n_samples)


class _Writer:
    """A Parquet file whose row groups have about `STRETCH_VALUES` values: a wide one of many groups is all footer."""

    def __init__(self, path: Path, schema: pa.Schema, n_samples: int) -> None:
        self._file = pq.ParquetWriter(path, schema)
        self._schema = schema
        self._most = max(1, STRETCH_VALUES // n_samples)
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting = 0
        self.n_rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._n_waiting += batch.num_rows
        self.n_rows += batch.num_rows
        if self._n_waiting >= self._most:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._file.write_table(table, row_group_size=max(1, table.num_rows))
        self._waiting, self._n_waiting = [], 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._waiting:
            self._flush()
        self._file.close()


def _as_bytes(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return bytes(sink.getvalue())


def _read(data: bytes) -> pa.RecordBatch:
    with pa.ipc.open_stream(data) as stream:
        return stream.read_next_batch()


def _list_commands(matrices: MatrixSet, at: Callable[[str], str]) -> list[str]:
    commands = [f"kgp eqtl export --name {matrices.row['name']} --format plink2 --out DIR"]
    commands.append("plink2 --pfile DIR/plink2 --make-bed --out DIR/plink1")
    for section in matrices.sections:
        covariates = f" -covar {at(section.name('covariates', '.tsv'))}" if matrices.covariates else ""
        commands.append(
            f"jaxqtl -geno DIR/plink1{covariates} -pheno {at(section.name('phenotypes', '.bed.parquet'))} "
            f"-genelist {at(section.name('genes', '.txt'))} -model gaussian -mode cis -test-method wald "
            f"-window {matrices.window} -addpc 0 -nperm 1000 -out {section.name('jaxqtl', '')}"
        )
    return commands


PARQUET = ExportFiles(write_parquet, _list_commands, _FILES)
