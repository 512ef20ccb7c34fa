"""The curated edition: which files are its, what its rows say in kgp's terms, and that a query of it ends well."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from hypothesis import given, settings
from hypothesis import strategies as st

from kgp.errors import FormatError, InputError, KgpError, LakeError
from kgp.genome import GRCH37, GRCH38, ReferenceBuild
from kgp.io.azure_files import BlobFileSystem
from kgp.io.catalog import Catalog
from kgp.io.curated import CURATED_ROOT, open_curated
from kgp.io.curated_view import curated_views
from kgp.io.query import run_query
from kgp.io.splits import plan_splits, read_chunks
from kgp.io.vcf import Layout, Selection, read_header
from kgp.io.vcf.parser import parse_chunk
from kgp.tables import TABLES, VARIANTS
from kgp.terms import TERMS
from servers.azurite import Azurite, key, serve_azurite

TEXTS = pa.list_(pa.string())
SITE = [
    ("contigName", pa.string()),
    ("start", pa.int64()),
    ("end", pa.int64()),
    ("names", TEXTS),
    ("referenceAllele", pa.string()),
    ("alternateAlleles", TEXTS),
    ("qual", pa.float64()),
    ("filters", TEXTS),
    ("splitFromMultiAllelic", pa.bool_()),
]
CALLS = [("sampleId", pa.string()), ("phased", pa.bool_()), ("calls", pa.list_(pa.int32()))]
# Chromosome Y has more fields, in another order; Glow's order follows a hash.
CALLS_OF_Y = [("CN", pa.int32()), ("calls", pa.list_(pa.int32())), ("sampleId", pa.string())]

JOB = "part-0000{}-tid-5326935979355877101-dd68248e-aa4b-419a-b1ce-fa2ccb6b0952-1006-1-c000.snappy.parquet"

MULTIALLELIC = {
    "contigName": "22",
    "start": 99,
    "end": 101,
    "names": ["ss7", "rs11;rs12"],
    "referenceAllele": "AC",
    "alternateAlleles": ["A", "<CN0>"],
    "qual": 100.0,
    "filters": ["PASS"],
    "splitFromMultiAllelic": False,
    "INFO_AC": [3, 1],
    "genotypes": [{"sampleId": "HG00096", "phased": True, "calls": [0, 2]}],
    "hashId": -7,
}
BARE = {
    "contigName": "22",
    "start": 200,
    "end": None,
    "names": [],
    "referenceAllele": "GGT",
    "alternateAlleles": [],
    "qual": None,
    "filters": [],
    "splitFromMultiAllelic": False,
    "INFO_AC": None,
    "genotypes": [{"sampleId": "HG00096", "phased": False, "calls": [-1, -1]}],
    "hashId": 8,
}
FAILED = BARE | {"start": 300, "end": 301, "alternateAlleles": ["T"], "filters": ["q10;s50"], "hashId": 9}
ON_Y = {
    "contigName": "chrY",
    "start": 5,
    "end": 6,
    "names": ["rs1"],
    "referenceAllele": "A",
    "alternateAlleles": ["G"],
    "qual": 1.5,
    "filters": ["q10", "s50"],
    "splitFromMultiAllelic": False,
    "INFO_AC": [1.5],
    "INFO_SVTYPE": "CNV",
    "genotypes": [{"sampleId": "HG00096", "CN": 4, "calls": [1]}],
    "hashId": 10,
}
NORMAL = pa.schema(
    [
        *SITE,
        ("INFO_AC", pa.list_(pa.int32())),
        ("genotypes", pa.list_(pa.struct(CALLS))),
        ("hashId", pa.int64()),
    ]
)
OF_Y = pa.schema(
    [
        *SITE,
        ("INFO_AC", pa.list_(pa.float64())),
        ("INFO_SVTYPE", pa.string()),
        ("genotypes", pa.list_(pa.struct(CALLS_OF_Y))),
        ("hashId", pa.int64()),
    ]
)


def parquet(rows: list[dict[str, Any]], schema: pa.Schema = NORMAL, **options: Any) -> bytes:
    file = BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema), file, **options)
    return file.getvalue()


def files_of_edition(folder: str = "original") -> dict[str, bytes]:
    """Name below the root → content of a small edition."""
    flat = dict(SITE) | {
        "genotypes_sampleId": pa.string(),
        "genotypes_calls": pa.list_(pa.int32()),
    }
    call = BARE | {"genotypes_sampleId": "HG00096", "genotypes_calls": [0, 1]}
    return {
        f"{folder}/chr22/{JOB.format(0)}": parquet([MULTIALLELIC]),
        f"{folder}/chr22/{JOB.format(1)}": parquet([BARE, FAILED]),
        f"{folder}/chr22/_SUCCESS": b"",
        f"{folder}/chr22/_committed_5326935979355877101": b"{}",
        f"{folder}/chrY/part-0.parquet": parquet([ON_Y], OF_Y),
        f"{folder}/_temporary/part-0.parquet": b"",
        "flattened/chr22/part-0.parquet": parquet([call, call], pa.schema(flat.items())),
    }


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


@pytest.fixture
def edition(tmp_path: Path) -> Path:
    return write(tmp_path / "edition", files_of_edition())


def ask(
    sql: str,
    root: Path | str,
    *contigs: str,
    lake: Path = Path("/no/lake"),
    layout: str = "original",
    build: ReferenceBuild = GRCH37,
) -> list[list[object]]:
    dataset = open_curated(str(root), layout, contigs)
    views = curated_views(dataset, build)
    return list(run_query(Catalog(str(lake)), sql, extra={"curated": dataset}, views=views).rows())


# -- which files, which columns


def test_rows_of_all_contigs_have_the_columns_of_all(edition: Path) -> None:
    dataset = open_curated(str(edition), "original")
    assert dataset.schema.field("INFO_AC").type == pa.list_(pa.float64())
    assert {field.name for field in dataset.schema.field("genotypes").type.value_type} == {
        "sampleId",
        "phased",
        "calls",
        "CN",
    }
    sql = (
        "SELECT start, INFO_AC, INFO_SVTYPE, genotypes[1].CN, genotypes[1].calls FROM curated ORDER BY hashId"
    )
    expected = [
        [99, [3.0, 1.0], None, None, [0, 2]],
        [200, None, None, None, [-1, -1]],
        [300, None, None, None, [-1, -1]],
        [5, [1.5], "CNV", 4, [1]],
    ]
    assert ask(sql, edition) == expected
    arrow = dataset.to_table().sort_by("hashId").to_pylist()  # Arrow's own scanner says the same
    got = [
        [r["start"], r["INFO_AC"], r["INFO_SVTYPE"], r["genotypes"][0]["CN"], r["genotypes"][0]["calls"]]
        for r in arrow
    ]
    assert got == expected


@pytest.mark.parametrize("spelling", ["22", "chr22", "CHR22"])
def test_only_the_folders_of_the_contigs_that_are_asked_for_are_looked_at(
    edition: Path, spelling: str
) -> None:
    write(edition, {"original/chr21/part-0.parquet": b"no Parquet at all"})
    assert ask("SELECT count(*) FROM curated", edition, spelling) == [[3]]
    assert ask("SELECT count(*) FROM curated", edition, spelling, "Y") == [[4]]
    with pytest.raises(FormatError, match=r"original/chr21/part-0\.parquet: It is no Parquet file"):
        open_curated(str(edition), "original")


def test_the_folder_may_be_called_nested_and_hold_links(tmp_path: Path) -> None:
    real = write(tmp_path / "real", files_of_edition("nested"))
    root = tmp_path / "linked"
    (root / "nested").mkdir(parents=True)
    (root / "nested" / "chr22").symlink_to(real / "nested" / "chr22")
    assert ask("SELECT count(*) FROM curated", real.as_uri()) == [[4]]
    assert ask("SELECT count(*) FROM curated", root) == [[3]]


def test_the_flattened_layout_has_no_view_of_records(edition: Path) -> None:
    sql = "SELECT genotypes_sampleId, count(*) FROM curated WHERE genotypes_calls[2] > 0 GROUP BY 1"
    assert ask(sql, edition, layout="flattened") == [["HG00096", 2]]
    with pytest.raises(InputError, match="curated_variants does not exist"):
        ask("FROM curated_variants", edition, layout="flattened")


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        ({}, ("sorted",), "There is no layout 'sorted'. Use original or flattened"),
        ({}, ("original", ["21"]), r"There is no folder of contig '21'. There are: 22, Y\."),
        ({}, ("original", ["22", "chrUn"]), r"There is no folder of contig 'chrUn'. There are: 22, Y\."),
        ({}, ("flattened", ["Y"]), r"There are: 22\."),
        ({"original/chr1/_SUCCESS": b""}, ("original", ["1"]), "original/chr1: There is no Parquet file"),
        ({"original/chr1/a.parquet": b""}, ("original",), r"original/chr1/a\.parquet: It is empty"),
        ({"original/chr1/a.parquet": b"PAR1"}, ("original",), r"a\.parquet: It is no Parquet file"),
        (
            {"original/chr1/a.parquet": parquet([{"x": 1}], pa.schema([("x", pa.int32())]))},
            ("original",),
            "no column alternateAlleles: it was not written from what Glow's reader returns",
        ),
        (
            {"original/chr1/a.parquet": parquet([], pa.schema([*SITE, ("hashId", pa.string())]))},
            ("original",),
            "Its files don't fit together: .*hashId",
        ),
    ],
)
def test_what_is_wrong_with_an_edition_is_said(
    edition: Path, change: dict[str, bytes], arguments: Any, message: str
) -> None:
    write(edition, change)
    with pytest.raises(InputError, match=message):
        open_curated(str(edition), *arguments)


@pytest.mark.parametrize("root", ["/no/such/directory", "{}/original/chr22"])
def test_a_root_without_an_edition_is_refused(edition: Path, root: str) -> None:
    with pytest.raises(InputError, match=r"There is no edition in the layout 'original'.* There are: none\."):
        open_curated(root.format(edition), "original")
    with pytest.raises(InputError, match=r"There are: original\."):
        open_curated(str(write(edition.parent / "half", {"original/chr22/a": b""})), "flattened")


def test_other_storage_is_refused_without_its_signature() -> None:
    with pytest.raises(InputError, match="read from Azure or from a directory") as caught:
        open_curated("https://host/dataset?sig=canary", "original")
    assert "canary" not in str(caught.value) + repr(caught.value)


# -- in kgp's terms


def test_records_become_a_row_an_alt(edition: Path) -> None:
    # Worked out by hand from the four records above.
    shared = ["ss7;rs11;rs12", "rs11", 100.0, ["PASS"], -7]
    assert ask("FROM curated_variants ORDER BY hash_id, alt_index", edition) == [
        ["22", 99, 101, 1, 2, "22_100_AC_A", "22", "AC", "A", *shared],
        ["22", 99, 101, 2, 2, "22_100_AC_<CN0>_101", "22", "AC", "<CN0>", *shared],
        ["22", 200, 203, 0, 0, "22_201_GGT_.", "22", "GGT", None, None, None, None, None, 8],
        ["22", 300, 301, 1, 1, "22_301_GGT_T", "22", "GGT", "T", None, None, None, ["q10", "s50"], 9],
        ["Y", 5, 6, 1, 1, "Y_6_A_G", "chrY", "A", "G", "rs1", "rs1", 1.5, ["q10", "s50"], 10],
    ]
    assert ask("SELECT DISTINCT contig FROM curated_variants ORDER BY 1", edition, build=GRCH38) == [
        ["chr22"],
        ["chrY"],
    ]


def test_its_columns_have_the_types_of_those_of_variants(edition: Path) -> None:
    dataset = open_curated(str(edition), "original")
    answer = run_query(
        Catalog("/no/lake"),
        "FROM curated_variants",
        extra={"curated": dataset},
        views=curated_views(dataset),
    )
    types = {field.name: field.type for field in answer.relation.to_arrow_reader().schema}
    assert types.pop("hash_id") == pa.int64()
    assert types.keys() < set(VARIANTS.columns)
    for name, kind in types.items():
        ours = TERMS[name].type
        assert kind == ours or (pa.types.is_list(kind) and kind.value_type == ours.value_type), name


def test_a_conversion_may_lack_what_is_not_needed(tmp_path: Path) -> None:
    needed = [SITE[i] for i in (0, 1, 2, 4, 5)]
    write(tmp_path, {"original/22/a.parquet": parquet([MULTIALLELIC], pa.schema(needed))})
    sql = "SELECT variant_id, vcf_id, rsid, qual, filters, hash_id FROM curated_variants WHERE alt = 'A'"
    assert ask(sql, tmp_path) == [["22_100_AC_A", None, None, None, None, None]]


def test_it_joins_with_ones_own_variants(edition: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    rows = {
        "loads": [{"load_id": "a" * 32}],
        "variants": [
            {"callset": "mine", "contig": "22", "load_id": "a" * 32, "start": 99, "ref": "AC", "alt": alt}
            for alt in ("A", "T", "<CN0>")
        ],
    }
    for table, values in rows.items():
        schema = pa.schema([(name, TERMS[name].type) for name in values[0]])
        partitions = list(TABLES[table].partition_by)
        write_deltalake(str(lake / table), pa.Table.from_pylist(values, schema), partition_by=partitions)
    sql = """SELECT v.alt, c.rsid, c.hash_id FROM variants v
        LEFT JOIN curated_variants c USING (contig, start, ref, alt) ORDER BY 1"""
    assert ask(sql, edition, lake=lake) == [["<CN0>", "rs11", -7], ["A", "rs11", -7], ["T", None, None]]
    assert ask("SELECT count(*) FROM loads", edition, lake=lake) == [[1]]
    names = [row[0] for row in ask("SHOW TABLES", edition, lake=lake)]
    assert names == ["curated", "curated_variants", "loads", "variants"]


def cut_vcf(path: Path, tmp_path: Path, n_records: int) -> Path:
    """The first records of a file."""
    content = path.read_bytes()
    lines = (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).splitlines(True)
    n_header = sum(line.startswith(b"#") for line in lines)
    cut = tmp_path / "cut.vcf"
    cut.write_bytes(b"".join(lines[: n_header + n_records]))
    return cut


def glow_rows_of(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Records as Glow has them, made of the text alone."""
    rows = []
    for line in lines:
        contig, pos, names, ref, alts, qual, filters, info = line.split("\t")[:8]
        ends = [int(entry[4:]) for entry in info.split(";") if entry.startswith("END=")]
        row = {
            "contigName": contig,
            "start": int(pos) - 1,
            "end": ends[0] if ends else int(pos) - 1 + len(ref),
            "names": [] if names == "." else names.split(";"),
            "referenceAllele": ref,
            "alternateAlleles": [] if alts == "." else alts.split(","),
            "qual": None if qual == "." else float(qual),
            "filters": [] if filters == "." else filters.split(";"),
            "splitFromMultiAllelic": False,
        }
        rows.append(row)
    return rows


