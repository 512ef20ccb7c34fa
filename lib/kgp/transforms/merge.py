"""Lines of several VCF files become one record: alleles numbered anew, every person's genotype where it belongs.

What is the same in all files is kept, what depends on the ALTs is laid out for those of the merged record, and what
the files disagree about is left out and counted. Which lines belong together is said in
`kgp.transforms.merge_sweep`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from kgp.transforms.alleles import find_end, parse_info
from kgp.transforms.calls import parse_genotype

# ALTs that stand for any other allele: they come last, and a record with nothing else is a reference block.
OPEN_ALTS = ("<NON_REF>", "<*>")

DROPPED_INFO = "INFO value differs between files"
DROPPED_FORMAT = "FORMAT value can't be laid out for the merged ALTs"

# INFO that is counted from the merged genotypes.
_COUNTS = ("AC", "AN")
_COUNT = "?"
_NUMBER = re.compile(r"[0-9]+")
_PER_ALLELE = ("A", "R", "G")


@dataclass(frozen=True)
class FileShape:
    """What the merging must know of a file.

    Args:
        n_samples: of its header.
        infos, formats: key → A, R or G, for the keys that its header declares so.
    """

    n_samples: int
    infos: Mapping[str, str] = field(default_factory=dict)
    formats: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SiteLine:
    """A line of one of the files.

    Args:
        file: which one.
        start, end: 0-based half-open.
        alts: empty where ALT is '.'.
        keys: FORMAT.
        samples: the sample columns, tabs between them.
    """

    file: int
    start: int
    end: int
    vcf_id: str
    ref: str
    alts: tuple[str, ...]
    qual: str
    filters: str
    info: str
    keys: str
    samples: str

    @classmethod
    def parse(cls, file: int, line: bytes) -> SiteLine:
        """Read a line that is well-formed and has samples."""
        _, pos, vcf_id, ref, alt, qual, filters, info, keys, samples = line.decode().split("\t", 9)
        start = int(pos) - 1
        alts = () if alt == "." else tuple(alt.split(","))
        return cls(
            file, start, find_end(info, start, ref), vcf_id, ref, alts, qual, filters, info, keys, samples
        )

    @property
    def is_block(self) -> bool:
        """Whether it is a gVCF reference block: no ALT but an open one, or none at all and an END."""
        if self.alts:
            return all(alt in OPEN_ALTS for alt in self.alts)
        return self.end > self.start + len(self.ref) or "END" in parse_info(self.info)


@dataclass(frozen=True)
class Site:
    """What a merged record is made of.

    Args:
        start, end: 0-based half-open; `end` of a stretch of reference blocks, None of any other record.
        ref: REF.
        lines: the lines whose site columns count, at most one a file, files ascending.
        covers: file → its reference block at `start`, for files that have no line there.
    """

    start: int
    end: int | None
    ref: str
    lines: Sequence[SiteLine]
    covers: Mapping[int, SiteLine] = field(default_factory=dict)


@dataclass(frozen=True)
class LineMerger:
    """Writes merged records as lines of VCF.

    Args:
        files: all of them, in the order of their samples.
    """

    files: Sequence[FileShape]

    def merge(self, contig: str, site: Site, absent: Sequence[str]) -> tuple[str, list[str]]:
        """The line of a record, without line end, and what was left out.

        ID, FILTER: union; PASS where nothing else is there. QUAL: the greatest. INFO: what is the same in all lines;
        AC and AN are counted anew. FORMAT: union of keys.

        Args:
            contig: CHROM.
            site: the record.
            absent: GT text of each sample, files in order, for those whose file has nothing at the place.
        """
        given = {line.file: line for line in (*site.covers.values(), *site.lines)}
        ordered = [given[file] for file in sorted(given)]
        alts = join_alts(ordered)
        warnings: list[str] = []
        keys = _join_keys(ordered)
        samples = self._write_samples(ordered, alts, keys, absent, warnings)
        info = self._join_info(site, alts, warnings)
        counts = count_alleles(samples, len(alts)) if keys[:1] == ["GT"] else {}
        info = {key: counts.get(key, value) for key, value in info.items()}
        info = {key: value for key, value in info.items() if not (key in _COUNTS and value == _COUNT)}
        if site.end is not None and site.end > site.start + len(site.ref):
            info["END"] = str(site.end)
        columns = (
            contig,
            str(site.start + 1),
            _join_texts(line.vcf_id for line in site.lines),
            site.ref,
            ",".join(alts) or ".",
            _greatest(line.qual for line in site.lines),
            _join_filters(line.filters for line in site.lines),
            ";".join(f"{key}={value}" if value else key for key, value in info.items()) or ".",
            ":".join(keys) or ".",
            *samples,
        )
        return "\t".join(columns), warnings

    def _write_samples(
        self,
        ordered: Sequence[SiteLine],
        alts: Sequence[str],
        keys: Sequence[str],
        absent: Sequence[str],
        warnings: list[str],
    ) -> list[str]:
        """The sample columns; a stretch of text may hold those of a whole file."""
        by_file = {line.file: line for line in ordered}
        rest = ":." * (len(keys) - 1)
        columns: list[str] = []
        at = 0
        for file, shape in enumerate(self.files):
            line = by_file.get(file)
            if line is None:
                gts = absent[at : at + shape.n_samples] if keys[:1] == ["GT"] else ["."] * shape.n_samples
                columns += [gt + rest for gt in gts]
            else:
                numbers = [0, *(alts.index(alt) + 1 for alt in line.alts)]
                if line.keys == ":".join(keys) and numbers == list(range(len(alts) + 1)):
                    columns += line.samples.split("\t")
                else:
                    columns += _lay_out_samples(line, shape, keys, numbers, len(alts), warnings)
            at += shape.n_samples
        return columns

    def _join_info(self, site: Site, alts: Sequence[str], warnings: list[str]) -> dict[str, str]:
        """INFO entries that all lines agree about."""
        parsed = [parse_info(line.info) for line in site.lines]
        if len(parsed) == 1 and tuple(alts) == site.lines[0].alts:
            joined = parsed[0]
        else:
            joined = {}
            keys = dict.fromkeys(key for one in parsed for key in one)
            for key in keys:
                value = self._join_value(key, site.lines, parsed, alts)
                if value is not None:
                    joined[key] = value
            of_blocks = () if site.end is None else ("END",)
            if any(key not in joined and key not in of_blocks for key in keys):
                warnings.append(DROPPED_INFO)
        if site.end is not None:
            joined.pop("END", None)
        return joined

    def _join_value(
        self, key: str, lines: Sequence[SiteLine], parsed: Sequence[Mapping[str, str]], alts: Sequence[str]
    ) -> str | None:
        if key in _COUNTS:
            return _COUNT
        values: list[list[str]] = []
        number = None
        for line, pairs in zip(lines, parsed, strict=True):
            if key not in pairs:
                return None
            number = self.files[line.file].infos.get(key)
            numbers = [0, *(alts.index(alt) + 1 for alt in line.alts)]
            laid = _lay_out(pairs[key], number, numbers, len(alts), ploidy=2)
            if laid is None:
                return None
            values.append(laid.split(","))
        if all(value == values[0] for value in values):
            return ",".join(values[0])
        if number is None or len({len(value) for value in values}) != 1:
            return None
        entries = [{entry for entry in column if entry != "."} for column in zip(*values, strict=True)]
        if any(len(entry) > 1 for entry in entries):
            return None
        return ",".join(entry.pop() if entry else "." for entry in entries)


def join_alts(lines: Iterable[SiteLine]) -> list[str]:
    """ALTs of all lines in order of first appearance, the open ones last."""
    alts = list(dict.fromkeys(alt for line in lines for alt in line.alts))
    return [alt for alt in alts if alt not in OPEN_ALTS] + [alt for alt in alts if alt in OPEN_ALTS]


def _join_keys(lines: Iterable[SiteLine]) -> list[str]:
    keys = list(
        dict.fromkeys(key for line in lines if line.keys != "." for key in line.keys.split(":") if key)
    )
    return ["GT", *(key for key in keys if key != "GT")] if "GT" in keys else keys


def _join_texts(texts: Iterable[str]) -> str:
    """ID columns, each id once."""
    ids = dict.fromkeys(one for text in texts for one in text.split(";") if one not in ("", "."))
    return ";".join(ids) or "."


def _join_filters(texts: Iterable[str]) -> str:
    found = dict.fromkeys(one for text in texts for one in text.split(";") if one not in ("", "."))
    failed = [one for one in found if one != "PASS"]
    return ";".join(failed) or ("PASS" if found else ".")


def _greatest(texts: Iterable[str]) -> str:
    """The greatest QUAL, as it is written."""
    known = [text for text in texts if text != "."]
    return max(known, key=float) if known else "."


def _lay_out_samples(
    line: SiteLine,
    shape: FileShape,
    keys: Sequence[str],
    numbers: Sequence[int],
    n_alts: int,
    warnings: list[str],
) -> list[str]:
    """The sample columns of one file, its alleles numbered as `numbers` says."""
    own = line.keys.split(":") if line.keys != "." else []
    places = [own.index(key) if key in own else None for key in keys]
    gt_place = own.index("GT") if "GT" in own else None
    is_same = list(numbers) == list(range(n_alts + 1))
    columns = []
    is_dropped = False
    for sample in line.samples.split("\t"):
        values = sample.split(":")
        gt = values[gt_place] if gt_place is not None else "."
        texts = []
        for key, place in zip(keys, places, strict=True):
            value = values[place] if place is not None and place < len(values) else "."
            if not is_same and value != ".":
                laid = _lay_out_format(key, value, shape, numbers, n_alts, gt)
                is_dropped |= laid is None
                value = laid if laid is not None else "."
            texts.append(value or ".")
        columns.append(":".join(texts))
    if is_dropped:
        warnings.append(DROPPED_FORMAT)
    return columns


def _lay_out_format(
    key: str, value: str, shape: FileShape, numbers: Sequence[int], n_alts: int, gt: str
) -> str | None:
    if key in ("GT", "LAA"):
        return renumber(value, tuple(numbers))
    number = shape.formats.get(key)
    ploidy = len(parse_genotype(gt) or ()) if number == "G" and gt != "." else 2
    return _lay_out(value, number, numbers, n_alts, ploidy=ploidy)


@lru_cache(maxsize=1 << 14)
def renumber(text: str, numbers: tuple[int, ...]) -> str:
    """A GT with its alleles numbered anew.

    >>> renumber("1|.", (0, 2)), renumber("0/2", (0, 2, 1))
    ('2|.', '0/1')
    """
    return _NUMBER.sub(lambda found: str(numbers[int(found[0])]), text)


def _lay_out(
    value: str, number: str | None, numbers: Sequence[int], n_alts: int, *, ploidy: int
) -> str | None:
    """A value with the entries that the merged record's alleles ask for, '.' for alleles that the file does not have.

    Returns:
        None where the value has another number of entries than its Number asks for.

    >>> _lay_out("9,3", "R", [0, 2], 2, ploidy=2), _lay_out("0,6,90", "G", [0, 2], 2, ploidy=2)
    ('9,.,3', '0,.,.,6,.,90')
    >>> _lay_out("9", "A", [0, 2], 2, ploidy=2), _lay_out("x,y", None, [0, 2], 2, ploidy=2)
    ('.,9', 'x,y')
    """
    if number not in _PER_ALLELE or value == ".":
        return value
    entries = value.split(",")
    if number == "G" and ploidy == 2:
        pairs = [(numbers[j], numbers[k]) for k in range(len(numbers)) for j in range(k + 1)]
        places = [max(pair) * (max(pair) + 1) // 2 + min(pair) for pair in pairs]
        n_entries = (n_alts + 1) * (n_alts + 2) // 2
    elif number == "G" and ploidy != 1:
        return None
    else:
        skipped = int(number == "A")
        places = [place - skipped for place in numbers[skipped:]]
        n_entries = n_alts + 1 - skipped
    if len(entries) != len(places):
        return None
    laid = ["."] * n_entries
    for place, entry in zip(places, entries, strict=True):
        laid[place] = entry
    return ",".join(laid)


def count_alleles(samples: Iterable[str], n_alts: int) -> dict[str, str]:
    """AC and AN of sample columns that begin with GT.

    >>> count_alleles(["0|1", "2/.:9", "."], 2)
    {'AC': '1,1', 'AN': '3'}
    """
    copies = [0] * (n_alts + 1)
    for text, n in Counter(sample.partition(":")[0] for sample in samples).items():
        for allele in parse_genotype(text) or ():
            if allele >= 0:
                copies[allele] += n
    return {"AC": ",".join(map(str, copies[1:])) or "0", "AN": str(sum(copies))}
