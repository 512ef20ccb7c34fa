"""Several files loaded as one: what the load is called and identified by. `kgp load variants --merge` asks here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from kgp.io.storage import content_id, file_size
from kgp.io.urls import place_of
from kgp.io.vcf.merge_header import MergedHeader, read_merged_header
from kgp.job import Context
from kgp.jobs.ledger import FileLoad, identify_load
from kgp.params import LoadVariants
from kgp.tables import VARIANTS


def plan_merge(
    context: Context, params: LoadVariants, *, build: str, selection: Mapping[str, str]
) -> FileLoad:
    """Identify a set of files by the content of each, their order and what a missing row means in them.

    The same files in another order are another load, as their samples are in another order.

    Args:
        context: of the job.
        params: the options.
        build: name of the reference build.
        selection: what is asked of the files.
    """
    contents = [content_id(url) for url in params.vcf]
    return identify_load(
        context,
        url="",
        path=name_merge(list(map(place_of, params.vcf))),
        size=sum(map(file_size, params.vcf)),
        content=f"merged:{params.absent}:{_digest(contents)}",
        target=VARIANTS.name,
        subject=params.callset,
        build=build,
        selection=selection,
    )


def read_headers(load: FileLoad, params: LoadVariants) -> MergedHeader:
    """The headers of all files; their common one says which they are, and what a missing row means."""
    sources = [
        f'##kgpMerged=<ID={n},File="{place_of(url)}",Absent={params.absent}>'
        for n, url in enumerate(params.vcf, start=1)
    ]
    return read_merged_header(params.vcf, where=load.path, sources=sources)


def name_merge(paths: Sequence[str]) -> str:
    """What a set of files is called: its first file, how many more there are and a digest of all their paths.

    >>> name_merge(["a.vcf", "b.vcf"])
    'a.vcf + 1 merged (5097e017)'
    """
    return f"{paths[0]} + {len(paths) - 1} merged ({_digest(paths)[:8]})"


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
