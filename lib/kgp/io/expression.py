"""Reads expression matrices, phenotypes × runs, in Spark tasks: a split of the text at a time, in bounded memory.

Three layouts are told apart by the header: BED with four or six leading columns (FastQTL, QTLtools), the Geuvadis
layout (``TargetID Gene_Symbol Chr Coord``), and a bare table whose first column is the phenotype, with the places in
an annotation of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from kgp.errors import FormatError
from kgp.io.splits import Chunk, Split, plan_splits, read_chunks
from kgp.io.tasks import map_splits

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Spellings of the leading columns, lower case without '#', and what they mean.
_LEADING = {
    "chr": "contig", "chrom": "contig", "chromosome": "contig",
    "start": "start", "left": "start", "end": "end", "right": "end",
    "coord": "tss", "phenotype_pos": "tss",
    "id": "phenotype_id", "pid": "phenotype_id", "targetid": "phenotype_id", "phenotype_id": "phenotype_id",
    "trid": "phenotype_id", "gene": "phenotype_id", "gene_id": "gene_id", "geneid": "phenotype_id",
    "gid": "group_id", "group_id": "group_id", "group": "group_id",
    "gene_symbol": "gene_name", "gene_name": "gene_name", "symbol": "gene_name",
    "strand": "strand", "length": "", "info": "", "quant_id": "", "phenotype_gc_content": "", "phenotype_length": "",
}  # fmt: skip

Kind = Literal["bed", "geuvadis", "table"]

RECORD_SCHEMA = pa.schema(
    [
        ("phenotype_id", pa.string()),
        ("source_contig", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("tss", pa.int64()),
        ("strand", pa.string()),
        ("group_id", pa.string()),
        ("gene_name", pa.string()),
        ("values", pa.list_(pa.float64())),
        ("offset", pa.int64()),
        ("reason", pa.string()),
        ("line", pa.binary()),
    ]
)


@dataclass(frozen=True)
class Place:
    """Where a phenotype lies: `start` and `end` 0-based half-open, `tss` 1-based."""

    source_contig: str
    start: int
    end: int
    tss: int
    strand: str | None = None
    group_id: str | None = None
    gene_name: str | None = None


@dataclass(frozen=True)
class MatrixLayout:
    """What the columns of an expression matrix are.

    Args:
        path: the file.
        header: the header line.
        columns: meaning → index of the leading columns.
        n_leading: leading columns; the values follow.
        runs: the runs in column order.
        is_bed: whether `start` is BED's 0-based start.
    """

    path: str
    header: str
    columns: Mapping[str, int]
    n_leading: int
    runs: tuple[str, ...]
    is_bed: bool = field(default=False)

    @property
    def kind(self) -> Kind:
        """Name of the layout."""
        if self.is_bed:
            return "bed"
        return "geuvadis" if "tss" in self.columns and "contig" in self.columns else "table"

    @property
    def has_places(self) -> bool:
        """Whether the matrix itself says where its phenotypes lie."""
        return self.kind != "table"


def read_layout(path: str) -> MatrixLayout:
    """Read the header of an expression matrix.

    Raises:
        FormatError: no phenotype column, no run, or a run twice.
    """
    header = _first_line(path)
    cells = header.split("\t")
    columns: dict[str, int] = {}
    n_leading = 0
    for index, cell in enumerate(cells):
        meaning = _LEADING.get(cell.strip().lstrip("#").lower())
        if meaning is None:
            break
        n_leading = index + 1
        if meaning and meaning not in columns:
            columns[meaning] = index
    if "phenotype_id" not in columns and "gene_id" in columns:
        columns["phenotype_id"] = columns.pop("gene_id")
    runs = tuple(cell.strip() for cell in cells[n_leading:])
    if "phenotype_id" not in columns:
        raise FormatError(
            f"Its header begins with {cells[:4]}; no column names the phenotype.",
            where=path,
            mend="Give a BED (#chr start end id …), a Geuvadis matrix (TargetID …) or a table with phenotype_id.",
        )
    repeated = sorted({run for run in runs if runs.count(run) > 1}) if len(set(runs)) != len(runs) else []
    if not runs or repeated or not all(runs):
        problem = (
            f"Run {repeated[0]} stands in two columns" if repeated else "There is a column without a run"
        )
        raise FormatError(f"{problem}.", where=path, mend="Every run has one column, named in the header.")
    return MatrixLayout(
        path, header, columns, n_leading, runs, is_bed={"contig", "start", "end"} <= columns.keys()
    )


def read_annotation(path: str) -> dict[str, Place]:
    """Places of phenotypes from a table with phenotype_id, chromosome, phenotype_pos (1-based TSS) and strand.

    Raises:
        FormatError: a column is missing or a position is no number.
    """
    lines = [line.split("\t") for line in _read_text(path).splitlines() if line.strip()]
    if not lines:
        raise FormatError("The file is empty.", where=path, mend="Give the places of the phenotypes.")
    header = {
        _LEADING.get(cell.strip().lstrip("#").lower(), cell): index for index, cell in enumerate(lines[0])
    }
    for name in ("phenotype_id", "contig", "tss"):
        if name not in header:
            raise FormatError(
                f"It has no column for {name}.",
                where=path,
                mend="Give phenotype_id, chromosome, phenotype_pos, strand.",
            )
    places = {}
    for number, row in enumerate(lines[1:], start=2):
        try:
            tss = int(row[header["tss"]])
            strand = _strand(row[header["strand"]]) if "strand" in header else None
            group = row[header["group_id"]] if "group_id" in header else None
            symbol = row[header["gene_name"]] if "gene_name" in header else None
            contig = row[header["contig"]]
            places[row[header["phenotype_id"]]] = Place(contig, tss - 1, tss, tss, strand, group, symbol)
        except (ValueError, IndexError):
            raise FormatError(
                f"Line {number} has no valid place.", where=path, mend="Mend the line."
            ) from None
    return places


def count_records(spark: SparkSession, path: str) -> int:
    """Lines of a matrix below its header, counted from the raw text without parsing."""

    counts = map_splits(spark, plan_splits(path), _count_lines, "n bigint")
    return sum(int(row.n) for row in counts.collect()) - 1


def _count_lines(split: Split) -> Iterator[pa.RecordBatch]:
    n = sum(len(chunk.lines()[0]) for chunk in read_chunks(split))
    yield pa.RecordBatch.from_pydict({"n": pa.array([n], pa.int64())})


def read_records(spark: SparkSession, layout: MatrixLayout, places: Mapping[str, Place] | None) -> DataFrame:
    """One row a line: its phenotype, place and values in run order, or the reason why it can't be loaded.

    Args:
        spark: session.
        layout: of the matrix.
        places: from an annotation, where the matrix has none.

    Returns:
        columns of `RECORD_SCHEMA`; `reason` and `line` are null in good rows, all else but `offset` in bad ones.
    """
    from pyspark.sql.pandas.types import from_arrow_schema

    schema = from_arrow_schema(RECORD_SCHEMA)
    return map_splits(spark, plan_splits(layout.path), LineParser(layout, places).parse_split, schema)


class LineParser:
    """Turns whole lines into a batch of `RECORD_SCHEMA`."""

    def __init__(self, layout: MatrixLayout, places: Mapping[str, Place] | None) -> None:
        self.layout = layout
        self.places = places
        self.header = layout.header.encode()

    def parse_split(self, split: Split) -> Iterator[pa.RecordBatch]:
        """The records of a split, chunk by chunk."""
        for chunk in read_chunks(split):
            yield self.parse(chunk, is_first=split.start == 0)

    def parse(self, chunk: Chunk, *, is_first: bool) -> pa.RecordBatch:
        starts, ends = chunk.lines()
        offsets = chunk.offsets(starts) if len(starts) else starts
        rows = []
        for start, end, offset in zip(starts.tolist(), ends.tolist(), offsets.tolist(), strict=True):
            line = chunk.data[start:end]
            if is_first and offset == 0 and line.removeprefix(b"\xef\xbb\xbf") == self.header:
                continue
            try:
                rows.append({**self._record(line), "offset": offset})
            except (ValueError, UnicodeDecodeError) as problem:
                rows.append({"offset": offset, "reason": str(problem), "line": line})
        return pa.RecordBatch.from_pylist(rows, schema=RECORD_SCHEMA)

    def _record(self, line: bytes) -> dict[str, object]:
        layout = self.layout
        cells = line.split(b"\t", layout.n_leading)
        n_values = cells[-1].count(b"\t") + 1 if len(cells) > layout.n_leading else 0
        if n_values != len(layout.runs):
            raise ValueError(f"{n_values} values where the header has {len(layout.runs)} runs")
        leading = [cell.decode() for cell in cells[: layout.n_leading]]
        phenotype_id = leading[layout.columns["phenotype_id"]]
        if not phenotype_id:
            raise ValueError("no phenotype id")
        place = self._place(phenotype_id, leading)
        if place.start < 0 or place.end <= place.start:
            raise ValueError(f"place {place.start}-{place.end} is no interval")
        return {**place.__dict__, "phenotype_id": phenotype_id, "values": _numbers(cells[-1])}

    def _place(self, phenotype_id: str, leading: list[str]) -> Place:
        columns = self.layout.columns

        def text(name: str) -> str | None:
            cell = leading[columns[name]] if name in columns else ""
            return cell if cell not in ("", ".", "NA") else None

        if self.places is not None:
            found = self.places.get(phenotype_id)
            if found is None:
                raise ValueError(f"{phenotype_id} has no place in the annotation")
            return found
        strand = _strand(leading[columns["strand"]]) if "strand" in columns else None
        contig = leading[columns["contig"]]
        if self.layout.is_bed:
            start, end = int(leading[columns["start"]]), int(leading[columns["end"]])
            # A base long: the TSS itself, as mapping tools write it. Longer: the phenotype's body, by its strand.
            tss = end if strand == "-" or end - start == 1 else start + 1
        else:
            tss = int(leading[columns["tss"]])
            start, end = tss - 1, tss
        return Place(contig, start, end, tss, strand, text("group_id"), text("gene_name"))


def _numbers(cells: bytes) -> np.ndarray[tuple[int], np.dtype[np.float64]] | list[float | None]:
    texts = cells.split(b"\t")
    try:
        numbers = np.array(texts, dtype="S").astype(np.float64)
    except ValueError:
        numbers = None
    if numbers is not None and np.isfinite(numbers).all():
        return numbers
    values = [None if text in (b"", b".", b"NA", b"NaN", b"nan") else float(text) for text in texts]
    if any(value is not None and not np.isfinite(value) for value in values):
        raise ValueError("a value is infinite")
    return values


def _strand(text: str) -> str | None:
    return {"+": "+", "1": "+", "-": "-", "-1": "-"}.get(text.strip())


def _first_line(path: str) -> str:
    first = next((c for s in plan_splits(path, n=1) for c in read_chunks(s)), None)
    if first is None:
        raise FormatError("The file is empty.", where=path, mend="Give an expression matrix.")
    starts, ends = first.lines()
    try:
        return first.data[int(starts[0]) : int(ends[0])].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FormatError("It is no text.", where=path, mend="Give an expression matrix.") from None


def _read_text(path: str) -> str:
    """A small file's text, compressed or not."""
    chunks = (chunk.data for split in plan_splits(path, n=1) for chunk in read_chunks(split))
    return b"".join(chunks).decode("utf-8-sig")