COMPARED = 'contig, start, "end", alt_index, n_alts, source_contig, ref, alt, vcf_id, rsid, qual, filters, variant_id'


def by_kgp(path: Path, build: ReferenceBuild) -> list[list[object]]:
    """The same columns by the builtin reader."""
    header = read_header(str(path))
    layout = Layout.make(header, build, Selection(), "c", "l")
    batches = [
        batch
        for split in plan_splits(str(path), n=1)
        for chunk in read_chunks(split)
        for batch in parse_chunk(chunk, layout).batches
    ]
    names = [name.strip(' "') for name in COMPARED.split(",")]
    return [list(row.values()) for row in pa.Table.from_batches(batches).select(names).to_pylist()]


def test_a_real_file_has_the_rows_of_its_load(bundled: Path, tmp_path: Path) -> None:
    cut = cut_vcf(bundled / "genotypes.chr22.vcf.gz", tmp_path, 5000)
    rows = glow_rows_of(line for line in cut.read_text().splitlines() if not line.startswith("#"))
    write(tmp_path, {"original/chr22/a.parquet": parquet(rows, pa.schema(SITE))})
    theirs = ask(f"SELECT {COMPARED} FROM curated_variants", tmp_path)
    assert len(theirs) == 5000  # each has one ALT
    assert sorted(map(repr, theirs)) == sorted(map(repr, by_kgp(cut, GRCH37)))


