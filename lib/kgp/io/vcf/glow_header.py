"""Files that Glow would refuse, pass over or take for something else, by their name and header."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from kgp.io.splits import detect_form
from kgp.io.vcf.glow_forms import FORMAT_KEYS
from kgp.io.vcf.header import VcfHeader

_NEWEST_VERSION = (4, 3)
_HADOOP_SCHEMES = ("file", "hdfs", "abfs", "abfss", "wasb", "wasbs", "s3", "s3a", "gs", "dbfs")
_SUFFIXES = {"text": ("",), "gzip": (".gz",), "bgzf": (".gz", ".bgz")}

# Header lines as htsjdk wants them; it refuses a file whose declarations have another form.
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MORE = rf"(?:,[^=,\"<>]+=(?:{_QUOTED}|[^\",]*))*>\s*"
_HEADER_LINES = {
    "INFO": rf"<ID=[^,\"]+,Number=(?:[0-9]+|[.AGR]),Type=[A-Za-z]+,Description={_QUOTED}{_MORE}",
    "FORMAT": rf"<ID=[^,\"]+,Number=(?:[0-9]+|[.AGR]),Type=[A-Za-z]+,Description={_QUOTED}{_MORE}",
    "FILTER": rf"<ID=[^,\"]+,Description={_QUOTED}{_MORE}",
    "ALT": rf"<ID=[^,\"]+,Description={_QUOTED}{_MORE}",
    "contig": rf"<ID=[^,\"]+{_MORE}",
}
_NAMED_SINCE_4_3 = ("META", "PEDIGREE", "SAMPLE")
_OTHER_LINE = rf"<[^=,\"<>]+=(?:{_QUOTED}|[^\",]*){_MORE}"

_COMPRESSED = (".gz", ".bgz", ".bz2", ".deflate", ".lz4", ".snappy", ".zst")
# Fields of Glow's genotype struct that no FORMAT key may be called.
_TAKEN = {name.lower() for name in (*FORMAT_KEYS, "sampleId", "calls", "phased")}


def find_odd_header(url: str, header: VcfHeader) -> Counter[str]:
    """What of the file's name and header Glow would refuse or take for something else.

    Raises:
        InputError: there is no such file, or it may not be read.
    """
    found: Counter[str] = Counter()
    scheme, has_scheme, path = url.rpartition("://")
    if has_scheme and scheme not in _HADOOP_SCHEMES:
        found[f"URL of a kind that Hadoop does not know ({scheme}://)"] += 1
    if set(path) & set("*?[]{}\\"):
        found["path that Hadoop takes for a pattern"] += 1
    name = PurePosixPath(path)
    if name.name.startswith(("_", ".")):
        found["file name that Spark passes over"] += 1
    suffix = name.suffix if name.suffix in _COMPRESSED else ""
    if suffix not in _SUFFIXES[detect_form(url)]:
        found["suffix that does not say how the file is compressed"] += 1
    if tuple(int(part) for part in header.version.split(".")) > _NEWEST_VERSION:
        found[f"VCF {header.version}"] += 1
    if (
        _repeats(header.infos)
        or _repeats(header.formats)
        or not _TAKEN.isdisjoint(map(str.lower, header.formats))
    ):
        found["key whose column Spark can't tell from another one"] += 1
    declared = [line.partition(",")[0] for line in header.lines if line.startswith(("##INFO=", "##FORMAT="))]
    found["key that is declared twice"] += len(declared) - len(set(declared))
    found["header line that Glow refuses"] += sum(_is_refused(line, header.version) for line in header.lines)
    return +found


def _repeats(names: Iterable[str]) -> bool:
    """Whether names are the same but for their case."""
    return max(Counter(map(str.lower, names)).values(), default=1) > 1


def _is_refused(line: str, version: str) -> bool:
    kind, _, value = line.removeprefix("##").partition("=")
    if not line.startswith("##") or not value.startswith("<"):
        return False
    if re.fullmatch(_HEADER_LINES.get(kind, _OTHER_LINE), value) is None:
        return True
    if version == "4.3" and kind in _NAMED_SINCE_4_3 and not value.startswith("<ID="):
        return True
    is_flag, has_none = ",Type=Flag," in value, ",Number=0," in value
    return (kind == "FORMAT" and is_flag) or (kind == "INFO" and has_none and not is_flag)
