"""Reading by index: every record of a region, once, as bcftools finds them; an index of another file is noticed."""

from __future__ import annotations

import gzip
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from kgp.errors import FormatError
from kgp.genome import GRCH37, GRCH38, ReferenceBuild
from kgp.io.splits import Split, read_chunks
from kgp.io.vcf import region_reads
from kgp.io.vcf.index import merge_ranges, parse_index, read_index
from kgp.io.vcf.region_reads import plan_selected
from kgp.io.vcf.selection import Selection
from kgp.params import Region

END_MARKER = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
CONTIGS = ("1", "2", "chr3")


@dataclass(frozen=True)
class Record:
    """A record of a test file; `pos` and `last` are its first and last base, 1-based."""

    contig: str
    pos: int
    last: int
    name: str
    has_end: bool
    padding: int = 0

    @property
    def line(self) -> str:
        info = [f"END={self.last}"] if self.has_end else []
        info += ["X=" + "".join(chr(97 + (self.padding * k * k + 7 * k) % 26) for k in range(self.padding))]
        ref, alt = ("N", "<DEL>") if self.has_end else ("A" * (self.last - self.pos + 1), "C")
        return "\t".join((self.contig, str(self.pos), self.name, ref, alt, ".", ".", ";".join(info))) + "\n"


def vcf_text(records: Iterable[Record], lengths: Mapping[str, int] | None = None) -> bytes:
    """A VCF without samples."""
    lengths = lengths or dict.fromkeys(CONTIGS, 400_000_000)
    header = ["##fileformat=VCFv4.2\n", '##INFO=<ID=X,Number=1,Type=String,Description="">\n']
    header += ['##INFO=<ID=END,Number=1,Type=Integer,Description="">\n', '##ALT=<ID=DEL,Description="">\n']
    header += [f"##contig=<ID={name},length={length}>\n" for name, length in lengths.items()]
    header.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
    return "".join([*header, *(record.line for record in records)]).encode()


def bgzf(text: bytes, sizes: Sequence[int]) -> bytes:
    """A BGZF file whose blocks hold `sizes` bytes in turn."""
    blocks = []
    at = turn = 0
    while at < len(text):
        piece = text[at : at + sizes[turn % len(sizes)]]
        deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        body = deflate.compress(piece) + deflate.flush()
        header = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\x06\x00BC\x02\x00"
        tail = zlib.crc32(piece).to_bytes(4, "little") + len(piece).to_bytes(4, "little")
        blocks.append(header + (len(body) + 25).to_bytes(2, "little") + body + tail)
        at, turn = at + len(piece), turn + 1
    return b"".join(blocks) + END_MARKER


def names_of(build: ReferenceBuild) -> Mapping[str, str]:
    return build.aliases


def read_selected(splits: Sequence[Split], is_wanted: Callable[[list[str]], bool]) -> list[str]:
    """IDs of the wanted records of all splits, and no line twice."""
    found: list[str] = []
    offsets: list[int] = []
    for split in splits:
        for chunk in read_chunks(split, chunk_bytes=1_000):
            starts, ends = chunk.lines()
            offsets += chunk.offsets(starts).tolist()
            for begin, end in zip(starts, ends, strict=True):
                fields = chunk.data[begin:end].decode().split("\t")
                if not fields[0].startswith("#") and is_wanted(fields):
                    found.append(fields[2])
    assert len(set(offsets)) == len(offsets)
    return found


def overlaps(regions: Sequence[Region], contigs: Sequence[str] = ()) -> Callable[[list[str]], bool]:
    """Whether a line overlaps one of the regions or lies on one of the contigs; contigs as spelled."""

    def is_wanted(fields: list[str]) -> bool:
        start = int(fields[1]) - 1
        end = start + len(fields[3])
        for entry in fields[7].split(";"):
            if entry.startswith("END="):
                end = int(entry[4:])
        return fields[0] in contigs or any(
            fields[0] == one.contig and start < one.end and end > one.start for one in regions
        )

    return is_wanted


def bcftools_names(path: Path, region: str) -> list[str]:
    """IDs that bcftools finds by its index."""
    command = ["bcftools", "view", "-H", "-r", region, str(path)]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return [line.split("\t")[2] for line in found.stdout.splitlines()]


def tabix_names(path: Path, region: str) -> list[str]:
    """IDs that tabix finds by its index."""
    found = subprocess.run(["tabix", str(path), region], check=True, capture_output=True, text=True)
    return [line.split("\t")[2] for line in found.stdout.splitlines()]