# Recordings whose IDs or filters Glow split at ',' or whose rows kgp reads otherwise have tests of their own.
@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("phase3-grch37__10k.chr22.phase3_shapeit2_mvncall_integrated_v5.20130502.genotypes.vcf.gz", GRCH37),
        ("phase3-grch37__1000G.phase3.broad.withGenotypes.chr20.10100000.vcf.gz", GRCH37),
        ("phase3-grch37__kidd.aisnp.1kg.vcf", GRCH37),
        ("phase3-grch37__vcf-merge__HG00096.vcf.bgz", GRCH37),
        ("phase3-grch38__test_1000G_hg38.vcf.gz", GRCH38),
        ("phase1-and-others__chr22.vcf.gz", GRCH37),
        ("phase1-and-others__structural.vcf", GRCH37),
        ("vcf-odd__hail__33alleles.vcf", GRCH37),
        ("vcf-odd__scikit-allel__test32.vcf", GRCH37),
        ("glow-test-data__variantsplitternormalizer-test__01_IN_altered_multiallelic.vcf", GRCH37),
    ],
)
def test_recorded_rows_of_glow_are_the_rows_of_the_load(
    shared_data: Path, tmp_path: Path, name: str, build: ReferenceBuild
) -> None:
    recording = shared_data / "glow-golden" / name
    meta = json.loads((recording / "meta.json").read_text())
    cut = cut_vcf(shared_data / meta["source"], tmp_path, meta["default"]["rows"])
    write(tmp_path, {"original/all/a.parquet": (recording / "part.parquet").read_bytes()})
    theirs = ask(f"SELECT {COMPARED} FROM curated_variants", tmp_path, build=build)
    # In a row, kgp numbers variant ids only as it loads.
    assert sorted(map(repr, theirs)) == sorted(map(repr, by_kgp(cut, build)))
    assert len(theirs) >= meta["default"]["rows"]


