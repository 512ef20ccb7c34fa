"""The doors of the archives, in order of preference within each archive; and doors that a person names by a URL."""

from __future__ import annotations

import dataclasses
import difflib
import re
from urllib.parse import urlsplit

from kgp.errors import UsageError
from kgp.sources.model import Door, DoorKind
from kgp.sources.paths import has_hidden

# The body of files that IGSR keeps, and that Microsoft, NCBI and AWS mirror.
G1K = "1000genomes"
CURATED = "curated"
DRAGEN = "dragen"  # DRAGEN 3.5.7b and 3.6.3
DRAGEN_3_7_6 = "dragen-3.7.6"
DRAGEN_4_4_7 = "dragen-4.4.7"
BIOSTUDIES = "biostudies"
GEO = "geo"

_TREE = "current.tree"

# Both mirrors have the 30x set at their top. NCBI has nothing else of data_collections/; AWS has keys of 0 bytes among
# the set's older phased files.
_30X = (("data_collections/1000G_2504_high_coverage/", "1000G_2504_high_coverage/"),)

# ArrayExpress' old tree: BioStudies' files as they were before it took them over. Where BioStudies has unpacked
# the submitters' zip files, this tree still has the zip files.
_ARRAYEXPRESS = (
    *(
        (f"E-GEUV-/00{n}/E-GEUV-{n}/Files/{inner}", f"GEUV/E-GEUV-{n}/{outer}")
        for n in (1, 2)
        for inner, outer in (
            ("", ""),
            *((f"E-GEUV-{n}/{name}/", f"{name}/") for name in ("analysis_results", "genotypes", "processed")),
        )
    ),
    *((f"E-MTAB-/{n}/E-MTAB-{n}/Files/", f"MTAB/E-MTAB-{n}/") for n in (197, 198, 264)),
    ("E-GEOD-/480/E-GEOD-19480/Files/", "GEOD/E-GEOD-19480/"),
)

DOORS: tuple[Door, ...] = (
    Door(
        "azure",
        "azure",
        "az://dataset@dataset1000genomes",
        G1K,
        "Azure Open Datasets, West US 2",
        tree=_TREE,
    ),
    Door(
        "azure-secondary",
        "azure",
        "az://dataset@dataset1000genomes-secondary",
        G1K,
        "Azure Open Datasets, West Central US",
        tree=_TREE,
    ),
    Door(
        "igsr-https",
        "https",
        "https://ftp.1000genomes.ebi.ac.uk/vol1/ftp",
        G1K,
        "IGSR at EMBL-EBI, where the files are made",
        tree=_TREE,
    ),
    Door(
        "igsr-ftp",
        "ftp",
        "ftp://ftp.1000genomes.ebi.ac.uk/vol1/ftp",
        G1K,
        "IGSR at EMBL-EBI, by FTP",
        tree=_TREE,
    ),
    # The README names ftp-trace.ncbi.nih.gov, a former name: NCBI's hosts are under ncbi.nlm.nih.gov today, and
    # ftp.ncbi.nlm.nih.gov/1000genomes/ftp serves the same body of files. Whether its current.tree is kept is unsure.
    Door(
        "ncbi-https",
        "https",
        "https://ftp.ncbi.nlm.nih.gov/1000genomes/ftp",
        G1K,
        "NCBI's mirror",
        tree=_TREE,
        moved=_30X,
    ),
    Door(
        "ncbi-ftp",
        "ftp",
        "ftp://ftp.ncbi.nlm.nih.gov/1000genomes/ftp",
        G1K,
        "NCBI's mirror, by FTP",
        tree=_TREE,
        moved=_30X,
    ),
    # A copy that is no longer renewed, without a current.tree at its top.
    Door("aws", "s3", "s3://1000genomes", G1K, "AWS Open Data, us-east-1", moved=_30X),
    Door(
        "aspera",
        "aspera",
        "fasp-g1k@fasp.1000genomes.ebi.ac.uk:vol1/ftp",
        G1K,
        "IGSR at EMBL-EBI, by Aspera",
        tree=_TREE,
    ),
    # Unsure: IGSR's page still names the collection so, but Globus knows collections by UUID today, and the path
    # within the collection is not documented. Where it has changed: --door globus=globus://UUID/PATH.
    Door("globus", "globus", "globus://ebi#1000genomes", G1K, "IGSR at EMBL-EBI, by Globus", tree=_TREE),
    Door(
        "curated",
        "azure",
        "az://dataset@curated1000genomes",
        CURATED,
        "Azure Open Datasets, the Parquet edition, East US",
    ),
    Door("aws-dragen", "s3", "s3://1000genomes-dragen", DRAGEN, "Illumina on AWS, DRAGEN 3.5.7b and 3.6.3"),
    Door(
        "aws-dragen-3.7.6",
        "s3",
        "s3://1000genomes-dragen-v3.7.6",
        DRAGEN_3_7_6,
        "Illumina on AWS, DRAGEN 3.7.6, us-east-1",
    ),
    Door(
        "aws-dragen-3.7.6-west",
        "s3",
        "s3://1000genomes-dragen-3.7.6",
        DRAGEN_3_7_6,
        "Illumina on AWS, DRAGEN 3.7.6, us-west-2",
    ),
    Door(
        "aws-dragen-4.4.7",
        "s3",
        "s3://1000genomes-dragen-v4-4-7",
        DRAGEN_4_4_7,
        "Illumina on AWS, DRAGEN 4.4.7",
    ),
    Door(
        "biostudies-https",
        "https",
        "https://ftp.ebi.ac.uk/biostudies/fire",
        BIOSTUDIES,
        "BioStudies at EMBL-EBI, which keeps ArrayExpress",
    ),
    Door(
        "biostudies-ftp",
        "ftp",
        "ftp://ftp.ebi.ac.uk/biostudies/fire",
        BIOSTUDIES,
        "BioStudies at EMBL-EBI, by FTP",
    ),
    Door(
        "arrayexpress-https",
        "https",
        "https://ftp.ebi.ac.uk/pub/databases/microarray/data/experiment",
        BIOSTUDIES,
        "ArrayExpress' old tree at EMBL-EBI",
        moved=_ARRAYEXPRESS,
    ),
    Door(
        "arrayexpress-ftp",
        "ftp",
        "ftp://ftp.ebi.ac.uk/pub/databases/microarray/data/experiment",
        BIOSTUDIES,
        "ArrayExpress' old tree at EMBL-EBI, by FTP",
        moved=_ARRAYEXPRESS,
    ),
    Door("geo-https", "https", "https://ftp.ncbi.nlm.nih.gov/geo/series", GEO, "GEO at NCBI"),
    Door("geo-ftp", "ftp", "ftp://ftp.ncbi.nlm.nih.gov/geo/series", GEO, "GEO at NCBI, by FTP"),
)

