"""The samples that a person names: ids joined by commas, a file with one a line, a cohort, the list of a callset."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kgp.amounts import upper_first
from kgp.errors import FormatError, InputError, UsageError
from kgp.io.people_text import People, TextLines
from kgp.io.storage import exists, open_binary
from kgp.io.urls import display_url, place_of
from kgp.io.vcf import read_header
from kgp.transforms.cohorts import Cohort, hint

SAMPLE_LIST = "sample_list"

_FLAG = "--samples"
_FILE_ENDINGS = (".txt", ".tsv", ".list", ".ids")
_VCF_ENDINGS = (".vcf", ".vcf.gz", ".vcf.bgz")
_EXPRESSION = re.compile(r"[-+, A-Z0-9]*")


def read_sample_list(given: str) -> tuple[str, ...]:
    """The sample ids, in the order in which they are given.

    What is the path or the URL of a file is read as one, with an id a line; blank lines are passed over.

    Raises:
        UsageError: there is none, or one occurs twice.
        InputError: there is no such file, or it may not be read.
    """
    is_file = "/" in given or given.endswith((".txt", ".tsv", ".list")) or exists(given)
    where = display_url(given) if is_file else _FLAG
    if is_file:
        with open_binary(given) as file:
            names = [line.strip() for line in file.read().decode("utf-8", errors="replace").splitlines()]
    else:
        names = [name.strip() for name in given.split(",")]
    ids = tuple(name for name in names if name)
    if not ids:
        raise UsageError("No sample is named.", where=where, mend="Give a file with one id a line, or ids.")
    if repeated := [name for name in dict.fromkeys(ids) if ids.count(name) > 1]:
        raise UsageError(f"Sample {repeated[0]} is named twice.", where=where, mend="Name each sample once.")
    return ids


def read_cohort(given: str) -> Cohort:
    """A cohort: what is written like an expression is one, a path or URL is a file with an id a line.

    Raises:
        FormatError: the file has no id, an id twice, or something else than ids.
        InputError: there is no such file, or it may not be read.
    """
    is_plain = _EXPRESSION.fullmatch(given) is not None
    if "/" in given or given.endswith(_FILE_ENDINGS) or (not is_plain and exists(given)):
        return Cohort.of_ids(_read_ids(TextLines(given))[0], where=place_of(given))
    return Cohort(given.replace(" ", ""))


def read_callset_list(url: str, callset: str) -> People:
    """The samples of a callset: a file with an id a line, or a VCF file, of which only the header is read.

    Raises:
        FormatError: the file has no id, an id twice, or something else than ids; it is no VCF file.
        InputError: there is no such file, or it may not be read.
    """
    if url.partition("?")[0].endswith(_VCF_ENDINGS):
        header = read_header(url)
        ids, n_lines, warnings = header.samples, max(header.lines[-1].count("\t") - 8, 0), {}
    else:
        lines = TextLines(url)
        ids, n_headers = _read_ids(lines)
        n_lines, warnings = lines.n_lines - n_headers, dict(lines.warnings)
    if not ids:
        raise FormatError("It has no samples.", where=place_of(url), mend="Give one with genotypes.")
    rows = tuple({"sample_id": name, "callsets": [callset]} for name in ids)
    return People(rows, n_lines, SAMPLE_LIST, warnings)


def _read_ids(lines: TextLines) -> tuple[tuple[str, ...], int]:
    """The ids of a file, and how many of its lines are a header: one that begins with # (PLINK 2's #IID)."""
    numbers: dict[str, int] = {}
    n_headers = 0
    for number, line in lines:
        where = f"{lines.place}, line {number}"
        words = line.split()
        if line.startswith("#") and not numbers:
            n_headers += 1
            continue
        # PLINK's lists have the family and the person, which is the same id twice where no family is known.
        if len(set(words)) != 1 or len(words) > 2 or "," in line:
            raise FormatError(
                f"{line.strip()[:60]!r} is no id.", where=where, mend="Give a file with one id a line."
            )
        if words[0] in numbers:
            raise FormatError(
                f"{words[0]} is there a second time, after line {numbers[words[0]]}.",
                where=where,
                mend="Name everybody once.",
            )
        numbers[words[0]] = number
    if not numbers:
        raise FormatError("The file names nobody.", where=lines.place, mend="Give a file with one id a line.")
    return tuple(numbers), n_headers


def find_samples(wanted: Sequence[str], known: Sequence[str], owner: str) -> tuple[int, ...]:
    """Places of samples among those that there are.

    >>> find_samples(["HG3", "HG1"], ["HG1", "HG2", "HG3"], "callset c")
    (2, 0)

    Args:
        wanted: ids.
        known: ids that there are, in order.
        owner: whose samples they are, for the message.

    Raises:
        InputError: there is no such sample; names the nearest.
    """
    place = {name: index for index, name in enumerate(known)}
    if unknown := [name for name in wanted if name not in place]:
        raise InputError(
            f"{upper_first(owner)} has no sample {hint(unknown, known)}.",
            where=_FLAG,
            mend=f'It has {len(known):,} samples: kgp query "SELECT sample_id FROM callset_samples".',
        )
    return tuple(place[name] for name in wanted)