# -- how it is read


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "start": st.integers(0, 20),
            "end": st.one_of(st.none(), st.integers(0, 20)),
            "contigName": st.sampled_from(["1", "2", "start"]),
        }
    ),
    min_size=1,
    max_size=30,
)
CONDITIONS = st.sampled_from(
    [
        "start > 7",
        "start BETWEEN 3 AND 5 AND contigName = '1'",
        '"end" IS NULL',
        '"end" IN (1, 2, 3) OR start = 4',
        "contigName = 'start'",
        "contigName <> '1' AND NOT start < 9",
        "INFO_X = 5",
        "INFO_X IS NULL",
        "INFO_X IS NOT NULL AND start < 10",
    ]
)


@settings(max_examples=40, deadline=None)
@given(ROWS, ROWS, CONDITIONS, st.sampled_from(["count(*)", "sum(start)", "max(contigName)", 'min("end")']))
def test_what_is_pushed_down_gives_the_rows_that_fit(
    tmp_path_factory: pytest.TempPathFactory, one: Any, other: Any, condition: str, wanted: str
) -> None:
    import duckdb

    root = tmp_path_factory.mktemp("edition")
    without = pa.schema(SITE)
    with_x = without.append(pa.field("INFO_X", pa.int32()))
    rows = [row | {"INFO_X": 5 if i % 2 else None} for i, row in enumerate(other)]
    write(
        root,
        {
            "original/1/a.parquet": parquet(one, without, row_group_size=4),
            "original/2/a.parquet": parquet(rows, with_x, row_group_size=4),
        },
    )
    table = pa.Table.from_pylist(one + rows, with_x)
    sql = f"SELECT {wanted} FROM curated WHERE {condition}"
    with duckdb.connect() as connection:
        connection.register("curated", table)
        assert ask(sql, root) == [list(row) for row in connection.execute(sql).fetchall()]


