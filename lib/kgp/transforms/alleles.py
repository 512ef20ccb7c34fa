"""One row an ALT: what a record's ID, INFO and FORMAT values mean for one of its alleles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_RS_NUMBER = re.compile(r"rs[0-9]+")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


def parse_whole_number(text: str) -> int | None:
    """A whole number of at most 18 digits without sign, as POS and END are written, or None.

    >>> parse_whole_number("16050075"), parse_whole_number("-1"), parse_whole_number("1e5")
    (16050075, None, None)
    """
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None


def is_symbolic(alt: str | None) -> bool:
    """Whether the ALT is a symbol like <DEL> instead of bases or a breakend."""
    return alt is not None and alt.startswith("<") and alt.endswith(">")


def find_rsid(vcf_id: str | None) -> str | None:
    """The first rs number among the IDs.

    >>> find_rsid("ss1388;rs587697622;rs9"), find_rsid("esv3647"), find_rsid(None)
    ('rs587697622', None, None)
    """
    for one in (vcf_id or "").split(";"):
        if _RS_NUMBER.fullmatch(one):
            return one
    return None


def find_end(info: str, start: int, ref: str) -> int:
    """One past the last base, 0-based: INFO END where it is not before POS, else start + length of REF.

    >>> find_end("SVTYPE=DEL;END=160", 99, "A"), find_end("CIEND=0,5", 99, "AC"), find_end("END=7", 99, "A")
    (160, 101, 100)

    Args:
        info: the INFO column as it stands.
        start: POS - 1.
        ref: REF.
    """
    if "END=" in info:
        for entry in info.split(";"):
            if entry.startswith("END="):
                end = parse_whole_number(entry[4:])
                if end is not None and end >= start + 1:
                    return end
                break
    return start + len(ref)


def make_variant_id(contig: str, start: int, ref: str, alt: str | None, end: int) -> str:
    """Name of the row before repeats are numbered: contig_pos_ref_alt, for symbolic alleles with _END.

    >>> make_variant_id("22", 99, "A", "<DEL>", 160), make_variant_id("22", 99, "A", None, 100)
    ('22_100_A_<DEL>_160', '22_100_A_.')
    """
    name = f"{contig}_{start + 1}_{ref}_{alt or '.'}"
    return f"{name}_{end}" if is_symbolic(alt) else name


def parse_info(text: str) -> dict[str, str]:
    """INFO as text by key; a flag's value is '', and of a repeated key the first value counts.

    >>> parse_info("AC=1,2;DB;AC=9;NOTE=a b")
    {'AC': '1,2', 'DB': '', 'NOTE': 'a b'}
    """
    pairs: dict[str, str] = {}
    if text != ".":
        for entry in text.split(";"):
            key, _, value = entry.partition("=")
            if key and key not in pairs:
                pairs[key] = value
    return pairs


def cut_info(
    pairs: Mapping[str, str], numbers: Mapping[str, str], alt_index: int, n_alts: int
) -> dict[str, str]:
    """INFO for one ALT: of Number=A its entry, of R REF's and its, of G those of (0,0), (0,i) and (i,i).

    A value with another number of entries than its declaration asks for is kept whole.

    >>> numbers = {"AC": "A", "AD": "R", "PL": "G"}
    >>> cut_info({"AC": "3,5", "AD": "9,3,5", "PL": "0,1,2,3,4,5", "X": "a,b"}, numbers, 2, 2)
    {'AC': '5', 'AD': '9,5', 'PL': '0,3,5', 'X': 'a,b'}

    Args:
        pairs: the record's INFO.
        numbers: key → A, R or G, for the keys that are declared so.
        alt_index: number of the ALT, from 1.
        n_alts: ALT alleles of the record.
    """
    if n_alts < 2:  # all entries belong to the one allele
        return dict(pairs)
    cut = dict(pairs)
    for key, value in pairs.items():
        number = numbers.get(key)
        if number is not None:
            entries = value.split(",")
            places = entry_places(number, alt_index)
            if len(entries) == entry_count(number, n_alts):
                cut[key] = ",".join(entries[place] for place in places)
    return cut


def entry_count(number: str, n_alts: int) -> int:
    """Entries of a Number=A, R or G value in a (diploid) record."""
    return {"A": n_alts, "R": n_alts + 1, "G": (n_alts + 1) * (n_alts + 2) // 2}[number]


def entry_places(number: str, alt_index: int) -> tuple[int, ...]:
    """Which entries of a Number=A, R or G value belong to REF and one ALT.

    >>> entry_places("G", 2)
    (0, 3, 5)
    """
    het = alt_index * (alt_index + 1) // 2
    return {"A": (alt_index - 1,), "R": (0, alt_index), "G": (0, het, het + alt_index)}[number]


def read_expected_dosages(
    ds: Sequence[str | None] | None, gp: Sequence[str | None] | None, alt_index: int, n_alts: int
) -> npt.NDArray[np.float32] | None:
    """Expected copies of one ALT a sample from DS, or else from GP, NaN where missing.

    DS has one entry an ALT. GP is used in records with one ALT, for diploid samples, and only where the
    three are probabilities: in VCF 4.2 and older they may be phred-scaled.

    >>> read_expected_dosages(["0.1", None], None, 1, 1), read_expected_dosages(None, ["0,0.25,0.75"], 1, 1)
    (array([0.1, nan], dtype=float32), array([1.75], dtype=float32))

    Returns:
        None where no sample has a value.
    """
    if alt_index == 0:
        return None
    if ds is not None:
        values = [_entry(text, alt_index - 1, n_alts) for text in ds]
    elif gp is not None and n_alts == 1:
        values = [_expect(text) for text in gp]
    else:
        return None
    expected = np.array(values, dtype=np.float32)
    return None if np.isnan(expected).all() else expected


def _floats(text: str | None) -> list[float]:
    try:
        return [] if text is None else [float(entry) for entry in text.split(",")]
    except ValueError:
        return []


def _entry(text: str | None, place: int, n_entries: int) -> float:
    values = _floats(text)
    return values[place] if len(values) == n_entries else np.nan


def _expect(text: str | None) -> float:
    values = _floats(text)
    is_probability = len(values) == 3 and min(values) >= 0 and abs(sum(values) - 1) <= 0.02
    return values[1] + 2 * values[2] if is_probability else np.nan


def number_repeated_ids(rows: DataFrame, repeated: Sequence[str]) -> DataFrame:
    """Make `variant_id` unique: the second row of a name gets #2, the third #3, in file order.

    Args:
        rows: `variants` rows of one load.
        repeated: the names that occur more than once. Where there are none, `rows` come back as they are.
    """
    if not repeated:
        return rows
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    in_file_order = Window.partitionBy("variant_id").orderBy("record_id", "alt_index")
    numbered = (
        rows.where(F.col("variant_id").isin(list(repeated)))
        .select("record_id", "alt_index", F.row_number().over(in_file_order).alias("n"))
        .where("n > 1")
    )
    name = F.when(F.col("n").isNull(), F.col("variant_id")).otherwise(F.concat("variant_id", F.lit("#"), "n"))
    named = rows.join(F.broadcast(numbered), on=["record_id", "alt_index"], how="left")
    return named.withColumn("variant_id", name).select(*[f"`{column}`" for column in rows.columns])