PUBLIC_ACCOUNTS = frozenset(
    door.root.partition("@")[2].partition("/")[0] for door in DOORS if door.kind == "azure"
)

PUBLIC_BUCKETS = frozenset(urlsplit(door.root).netloc for door in DOORS if door.kind == "s3")

_KINDS: dict[str, DoorKind] = {
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
    "wasb": "azure",
    "wasbs": "azure",
    "https": "https",
    "http": "https",
    "ftp": "ftp",
    "s3": "s3",
    "file": "file",
    "globus": "globus",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ASPERA = re.compile(r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+:(?!//)\S*")
_AZURE_HOST = re.compile(r"[a-z0-9-]+\.(?:blob|dfs)\.core\.[a-z.]+")


def doors_of(archive: str) -> tuple[Door, ...]:
    """The doors of an archive, the preferred one first."""
    return tuple(door for door in DOORS if door.archive == archive)


def open_url_door(text: str, *, archive: str = G1K) -> Door:
    """The door that ``--door`` names.

    Args:
        text: ``NAME``, a known door; or ``NAME=URL``, a door of one's own or a known one at another address. A URL
            may be a directory, or ``user@host:path`` for Aspera.
        archive: the body of files that a door of one's own serves.

    Raises:
        UsageError: there is no such door; nobody knows this kind of URL; there is a credential in it.
    """
    name, is_given, url = text.partition("=")
    if not _NAME.fullmatch(name):
        # The text is not repeated: it may be a URL with a signature in it.
        raise UsageError(
            "That is no name of a door.",
            where="--door",
            mend="Write NAME, or NAME=URL for an address of your own.",
        )
    known = next((door for door in DOORS if door.name == name.lower()), None)
    if not is_given:
        if known is None:
            raise UsageError(f"There is no door '{name}'.", where="--door", mend=_advice(name))
        return known
    kind, root = _parse_address(name, url)
    if known is not None:
        return dataclasses.replace(known, kind=kind, root=root, title=f"{known.title}, at an address given")
    return Door(name, kind, root, archive, "an address given", tree=_TREE if archive == G1K else None)


def _parse_address(name: str, url: str) -> tuple[DoorKind, str]:
    """Kind and root of a door's address.

    Raises:
        UsageError: as `open_url_door`.
    """
    where = f"--door {name}"
    if not url.strip() or has_hidden(url):
        raise UsageError(
            "Its address is empty, or holds control characters.", where=where, mend="Write NAME=URL."
        )
    if "://" not in url:
        if _ASPERA.fullmatch(url):
            return "aspera", url.rstrip("/")
        if re.match(r"[^/\s]*:[^/\s]*@", url):
            raise _has_credential(where)
        return "file", url.rstrip("/") or "/"
    scheme = url.partition("://")[0].lower()
    if scheme not in _KINDS:
        raise UsageError(
            f"Nobody knows URLs of the scheme '{scheme}'." if scheme.isalnum() else "Its address is no URL.",
            where=where,
            mend=f"Known are {', '.join(f'{known}://' for known in _KINDS)}, a directory, and user@host:path.",
        )
    kind = _KINDS[scheme]
    if kind == "file":
        return kind, url.rstrip("/")
    # The name of a Globus collection may hold what begins a fragment elsewhere.
    bare, _, fragment = (url, "", "") if kind == "globus" else url.partition("#")
    user, _, host = bare.partition("://")[2].partition("/")[0].rpartition("@")
    if "?" in bare or fragment or ":" in user or (user and kind in ("https", "ftp", "s3")):
        raise _has_credential(where)
    if not host:
        raise UsageError("Its URL names no host.", where=where, mend="Write NAME=scheme://host/path.")
    if scheme == "https" and _AZURE_HOST.fullmatch(urlsplit(bare).hostname or ""):
        kind = "azure"
    return kind, bare.rstrip("/")


def _has_credential(where: str) -> UsageError:
    return UsageError(
        "Its URL has a user, a password, or a query.",
        where=where,
        mend="Credentials come from the environment only: give the URL without them.",
    )


def _advice(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), [door.name for door in DOORS], n=3, cutoff=0.5)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    return f"{meant}`kgp sources` lists the doors; an address of your own is NAME=URL."