def test_row_groups_that_the_filter_rules_out_are_not_read(tmp_path: Path) -> None:
    schema = pa.schema(SITE)
    rows = [BARE | {"start": start} for start in range(2000)]
    content = bytearray(parquet(rows, schema, row_group_size=1000, compression="none"))
    second = pq.ParquetFile(BytesIO(content)).metadata.row_group(1).column(1)
    at = second.dictionary_page_offset or second.data_page_offset
    content[at : at + 64] = bytes(64)
    write(tmp_path, {"original/22/a.parquet": bytes(content)})
    assert ask("SELECT sum(start) FROM curated WHERE start < 1000", tmp_path) == [[499500]]
    assert ask("SELECT count(contigName) FROM curated", tmp_path) == [[2000]]
    with pytest.raises(InputError, match=r"22/a\.parquet: It can't be read \(OSError\)") as caught:
        ask("SELECT sum(start) FROM curated", tmp_path)
    assert not isinstance(caught.value, LakeError)


def test_few_rows_are_decoded_at_a_time_however_large_a_row_group_is(tmp_path: Path) -> None:
    n_samples, n_rows = 1000, 2000
    genotypes = [{"sampleId": f"HG{i:05}", "phased": True, "calls": [0, 1]} for i in range(n_samples)]
    row = pa.Table.from_pylist([MULTIALLELIC | {"genotypes": genotypes}], NORMAL)
    path = tmp_path / "original" / "22" / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.concat_tables([row] * n_rows), path, row_group_size=n_rows)
    assert pq.ParquetFile(path).metadata.num_row_groups == 1
    dataset = open_curated(str(tmp_path), "original")
    lengths = [len(batch) for batch in dataset.scanner(columns=["genotypes"]).to_reader()]
    assert sum(lengths) == n_rows
    assert max(lengths) * n_samples * 4 <= 1 << 20  # four values a genotype
    assert [len(batch) for batch in dataset.scanner(columns=["start"]).to_reader()] == [n_rows]


