"""Reads what GEO says of samples: SOFT family files and series matrices, plain or gzipped.

Both tell each sample's attributes in lines ``!Sample_<name>``: SOFT below a line ``^SAMPLE = GSM…``, a value a line; a
series matrix all samples side by side, a line an attribute. Tables of values are passed over, their lines counted.
GEOparse reads SOFT alone, and holds the tables of values of all samples in memory; so GEO is read here.

Source: https://www.ncbi.nlm.nih.gov/geo/info/soft.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kgp.errors import FormatError
from kgp.io.magetab.text import Text

GeoKind = Literal["geo_soft", "geo_series_matrix"]

# Shorter ones are directories of an archive (SRX/SRX014/SRX014818).
_ACCESSION = re.compile(r"(?:[SED]R[XRS]|SAM[NED]A?)[0-9]{6,}")


@dataclass(frozen=True)
class GeoSample:
    """A sample of GEO: what was put on an array, or a library that was sequenced.

    Args:
        accession: GSM….
        attributes: name without ``!Sample_`` → values, in the file's order.
    """

    accession: str
    attributes: Mapping[str, tuple[str, ...]]

    @property
    def title(self) -> str | None:
        """What the submitter called it."""
        return next(iter(self.attributes.get("title", ())), None)

    @property
    def characteristics(self) -> dict[str, tuple[str, ...]]:
        """Characteristics of all channels, tag → values; of one without a tag the tag is ''.

        >>> GeoSample("GSM1", {"characteristics_ch1": ("cell line: GM18486", "lymphoblastoid")}).characteristics
        {'cell line': ('GM18486',), '': ('lymphoblastoid',)}
        """
        found: dict[str, tuple[str, ...]] = {}
        for name, values in self.attributes.items():
            if not name.startswith("characteristics_ch"):
                continue
            for value in values:
                tag, colon, rest = value.partition(":")
                key, content = (tag.strip().lower(), rest.strip()) if colon else ("", value.strip())
                if content:
                    found[key] = (*found.get(key, ()), content)
        return found

    @property
    def archive_accessions(self) -> tuple[str, ...]:
        """Accessions in SRA and BioSample, from its relations and the files that belong to it."""
        texts = [
            value
            for name, values in self.attributes.items()
            if name == "relation" or name.startswith("supplementary_file")
            for value in values
        ]
        return tuple(dict.fromkeys(found for text in texts for found in _ACCESSION.findall(text)))


@dataclass(frozen=True)
class GeoSeries:
    """Samples of a series.

    Args:
        kind: form of the file.
        accession: GSE…; None where the file does not say it.
        samples: in the file's order.
        columns: of a series matrix, the samples above its table of values; empty without one.
        n_values: lines of tables of values, which were passed over.
        where: the file as messages name it.
        warnings: what was odd but read, and how often.
    """

    kind: GeoKind
    accession: str | None
    samples: tuple[GeoSample, ...]
    columns: tuple[str, ...]
    n_values: int
    where: str
    warnings: Mapping[str, int] = field(default_factory=dict)


def read_soft(url: str) -> GeoSeries:
    """Read a SOFT family file.

    Raises:
        FormatError: it has no ^SAMPLE, or a sample twice.
        InputError: there is no such file, or it may not be read.
    """
    text = Text(url)
    series: str | None = None
    samples: dict[str, dict[str, tuple[str, ...]]] = {}
    current: dict[str, tuple[str, ...]] | None = None
    is_table, n_values = False, 0
    for line in text.lines():
        if line.text.startswith("^"):
            kind, _, name = (part.strip() for part in line.text[1:].partition("="))
            current, is_table = None, False
            if kind.upper() == "SERIES":
                series = name
            elif kind.upper() == "SAMPLE":
                if name in samples:
                    raise _repeated(text, line.number, name)
                current = samples[name] = {}
        elif line.text.startswith("!"):
            name, _, value = (part.strip() for part in line.text[1:].partition("="))
            if name.lower().endswith(("_table_begin", "_table_end")):
                is_table = name.lower().endswith("_begin")
            elif current is not None and name.lower().startswith("sample_") and value:
                key = name[len("sample_") :].lower()
                current[key] = (*current.get(key, ()), value)
        elif is_table and line.text.strip():
            n_values += 1
    if not samples:
        raise FormatError("It has no line ^SAMPLE.", where=text.where, mend="Give a SOFT family file.")
    found = tuple(GeoSample(name, attributes) for name, attributes in samples.items())
    return GeoSeries("geo_soft", series, found, (), n_values, text.where, dict(text.warnings))


def read_series_matrix(url: str) -> GeoSeries:
    """Read a series matrix.

    Raises:
        FormatError: it does not name its samples, a line has another number of them, or the table has other columns.
        InputError: there is no such file, or it may not be read.
    """
    text = Text(url)
    series: str | None = None
    names: list[str] = []
    told: list[tuple[int, str, list[str]]] = []
    columns: tuple[str, ...] = ()
    is_table, n_values = False, 0
    for line in text.lines():
        if not line.text.strip():
            continue
        cells = text.cells(line.text)
        tag = cells[0].lower()
        if tag == "!series_geo_accession":
            series = next(iter(cells[1:]), None)
        elif tag == "!sample_geo_accession":
            names = cells[1:]
            if twice := [name for name in names if names.count(name) > 1]:
                raise _repeated(text, line.number, twice[0])
        elif tag.startswith("!sample_"):
            told.append((line.number, tag[len("!sample_") :], cells[1:]))
        elif tag.endswith("_table_begin"):
            is_table = True
        elif tag.endswith("_table_end"):
            is_table = False
        elif is_table and not columns:
            columns = tuple(cells[1:])
        elif is_table:
            n_values += 1
    if not names:
        raise FormatError(
            "It has no line !Sample_geo_accession.", where=text.where, mend="Give a GEO series matrix."
        )
    if columns and sorted(columns) != sorted(names):
        strange = sorted({*columns} ^ {*names})
        raise FormatError(
            f"Its table has other samples than its head: {', '.join(strange[:5])}.",
            where=text.where,
            mend="Fetch the file again.",
        )
    samples = _side_by_side(text, names, told)
    return GeoSeries("geo_series_matrix", series, samples, columns, n_values, text.where, dict(text.warnings))


def _side_by_side(
    text: Text, names: list[str], told: list[tuple[int, str, list[str]]]
) -> tuple[GeoSample, ...]:
    samples: list[dict[str, tuple[str, ...]]] = [{} for _ in names]
    for number, key, values in told:
        for sample, value in zip(samples, text.fit(number, values, len(names)), strict=True):
            if value:
                sample[key] = (*sample.get(key, ()), value)
    return tuple(GeoSample(name, sample) for name, sample in zip(names, samples, strict=True))


def _repeated(text: Text, number: int, name: str) -> FormatError:
    return FormatError(
        f"Sample {name} is there a second time.",
        where=f"{text.where}, line {number}",
        mend="Fetch the file again.",
    )
