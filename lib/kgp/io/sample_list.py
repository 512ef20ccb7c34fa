"""The samples that a person names on the command line: a file with one a line, or ids joined by commas."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from kgp.errors import InputError, UsageError
from kgp.io.storage import exists, open_binary
from kgp.io.urls import display_url

_FLAG = "--samples"


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
        hints = []
        for name in unknown[:3]:
            near = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
            hints.append(f"{name} (perhaps {' or '.join(near)})" if near else name)
        more = f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else ""
        raise InputError(
            f"{owner[0].upper()}{owner[1:]} has no sample {', '.join(hints)}{more}.",
            where=_FLAG,
            mend=f'It has {len(known):,} samples: kgp query "SELECT sample_id FROM callset_samples".',
        )
    return tuple(place[name] for name in wanted)