def test_it_is_read_from_python_too(edition: Path) -> None:
    dataset = open_curated(str(edition), "original")
    assert dataset.count_rows() == 4
    assert dataset.to_table(columns=["hashId"])["hashId"].to_pylist() == [-7, 8, 9, 10]
    kept = dataset.filter(pc.field("start") > 99)
    assert kept.filter(pc.field("contigName") == "22").to_table(["start"]).to_pylist() == [
        {"start": 200},
        {"start": 300},
    ]
    assert kept.count_rows(filter=pc.field("start") < 300) == 1
    assert next(dataset.to_batches(columns=["start"])).to_pydict() == {"start": [99]}


def test_nothing_else_is_in_reach(edition: Path) -> None:
    path = edition / "original" / "chr22" / JOB.format(0)
    for sql in (f"FROM read_parquet('{path}')", f"FROM '{path}'", f"FROM glob('{edition}/*')"):
        with pytest.raises(InputError, match=r"(?i)disabled|permission"):
            ask(sql, edition)
    for sql in (
        "DROP VIEW curated_variants",
        "CREATE TABLE x AS FROM curated",
        f"COPY curated TO '{edition}/x'",
    ):
        with pytest.raises(KgpError, match="one reading statement"):
            ask(sql, edition)


def test_without_a_lake_its_tables_are_missed(edition: Path) -> None:
    with pytest.raises(
        InputError, match=r"variants does not exist.*\n.*There are: curated, curated_variants"
    ):
        ask("FROM variants", edition)
    with pytest.raises(LakeError):
        run_query(Catalog("/no/lake"), "SELECT 1")


# -- on Azure


ACCOUNT = "curated1000genomes"


