"""What the archives say of their own files: ``current.tree``, index files, lists of MD5 sums, manifests.

Each reader takes lines of text and gives `Entry` after `Entry`, in the order of the file, so that a list of a million
files needs little memory. A line that is not understood, a path that could lead out of the archive, or a file that is
listed twice with different facts, is an error with the number of the line: whoever reads takes nothing before the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NoReturn

from kgp.errors import FormatError
from kgp.sources.lines import Seen, check_line, wrong_line
from kgp.sources.model import Entry
from kgp.sources.paths import show_path
from kgp.sources.times import utc_from_london

# Roots that the archives' own lists name; what lies elsewhere (reads in the ENA) is none of the archive's files.
INDEX_ROOTS = (
    "ftp.1000genomes.ebi.ac.uk/vol1/ftp/",
    "ftp.ncbi.nlm.nih.gov/1000genomes/ftp/",
    "ftp-trace.ncbi.nlm.nih.gov/1000genomes/ftp/",
    "ftp-trace.ncbi.nih.gov/1000genomes/ftp/",
)

_TREE_LINE = re.compile(
    r"(?:ftp/)?([^\t]+)\tfile\t(\d+)\t(\d{4}-\d\d-\d\d) (([01]\d|2[0-3]):[0-5]\d:[0-5]\d)\t([0-9A-Fa-f]{32})?\t?",
    re.ASCII,
)
_MD5 = re.compile(r"[0-9A-Fa-f]{32}")
_SIZE = re.compile(r"[0-9]+")
_MD5_LINE = re.compile(r"([0-9A-Fa-f]{32}) [ *](.+)|MD5 ?\((.+)\) ?= ?([0-9A-Fa-f]{32})")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/{1,2}(?P<rest>[^/].*)")

# Spellings of the columns that have no name of their own before _MD5.
_SUMS = ("MD5", "MD5SUM")
_FILES = ("FASTQ_FILE", "ENA_FILE_PATH", "FILE_PATH", "FILE", "PATH")
_ABSENT = ("", "-", ".", "NA")

_PATH_NAMES = ("path", "name", "file", "filename", "file_name", "file_path")
_SIZE_NAMES = ("size", "bytes", "byte", "file_size", "filesize", "size_bytes")
_SUM_NAMES = ("md5", "md5sum", "checksum", "md5_checksum")


def parse_tree(
    lines: Iterable[str], name: str = "current.tree", *, prefix: str | tuple[str, ...] = ""
) -> Iterator[Entry]:
    """Files of ``current.tree``: path, ``file``, bytes, time, MD5, tab-separated, without a header.

    Directories are passed over. ``ftp/``, with which every path begins, is taken off. The time has no zone: it is
    London's, where IGSR is. It is given in UTC as British summer time has been since 1996, the hour that comes twice in
    autumn as the first of the two; it may show that a file is newer, and proves nothing.

    Args:
        lines: of the file.
        name: of the file, for messages.
        prefix: only paths that begin so, or with one of these; what is odd about others is passed over.

    Raises:
        FormatError: a line is not of this shape, its path may not be followed, or two lines contradict each other.
    """
    seen = Seen(name)
    match, fullmatch_tree = prefix or None, _TREE_LINE.fullmatch
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        found = fullmatch_tree(text)
        if found is None:
            if not text or _is_directory(text):
                continue
            if match is not None and _is_elsewhere(text, match):
                continue
            _refuse_tree_line(name, number, text)
        path, size, day, time, _, md5 = found.groups()
        if match is not None and not path.startswith(match):
            continue
        check_line(path, name, number)
        try:
            modified = utc_from_london(day, time)
        except ValueError:
            raise wrong_line(name, number, f"has no day {day}") from None
        entry = Entry(path, int(size), md5.lower() if md5 else None, None, modified)
        if seen.is_new(entry, number):
            yield entry


def parse_index(lines: Iterable[str], name: str, *, roots: Sequence[str] = INDEX_ROOTS) -> Iterator[Entry]:
    """Files of an ``alignment.index`` or ``sequence.index``: columns of addresses, each with one of MD5 sums.

    Lines that begin with ``##`` are passed over; the next names the columns, with ``#`` before it or without. A column
    of files is that of an ``X_MD5`` (``X`` or ``X_FILE``), or of ``MD5`` or ``MD5SUM`` (``FASTQ_FILE``,
    ``ENA_FILE_PATH``). Addresses may have one slash where two belong (``ftp:/host/…``), or be paths already.

    Args:
        lines: of the file.
        name: of the file, for messages.
        roots: hosts and directories that the archive's paths begin after; addresses elsewhere are passed over.

    Raises:
        FormatError: as `parse_tree`; or no column has files with sums.
    """
    seen = Seen(name)
    columns: list[str] | None = None
    pairs: list[tuple[int, int]] = []
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text or text.startswith("##"):
            continue
        cells = text.split("\t")
        if columns is None:
            columns = [cell.strip().upper().replace(" ", "_") for cell in [cells[0].lstrip("#"), *cells[1:]]]
            pairs = _pairs_of(columns, name, number)
            continue
        if len(cells) != len(columns):
            raise wrong_line(name, number, f"has {len(cells)} values, the header {len(columns)}")
        for of_path, of_sum in pairs:
            address, md5 = cells[of_path].strip(), cells[of_sum].strip()
            path = None if address in _ABSENT else _path_of(address, roots)
            if path is None:
                continue
            if md5 not in _ABSENT and not _MD5.fullmatch(md5):
                raise wrong_line(name, number, f"has no MD5 in column {columns[of_sum]}")
            check_line(path, name, number)
            entry = Entry(path, None, None if md5 in _ABSENT else md5.lower())
            if seen.is_new(entry, number):
                yield entry
    if columns is None:
        raise FormatError("It has no header.", where=name, mend="Give an index file of IGSR.")


def parse_md5sums(lines: Iterable[str], name: str, *, directory: str = "") -> Iterator[Entry]:
    """Files of a list that ``md5sum`` (``<md5>  <name>``, ``<md5> *<name>``) or ``md5`` (``MD5 (name) = <md5>``) wrote.

    Args:
        lines: of the file.
        name: of the file, for messages.
        directory: that the names are relative to, with a slash at its end.

    Raises:
        FormatError: as `parse_tree`.
    """
    seen = Seen(name)
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text.strip() or text.startswith("#"):
            continue
        if (found := _MD5_LINE.fullmatch(text)) is None:
            raise wrong_line(name, number, "is not an MD5 and a name")
        path = directory + (found[2] or found[3]).removeprefix("./")
        check_line(path, name, number)
        entry = Entry(path, None, (found[1] or found[4]).lower())
        if seen.is_new(entry, number):
            yield entry


def parse_manifest(lines: Iterable[str], name: str, *, directory: str = "") -> Iterator[Entry]:
    """Files of a manifest: a name, an MD5 and perhaps a size a line, tab-separated.

    The columns go by the header where there is one; the manifests of the 30x set have none (name, size, MD5, or name,
    blank, MD5), and there a value is what it looks like.

    Args:
        lines: of the file.
        name: of the file, for messages.
        directory: that the names are relative to, with a slash at its end.

    Raises:
        FormatError: as `parse_tree`.
    """
    seen = Seen(name)
    columns: Mapping[str, int] | None = None
    n_columns = 0
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if not text.strip():
            continue
        cells = [cell.strip() for cell in (text.split("\t") if "\t" in text else text.split())]
        if columns is None:
            columns, n_columns = _manifest_columns(cells), len(cells)
            if columns:
                continue
        if columns and len(cells) != n_columns:
            raise wrong_line(name, number, f"has {len(cells)} values, the header {n_columns}")
        file, size, md5 = _by_header(cells, columns) if columns else _by_look(cells)
        if (
            not file
            or not (size or md5)
            or (md5 and not _MD5.fullmatch(md5))
            or (size and not _SIZE.fullmatch(size))
        ):
            raise wrong_line(name, number, "is not a name with its size or its MD5")
        path = directory + file.removeprefix("./")
        check_line(path, name, number)
        entry = Entry(path, int(size) if size else None, md5.lower() if md5 else None)
        if seen.is_new(entry, number):
            yield entry


def _is_directory(text: str) -> bool:
    cells = text.split("\t")
    return len(cells) > 1 and cells[1] == "directory" and "\0" not in text


def _is_elsewhere(text: str, prefix: str | tuple[str, ...]) -> bool:
    """Whether a line that may not be is at least of the shape of one, and of a file that is not asked for."""
    return text.count("\t") >= 4 and not text.removeprefix("ftp/").startswith(prefix)


def _refuse_tree_line(name: str, number: int, text: str) -> NoReturn:
    cells = text.split("\t")
    path = cells[0].removeprefix("ftp/")
    check_line(path, name, number)
    if len(cells) not in (5, 6) or (len(cells) == 6 and cells[5]):
        raise wrong_line(name, number, f"has {len(cells)} values where path, type, size, time and MD5 belong")
    if cells[1] != "file":
        raise wrong_line(name, number, f"is of type '{show_path(cells[1])}', neither file nor directory")
    if not _SIZE.fullmatch(cells[2]):
        raise wrong_line(name, number, "has no size in bytes")
    if cells[4] and not _MD5.fullmatch(cells[4]):
        raise wrong_line(name, number, "has an MD5 that is none")
    raise wrong_line(name, number, "has no time of the form YYYY-MM-DD hh:mm:ss")


def _pairs_of(columns: Sequence[str], name: str, number: int) -> list[tuple[int, int]]:
    """Numbers of the columns of files, each with that of its sums."""
    if len(set(columns)) != len(columns):
        raise wrong_line(name, number, "names a column twice")
    pairs = []
    for of_sum, column in enumerate(columns):
        if column.endswith("_MD5"):
            stem = column.removesuffix("_MD5")
            files: tuple[str, ...] = (stem, f"{stem}_FILE")
        else:
            files = _FILES if column in _SUMS else ()
        pairs += [(columns.index(file), of_sum) for file in files if file in columns][:1]
    if not pairs:
        raise wrong_line(name, number, "names no column of files with one of MD5 sums")
    return pairs


def _path_of(address: str, roots: Sequence[str]) -> str | None:
    """Path in the archive of an address; None where it lies elsewhere."""
    if (url := _URL.fullmatch(address)) is None:
        return address
    root = next((root for root in roots if url["rest"].startswith(root)), None)
    return None if root is None else url["rest"][len(root) :]


def _manifest_columns(cells: Sequence[str]) -> dict[str, int]:
    """Numbers of the columns path, size and md5, by a header; none where the line is no header."""
    names = [cell.lstrip("#").lower().replace(" ", "_") for cell in cells]
    known = {"path": _PATH_NAMES, "size": _SIZE_NAMES, "md5": _SUM_NAMES}
    found = {
        what: next(i for i, name in enumerate(names) if name in spellings)
        for what, spellings in known.items()
        if any(name in spellings for name in names)
    }
    return found if "path" in found and len(found) > 1 else {}


def _by_header(cells: Sequence[str], columns: Mapping[str, int]) -> tuple[str, str, str]:
    """Name, size and MD5 of a line; empty where it has none."""
    file, size, md5 = (cells[columns[what]] if what in columns else "" for what in ("path", "size", "md5"))
    return file, size, md5


def _by_look(cells: Sequence[str]) -> tuple[str, str, str]:
    """As `_by_header`, from what the values look like; all empty where that is not clear."""
    sums = [cell for cell in cells if _MD5.fullmatch(cell)]
    sizes = [cell for cell in cells if _SIZE.fullmatch(cell) and cell not in sums]
    files = [cell for cell in cells if cell not in sums and cell not in sizes]
    if len(sums) != 1 or len(files) != 1 or len(sizes) > 1:
        return "", "", ""
    return files[0], sizes[0] if sizes else "", sums[0]