def make_index(path: Path, kind: str) -> None:
    """Replace the file's index."""
    for suffix in (".tbi", ".csi"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    command = {
        "tbi": ["tabix", "-f", "-p", "vcf"],
        "csi": ["tabix", "-f", "-C", "-p", "vcf"],
        "csi of 512 bases": ["bcftools", "index", "-f", "-c", "-m", "9"],
    }[kind]
    subprocess.run([*command, str(path)], check=True, capture_output=True)


@pytest.fixture
def tools(require_tool: Callable[[str], Path]) -> None:
    for name in ("tabix", "bcftools", "bgzip"):
        require_tool(name)


# Places in the bins' corners, and records that reach far.
PLACES = st.one_of(
    st.integers(1, 3_000),
    st.integers(1, 400_000),
    st.sampled_from([1, 16_384, 16_385, 131_072, 131_073, 1 << 20, (1 << 20) + 1, 67_108_864, 399_000_000]),
)


@st.composite
def record_lists(draw: st.DrawFn) -> list[Record]:
    places = draw(st.lists(st.tuples(st.sampled_from(range(3)), PLACES), min_size=1, max_size=50))
    records = []
    for number, (contig, pos) in enumerate(sorted(places)):
        is_long = draw(st.booleans())
        reach = draw(st.one_of(st.integers(0, 5), st.integers(0, 300_000))) if is_long else 0
        padding = draw(st.sampled_from([0, 3, 50, 400]))
        records.append(Record(CONTIGS[contig], pos, pos + reach, f"r{number}", is_long, padding))
    return records


@st.composite
def region_lists(draw: st.DrawFn) -> list[Region]:
    return [
        Region(contig=draw(st.sampled_from([*CONTIGS, "X"])), start=pos - 1, end=pos - 1 + draw(st.integers(1, 50_000)))
        for pos in draw(st.lists(PLACES, min_size=1, max_size=3))
    ]  # fmt: skip


SIZES = st.sampled_from([[37], [200, 3, 60], [1_000], [65_000]])
PROPERTY = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("kind", ["tbi", "csi", "csi of 512 bases"])
@PROPERTY
@given(
    records=record_lists(),
    regions=region_lists(),
    sizes=SIZES,
    most=st.sampled_from([60, 700, 1 << 20]),
)
def test_every_record_of_the_regions_is_read_once(
    tools, tmp_path, monkeypatch, kind, records, regions, sizes, most
):
    monkeypatch.setattr(region_reads, "_LEAST_BYTES", most)
    monkeypatch.setattr(region_reads, "task_bytes", lambda size, n_cores: most)
    monkeypatch.setattr(region_reads, "_GAP_BYTES", max(sizes) + 64)  # no less than a block as it is stored
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(bgzf(vcf_text(records), sizes))
    make_index(path, kind)
    plan = plan_selected(str(path), Selection(regions=tuple(regions)), {}, n_cores=2)
    assert not plan.is_stale
    assert plan.splits
    found = read_selected(plan.splits, overlaps(regions))
    expected = {name for region in regions for name in bcftools_names(path, str(region))}
    assert found == sorted(expected, key=lambda name: int(name[1:]))
    if len(regions) == 1:
        assert found == tabix_names(path, str(regions[0]))


@pytest.mark.parametrize("kind", ["tbi", "csi"])
@PROPERTY
@given(
    records=record_lists(), sizes=SIZES, contig=st.sampled_from(CONTIGS), most=st.sampled_from([60, 1 << 20])
)
def test_every_record_of_a_contig_is_read_once(
    tools, tmp_path, monkeypatch, kind, records, sizes, contig, most
):
    monkeypatch.setattr(region_reads, "_LEAST_BYTES", most)
    monkeypatch.setattr(region_reads, "task_bytes", lambda size, n_cores: most)
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(bgzf(vcf_text(records), sizes))
    make_index(path, kind)
    # The build calls chr3 3: the index is asked by the file's own name.
    canonical = GRCH37.canonical(contig)
    assert canonical is not None
    plan = plan_selected(str(path), Selection(contigs=(canonical,)), names_of(GRCH37), n_cores=2)
    assert plan.splits
    assert read_selected(plan.splits, overlaps((), (contig,))) == bcftools_names(path, contig)


@PROPERTY
@given(
    records=record_lists(),
    sizes=SIZES,
    regions=region_lists(),
    edit=st.sampled_from(["insert", "remove", "append", "rename", "pad", "recompress"]),
    data=st.data(),
)
def test_an_index_of_an_older_state_loses_nothing(tools, tmp_path, records, sizes, regions, edit, data):
    """Whatever was done to the file: the index is refused, or all the records are found all the same."""
    assume(len(records) > 1)
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(bgzf(vcf_text(records), sizes))
    make_index(path, "tbi")
    place = data.draw(st.integers(0, len(records) - 1))
    one = records[place]
    changed = list(records)
    if edit == "insert":
        changed.insert(place, Record(one.contig, one.pos, one.pos, "new", False, 9))
    elif edit == "remove":
        del changed[place]
    elif edit == "append":
        changed.append(Record(one.contig, one.pos, one.pos, "new", False, 9))
    elif edit == "rename":
        changed = [Record("chr" + r.contig, r.pos, r.last, r.name, r.has_end, r.padding) for r in records]
    elif edit == "pad":
        changed[place] = Record(one.contig, one.pos, one.last, one.name, one.has_end, one.padding + 40)
    path.write_bytes(bgzf(vcf_text(changed), [500] if edit == "recompress" else sizes))
    plan = plan_selected(str(path), Selection(regions=tuple(regions)), {}, n_cores=2)
    assert plan.is_stale == (plan.splits is None)
    if plan.splits:
        is_wanted = overlaps(regions)
        expected = [r.name for r in changed if is_wanted(r.line.rstrip("\n").split("\t"))]
        assert read_selected(plan.splits, is_wanted) == expected


def tbi(name: str, bins: Mapping[int, Sequence[tuple[int, int]]], windows: Sequence[int] = ()) -> bytes:
    """A .tbi of one contig, not compressed."""
    names = name.encode() + b"\0"
    data = b"TBI\1" + struct.pack("<8i", 1, 2, 1, 2, 0, ord("#"), 0, len(names)) + names
    data += struct.pack("<i", len(bins))
    for number, chunks in bins.items():
        data += struct.pack("<Ii", number, len(chunks))
        data += b"".join(struct.pack("<2Q", *chunk) for chunk in chunks)
    return data + struct.pack("<i", len(windows)) + b"".join(struct.pack("<Q", one) for one in windows)


@pytest.fixture
def two_blocks(tmp_path: Path) -> tuple[Path, int, int, int]:
    """A file whose second block begins with a line; the position of its first record, and where two blocks begin."""
    records = [Record("1", 100 * n, 100 * n, f"r{n}", False) for n in range(1, 41)]
    text = vcf_text(records)
    half = text.index(records[20].line.encode())
    path = tmp_path / "a.vcf.gz"
    first = bgzf(text[:half], [half]).removesuffix(END_MARKER)
    second = bgzf(text[half:], [65_000]).removesuffix(END_MARKER)
    path.write_bytes(first + second + END_MARKER)
    return path, text.index(b"1\t100\t"), len(first), len(first) + len(second)


def test_where_an_index_can_be_wrong(two_blocks):
    path, header, second, end = two_blocks
    index = path.with_name(path.name + ".tbi")
    leaf, all_of_it = 4681, Selection(contigs=("1",))

    def plan(
        *chunks: tuple[int, int], name: str = "1", selection: Selection = all_of_it
    ) -> list[Split] | None:
        index.write_bytes(tbi(name, {leaf: chunks}))
        found = plan_selected(str(path), selection, {}, n_cores=1)
        assert found.is_stale == (found.splits is None)
        return found.splits

    whole = plan((header, end << 16))
    assert whole == [Split(str(path), "bgzf", 0, end, first_line=header)]
    assert plan((header, second << 16), (second << 16, end << 16)) == whole
    # Not where lines or blocks begin, or not where they can begin at all.
    for begin in (header + 1, header - 1, (second << 16) + 1, (second + 1) << 16, (second - 1) << 16, 65_535):
        assert plan((begin, end << 16)) is None
    # Lines that are left out in front of the end of the file, or behind a stretch.
    for last in (second << 16, (second << 16) + 9, (end - 1) << 16, (end + 1) << 16, (end + 29) << 16):
        assert plan((header, last)) is None
    assert plan((header, header + 10), (second << 16, end << 16)) is None
    assert plan((header, header + len("1\t100\tr1\tA\tC\t.\t.\tX=\n")), (second << 16, end << 16)) is None
    # Of another contig.
    assert plan((header, end << 16), name="2", selection=Selection(contigs=("2",))) is None
    # Nothing is asked of the stretches that are not read.
    near = Selection(regions=(Region(contig="2", start=0, end=5),))
    nothing = plan((header + 1, end << 16), selection=near)
    assert nothing == [Split(str(path), "bgzf", end, None, first_line=0)]
    assert read_selected(nothing, lambda fields: True) == []


def test_a_stretch_right_behind_the_last_block_of_another(two_blocks):
    """The first one would read the line at the seam, too, as a split does."""
    path, header, second, end = two_blocks
    first_line = len("1\t100\tr1\tA\tC\t.\t.\tX=\n")
    chunks = [(header, header + first_line), (second << 16, end << 16)]
    path.with_name(path.name + ".tbi").write_bytes(tbi("1", {4681: chunks}))
    regions = (Region(contig="1", start=0, end=150), Region(contig="1", start=2_050, end=9_000))
    plan = plan_selected(str(path), Selection(regions=regions), {}, n_cores=1)
    assert plan.splits
    assert read_selected(plan.splits, overlaps(regions)) == ["r1", *(f"r{n}" for n in range(21, 41))]


def test_an_index_without_its_last_block_of_the_file(two_blocks):
    """A file that was cut off, or that grew by whole blocks."""
    path, header, second, end = two_blocks
    path.with_name(path.name + ".tbi").write_bytes(tbi("1", {4681: [(header, end << 16)]}))
    stored = path.read_bytes()
    for changed in (
        stored[:second],
        stored[: second + 40],
        stored[:second] + END_MARKER,
        stored[:-28] + stored[second:],
    ):
        path.write_bytes(changed)
        assert plan_selected(str(path), Selection(contigs=("1",)), {}, n_cores=1).is_stale
    path.write_bytes(stored[:-28])  # the end marker alone is not missed here
    assert not plan_selected(str(path), Selection(contigs=("1",)), {}, n_cores=1).is_stale


def test_what_is_no_index(two_blocks):
    path, header, _, end = two_blocks
    good = tbi("1", {4681: [(header, end << 16)]})
    wide = b"CSI\1" + struct.pack("<3i", 60, 5, 0)
    bed = good[:8] + struct.pack("<i", 0x10000) + good[12:]
    backwards = tbi("1", {4681: [(end << 16, header)]})
    for stored in (
        b"",
        b"TBI\1",
        b"text",
        good[:-5],
        b"\x1f\x8b\x08broken",
        wide,
        bed,
        backwards,
        b"BAI\1" + good[4:],
    ):
        with pytest.raises(FormatError, match=r"a\.tbi: This is no index of a VCF file"):
            parse_index(stored, where="a.tbi")
        path.with_name(path.name + ".tbi").write_bytes(stored)
        plan = plan_selected(str(path), Selection(contigs=("1",)), {}, n_cores=1)
        assert (plan.splits, plan.is_stale) == (None, True)


def test_without_an_index_or_a_selection(two_blocks):
    path, header, _, end = two_blocks
    assert plan_selected(str(path), Selection(contigs=("1",)), {}, n_cores=1).splits is None
    path.with_name(path.name + ".tbi").write_bytes(tbi("1", {4681: [(header, end << 16)]}))
    assert plan_selected(str(path), Selection(), {}, n_cores=1).splits is None


def test_the_index_that_belongs_to_the_file_is_taken_where_there_are_two(tools, two_blocks):
    path, *_ = two_blocks
    make_index(path, "csi")
    path.with_name(path.name + ".tbi").write_bytes(tbi("1", {4681: [(1, 2)]}))
    plan = plan_selected(str(path), Selection(contigs=("1",)), {}, n_cores=1)
    assert plan.splits
    assert not plan.is_stale
    assert read_selected(plan.splits, lambda fields: True) == [f"r{n}" for n in range(1, 41)]


def test_a_contig_longer_than_a_tbi_can_say(tools, tmp_path):
    """A .tbi ends at 2^29 bases, a .csi does not."""
    records = [
        Record("1", pos, pos + 5, f"r{n}", True)
        for n, pos in enumerate([5, (1 << 29) - 2, (1 << 29) + 9, 1 << 30])
    ]
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(bgzf(vcf_text(records, {"1": (1 << 30) + 100}), [40]))
    make_index(path, "csi")
    for first, last in (
        (1, 1 << 30),
        ((1 << 29) + 2, (1 << 29) + 2),
        ((1 << 29) + 9, 1 << 30),
        ((1 << 30) + 5, 2_000_000_000),
    ):
        region = Region(contig="1", start=first - 1, end=last)
        plan = plan_selected(str(path), Selection(regions=(region,)), {}, n_cores=1)
        assert plan.splits
        assert read_selected(plan.splits, overlaps([region])) == bcftools_names(path, str(region))
    index = read_index(str(path) + ".csi")
    assert index is not None
    assert index.find_ranges("1", 1 << 40, 1 << 41) == []
    assert parse_index(tbi("1", {0: [(1, 9)]}), where="").find_ranges("1", 1 << 29, 1 << 30) == []


def test_contigs_without_records_and_regions_beyond_the_end(tools, tmp_path):
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(
        bgzf(vcf_text([Record("2", 7, 7, "r1", False), Record("2", 9, 9, "r2", False)]), [65_000])
    )
    make_index(path, "tbi")
    # Some writers name all contigs of the header in the index.
    index = path.with_name("a.vcf.gz.tbi")
    made = gzip.decompress(index.read_bytes())
    assert made[4:8] + made[32:38] == struct.pack("<2i", 1, 2) + b"2\0"
    none = struct.pack("<2i", 0, 0)
    index.write_bytes(
        made[:4] + struct.pack("<i", 2) + made[8:32] + struct.pack("<i", 4) + b"1\x002\0" + none + made[38:]
    )
    assert [*parse_index(index.read_bytes(), where="").contigs] == ["1", "2"]
    for selection, expected in (
        (Selection(contigs=("1",)), []),
        (Selection(contigs=("chr3", "Y")), []),
        (Selection(regions=(Region(contig="2", start=300_000_000, end=300_000_001),)), []),
        (Selection(regions=(Region(contig="2", start=9, end=400_000_000),)), []),
        (Selection(contigs=("2",), regions=(Region(contig="2", start=1, end=8),)), ["r1", "r2"]),
    ):
        plan = plan_selected(str(path), selection, {}, n_cores=2)
        assert plan.splits
        assert not plan.is_stale
        assert read_selected(plan.splits, overlaps(selection.regions, selection.contigs)) == expected
    path.write_bytes(bgzf(vcf_text([]), [65_000]))
    make_index(path, "tbi")
    assert plan_selected(str(path), Selection(contigs=("1",)), {}, n_cores=2).splits is None


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "region"),
    [
        pytest.param("phase1-and-others/chr22.vcf.gz", "22:50300000-50400000", id="phase1"),
        pytest.param("highcov30x-grch38/nygc_3202_raw_GT_with_annot.chr21.vcf.gz", "chr21:5030000-5034000", id="csi"),
        pytest.param("gvcf-grch38-chr22/HG00187.hg38.g.vcf.gz", "chr22:10560000-10600000", id="gvcf"),
        pytest.param("geuvadis-eqtl-qtltools/genotypes.chr22.vcf.gz", "chr22:20000000-20500000", id="geuvadis"),
    ],
)  # fmt: skip
def test_indexes_of_the_archives(shared_data, tools, file, region):
    """Real indexes of tabix, bcftools and GATK, of several years."""
    path = shared_data / file
    asked = Region.parse(region)
    plan = plan_selected(str(path), Selection(regions=(asked,)), {}, n_cores=2)
    assert plan.splits
    found: list[str] = []
    for split in plan.splits:
        for chunk in read_chunks(split):
            for line in chunk.data.decode().splitlines():
                fields = line.split("\t", 8)[:8]
                if not line.startswith("#") and overlaps([asked])(fields):
                    found.append("\t".join(fields[:5]))
    command = ["bcftools", "view", "-H", "-r", region, str(path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    expected = ["\t".join(line.split("\t", 5)[:5]) for line in lines]
    assert len(expected) > 3
    assert found == expected


def test_stretches_are_put_together():
    assert merge_ranges([]) == []
    assert merge_ranges([(5, 6), (1, 2), (2, 3), (1, 4)]) == [(1, 4), (5, 6)]


def test_both_names_of_a_contig_are_asked_for(tools, tmp_path):
    """A file may spell one contig in two ways; the build makes one of them."""
    records = [
        Record("1", 5, 5, "r0", False),
        Record("chr1", 5, 5, "r1", False),
        Record("chr3", 5, 5, "r2", False),
    ]
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(bgzf(vcf_text(records, dict.fromkeys(("1", "chr1", "chr3"), 1_000)), [50]))
    make_index(path, "tbi")
    region = Region(contig="chr1", start=0, end=10)
    plan = plan_selected(str(path), Selection(regions=(region,)), names_of(GRCH38), n_cores=2)
    assert plan.splits
    assert read_selected(plan.splits, overlaps((), ("1", "chr1"))) == ["r0", "r1"]