def large_edition() -> dict[str, bytes]:
    """Enough that a scan is under way when a query ends."""
    rows = [MULTIALLELIC | {"start": start, "referenceAllele": "A" * (start % 90)} for start in range(20_000)]
    part = parquet(rows, row_group_size=1000)
    return {f"big/original/chr21/{JOB.format(n)}": part for n in range(8)}


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """Microsoft's account with the public container, and one's own with a private one."""
    debug = tmp_path_factory.mktemp("azurite") / "debug"
    with serve_azurite(accounts={ACCOUNT: key(), "own": key()}, debug=debug) as server:
        server.make_container(ACCOUNT, "dataset", public=True)
        server.make_container(ACCOUNT, "closed")
        server.make_container("own", "mine")
        markers = {"original": b"", "original/chr22": b""}  # as Hadoop's driver leaves them
        for account, container in ((ACCOUNT, "dataset"), (ACCOUNT, "closed"), ("own", "mine")):
            server.upload(account, container, files_of_edition())
            with server.client(account).get_container_client(container) as client:
                for name, content in markers.items():
                    client.upload_blob(name, content, metadata={"hdi_isfolder": "true"})
        server.upload(ACCOUNT, "dataset", large_edition())
        server.debug = debug  # type: ignore[attr-defined]
        yield server


@pytest.fixture
def environment(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables of Azure; those of the machine are taken away."""
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("KGP_AZURE_ENDPOINTS", azurite.endpoints())

    def set_all(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


def reads_until_now(azurite: Azurite) -> list[str]:
    """What reading requests of the public container the log has; it is written some time after they are answered."""
    with pytest.raises(InputError):
        open_curated(f"az://dataset@{ACCOUNT}/sentinel", "original")
    give_up = time.monotonic() + 20
    while time.monotonic() < give_up:
        lines = azurite.debug.read_text().splitlines()  # type: ignore[attr-defined]
        reads = [line for line in lines if re.search(f"RequestMethod=(GET|HEAD) .*/{ACCOUNT}/dataset", line)]
        if reads and "sentinel" in reads[-1]:
            return [line for line in reads if "sentinel" not in line]
        time.sleep(0.05)
    raise AssertionError("the log does not come")


def test_the_public_container_is_read_by_everybody(
    azurite: Azurite, environment: Callable[..., None]
) -> None:
    # A key of one's own account is not sent to Microsoft's.
    environment(AZURE_STORAGE_ACCOUNT_NAME="own", AZURE_STORAGE_ACCOUNT_KEY=azurite.accounts["own"])
    assert CURATED_ROOT == "az://dataset@curated1000genomes"
    assert ask("SELECT count(*), sum(start) FROM curated_variants", CURATED_ROOT) == [[5, 703]]
    assert ask("SELECT start FROM curated WHERE start > 200", CURATED_ROOT, "chr22") == [[300]]
    requests = reads_until_now(azurite)
    assert len(requests) > 10
    assert not [line for line in requests if "authorization" in line.lower()]
    last_listing = max(n for n, line in enumerate(requests) if "comp=list" in line)
    assert not [line for line in requests[last_listing:] if "chrY" in line]


def test_ones_own_container_is_read_with_its_key_or_a_signature(
    azurite: Azurite, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(AZURE_STORAGE_ACCOUNT_NAME="own", AZURE_STORAGE_ACCOUNT_KEY=azurite.accounts["own"])
    urls = ("az://mine@own", "az://mine", "abfss://mine@own.dfs.core.windows.net/")
    for root in (*urls, "https://own.blob.core.windows.net/mine"):
        assert ask("SELECT count(*) FROM curated", root, "22") == [[3]]
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
    environment(AZURE_STORAGE_SAS_TOKEN=azurite.sas("own", "mine"))
    assert ask("SELECT count(*) FROM curated", "az://mine@own", "22") == [[3]]


def test_what_may_not_be_read_is_refused(azurite: Azurite, environment: Callable[..., None]) -> None:
    with pytest.raises(InputError, match=r"az://closed@curated1000genomes/original: It can't be listed"):
        open_curated(f"az://closed@{ACCOUNT}", "original")
    with pytest.raises(InputError, match="There is no edition in the layout"):
        open_curated(f"az://dataset@{ACCOUNT}/none", "original")
    signature = azurite.sas("own", "mine", seconds=-60)
    environment(AZURE_STORAGE_ACCOUNT_NAME="own", AZURE_STORAGE_SAS_TOKEN=signature)
    with pytest.raises(InputError, match="It can't be listed") as caught:
        open_curated("az://mine@own", "original")
    assert signature.partition("sig=")[2][:20] not in str(caught.getrepr(style="long"))


def test_a_file_that_goes_while_it_is_read_is_named_without_a_secret(
    azurite: Azurite, environment: Callable[..., None]
) -> None:
    dataset = open_curated(f"az://dataset@{ACCOUNT}/big", "original")
    name = f"big/original/chr21/{JOB.format(7)}"
    with azurite.client(ACCOUNT).get_blob_client("dataset", name) as client:
        content = client.download_blob().readall()
        client.delete_blob()
    try:
        with pytest.raises(InputError, match=r"big/original/chr21/part-00007-.*\.parquet: ") as caught:
            list(
                run_query(Catalog("/no"), "SELECT max(start) FROM curated", extra={"curated": dataset}).rows()
            )
    finally:
        azurite.upload(ACCOUNT, "dataset", {name: content})
    assert "127.0.0.1" not in str(caught.value)


def test_a_server_that_goes_while_it_is_read_ends_the_query_and_not_the_process(
    environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kgp.io.azure_files.BlobFileSystem", partial(BlobFileSystem, retry_total=0))
    with serve_azurite(accounts={ACCOUNT: key()}) as server:
        environment(KGP_AZURE_ENDPOINTS=server.endpoints())
        server.make_container(ACCOUNT, "dataset", public=True)
        server.upload(ACCOUNT, "dataset", large_edition())
        dataset = open_curated(f"az://dataset@{ACCOUNT}/big", "original")
        rows = run_query(Catalog("/no"), "SELECT start FROM curated", extra={"curated": dataset}).rows()
        assert next(rows) == [0]
        server.kill()
        with pytest.raises(InputError, match=r"big/original/chr21/part-0000.-.*\.parquet: "):
            list(rows)
        with pytest.raises(InputError, match="It can't be listed"):
            open_curated(f"az://dataset@{ACCOUNT}/big", "original")


# Every child is a fork of one process that has imported all: it ends as any Python does, and starts at once.
QUERIES = """
import os, sys, adlfs
from kgp.io.catalog import Catalog
from kgp.io.curated import open_curated
from kgp.io.curated_view import curated_views
from kgp.io.query import run_query

root, sql, n_rows, n_runs = sys.argv[1:]
for _ in range(int(n_runs)):
    if child := os.fork():
        print("ended with", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    dataset = open_curated(root, "original")
    answer = run_query(Catalog("/no/lake"), sql, extra={"curated": dataset}, views=curated_views(dataset))
    for _, row in zip(range(int(n_rows)), answer.rows()):
        print(len(row), "columns", flush=True)
    break
"""


@pytest.mark.parametrize(
    ("sql", "n_rows", "n_runs"),
    [
        ("SELECT * FROM curated LIMIT 1", 9, 20),
        ("SELECT * FROM curated", 1, 3),  # the reader of the answer stops in the middle of it
    ],
)
def test_a_query_that_ends_before_its_scan_ends_well(
    environment: Callable[..., None], sql: str, n_rows: int, n_runs: int
) -> None:
    command = [sys.executable, "-c", QUERIES, f"az://dataset@{ACCOUNT}/big", sql, str(n_rows), str(n_runs)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.stderr == ""
    assert run.stdout == "12 columns\nended with 0\n" * n_runs


@pytest.mark.network
def test_the_real_edition_is_there() -> None:
    dataset = open_curated(CURATED_ROOT, "original", ["22"])
    assert {"names", "qual", "filters", "hashId", "genotypes", "INFO_AF"} < set(dataset.schema.names)
    views = curated_views(dataset)
    sql = "SELECT contig, ref, alt FROM curated_variants LIMIT 1"
    ((contig, ref, alt),) = run_query(Catalog("/no"), sql, extra={"curated": dataset}, views=views).rows()
    assert contig == "22"
    assert set(str(ref)) <= set("ACGTN")
    assert alt
