"""Aspera, planned: the one `ascp` command that brings files of an archive into a directory.

What the command consists of, by IBM's documentation of ascp 3.9 and 4.4 and the program's own ``--help``:

- ``-i FILE``: private key to log in with; the archives' accounts take the key that comes with every installation.
- ``-T``: no encryption; the data are public.
- ``-Q``: fair policy: the rate adapts to other traffic.
- ``-l 300M``: target rate in bits per second; the policy may stay below it.
- ``-k 3``: what came half way is resumed, what came whole is skipped, both only after the checksum of the whole file is
  the same at both ends. It has to be given the first time to help the second time.
- ``-P 33001``: TCP port for SSH; the data go by UDP, to the port of the same number by default.
- ``-L-``: the log goes to the terminal, as in IGSR's own example.
- ``--mode=recv --host=… --user=…``: take the paths of a list from that host, as that user.
- ``--partial-file-suffix=.partial``: a file has its own name only when it is whole.
- ``--file-pair-list=FILE``: lines in turn path there and path here, in UTF-8; ``-d``, make directories, is implied. One
  command, and so one log-in, brings them all, and their directories are kept, which ``--file-list`` would not do.

EBI's sequence archive has stopped to take the old DSA key (``asperaweb_id_dsa.openssh``) and wants the RSA key that
newer installations have; so the RSA keys are tried first.

None of this has been tried against a real server: the tests run a stand-in for `ascp` that takes these options only.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kgp.errors import EnvironmentProblem, InputError, UsageError
from kgp.io.transfers.common import check_entries, count_files
from kgp.io.urls import display_url, is_local, place_of
from kgp.sources import Door, Entry
from kgp.sources.paths import has_hidden, show_path

PARTIAL = ".partial"

_PORT = 33001
_ROOT = re.compile(r"(?P<user>[^@:/\s-][^@:/\s]*)@(?P<host>[^@:/\s-][^@:/\s]*):(?P<root>\S*)")
_RATE = re.compile(r"(?!0+(\.0+)?[KMG])\d+(\.\d+)?[KMG]", re.IGNORECASE)
_KEYS = (
    "aspera_bypass_rsa.pem",
    "aspera_tokenauth_id_rsa",
    "asperaweb_id_dsa.openssh",
    "aspera_bypass_dsa.pem",
    "aspera_tokenauth_id_dsa",
)
# Where Connect, the command-line tools, conda packages and the transfer server put programs and keys.
_PLACES = (
    "~/.aspera/connect/bin",
    "~/.aspera/connect/etc",
    "~/.aspera/sdk",
    "~/.aspera/cli/bin",
    "~/.aspera/cli/etc",
    "~/Applications/IBM Aspera Connect.app/Contents/Resources",
    "~/Applications/Aspera Connect.app/Contents/Resources",
    "/Applications/IBM Aspera Connect.app/Contents/Resources",
    "/Applications/Aspera Connect.app/Contents/Resources",
    "/opt/aspera/bin",
    "/opt/aspera/etc",
    "/opt/aspera/var",
)


@dataclass(frozen=True)
class AsperaPlan:
    """What shall be brought by `ascp`.

    Files come into a directory ``.kgp-aspera`` within the target's, so that both are on one file system, and move from
    there when they are checked (`kgp.io.transfers.ascp`).

    Args:
        program: path of `ascp`; None where it is not here.
        keys: key files that are here, the first of which is used.
        door: the door.
        user: whom the archive lets in.
        host: its server.
        root: path there, below which the archive's paths lie.
        directory: absolute path of the directory that they shall lie in.
        entries: the files.
        rate: target rate in bits per second, with K, M or G.
        missing: what has to be mended before it can run here, a sentence each.
    """

    program: str | None
    keys: tuple[str, ...]
    door: Door
    user: str
    host: str
    root: str
    directory: str
    entries: tuple[Entry, ...]
    rate: str
    missing: tuple[str, ...]

    @property
    def source(self) -> str:
        """The door, as messages name it."""
        return f"{self.user}@{self.host}:{self.root}"

    @property
    def tree(self) -> str:
        """Directory that `ascp` writes to; the archive's paths lie below it."""
        return os.path.join(self.directory, ".kgp-aspera", "tree")

    @property
    def list_path(self) -> str:
        """File that tells `ascp` what to bring."""
        return os.path.join(self.directory, ".kgp-aspera", "files.txt")

    def pairs(self, entries: Iterable[Entry] | None = None) -> Iterator[tuple[str, str]]:
        """For each file the path there and the path below `tree`."""
        prefix = f"{self.root.rstrip('/')}/" if self.root else ""
        for entry in self.entries if entries is None else entries:
            yield prefix + self.door.at_door(entry.path), entry.path

    def command(self) -> list[str]:
        """The words of the command; ``$ASPERA_KEY`` stands for a key that is not known."""
        key = self.keys[0] if self.keys else "$ASPERA_KEY"
        return [
            *(
                self.program or "ascp",
                "-i",
                key,
                "-T",
                "-Q",
                "-l",
                self.rate,
                "-k",
                "3",
                "-P",
                str(_PORT),
                "-L-",
            ),
            *(
                "--mode=recv",
                f"--host={self.host}",
                f"--user={self.user}",
                f"--partial-file-suffix={PARTIAL}",
            ),
            *(f"--file-pair-list={self.list_path}", self.tree),
        ]

    def text(self) -> str:
        """What a person can paste into a shell: it makes the list and runs the command."""
        command = " ".join(
            '"$ASPERA_KEY"' if word == "$ASPERA_KEY" else shlex.quote(word) for word in self.command()
        )
        return "\n".join(
            [
                f"# {count_files(self.entries)} from {self.source}",
                *(f"# {sentence}" for sentence in self.missing),
                f"mkdir -p {shlex.quote(self.tree)}",
                "{",
                *("printf '%s\\n' " + " ".join(map(shlex.quote, pair)) for pair in self.pairs()),
                f"}} > {shlex.quote(self.list_path)}",
                command,
                "# Then run the same kgp sync again: it checks what came and moves it into place.",
                "",
            ]
        )


def plan_aspera(
    door: Door, entries: Iterable[Entry], directory: str, *, rate: str = "300M", program: str | None = None
) -> AsperaPlan:
    """Plan to bring files by `ascp`. No network, and nothing is written.

    Args:
        door: a door whose root is ``user@host:path``.
        entries: what to bring, as another door of the archive lists it.
        directory: local directory, made where there is none.
        rate: target rate in bits per second, with K, M or G.
        program: path of `ascp`; None: as `find_ascp` finds it.

    Raises:
        InputError: the root is something else, the directory is not on a disk, or a path can't be asked for.
        UsageError: the rate is no rate.
        EnvironmentProblem: ``$ASCP`` names no program.
    """
    if (match := _ROOT.fullmatch(door.root)) is None:
        raise InputError("It is no Aspera door: its root is not user@host:path.", where=door.name)
    if not _RATE.fullmatch(rate):
        raise UsageError(f"This is no rate: {rate!a}.", mend="Say 300M for 300 megabits per second.")
    if not is_local(directory):
        raise InputError(
            "ascp brings files to a disk only.", where=display_url(directory), mend="Name a directory."
        )
    if has_hidden(directory):
        raise InputError("The directory has a control character in its name.", where=show_path(directory))
    program = program or find_ascp()
    keys = find_keys(program)
    return AsperaPlan(
        program=program,
        keys=keys,
        door=door,
        user=match["user"],
        host=match["host"],
        root=match["root"],
        directory=place_of(directory),
        entries=check_entries(entries, where=door.root),
        rate=rate,
        missing=tuple(_missing(program, keys)),
    )


def find_ascp() -> str | None:
    """Path of `ascp`: ``$ASCP``, or on the ``PATH``, or where its installations put it; None where it is not here.

    Raises:
        EnvironmentProblem: ``$ASCP`` names no program.
    """
    if named := os.environ.get("ASCP"):
        if found := shutil.which(os.path.expanduser(named)):
            return os.path.abspath(found)
        raise EnvironmentProblem(
            "$ASCP names no program that can be run.",
            where=named,
            mend="Set it to the path of ascp, or unset it.",
        )
    places = os.pathsep.join(map(os.path.expanduser, _PLACES))
    found = shutil.which("ascp") or shutil.which("ascp", path=places)
    return os.path.abspath(found) if found else None


def find_keys(program: str | None) -> tuple[str, ...]:
    """Key files that the archives' accounts may take, the most likely first: ``$ASPERA_KEY`` alone, if it is set.

    Args:
        program: path of `ascp`; keys lie near it.
    """
    if named := os.environ.get("ASPERA_KEY"):
        path = os.path.abspath(os.path.expanduser(named))
        return (path,) if os.path.isfile(path) else ()
    places = list(_key_places(program))
    paths = [os.path.join(place, name) for name in _KEYS for place in places]
    return tuple(dict.fromkeys(path for path in paths if os.path.isfile(path)))


def _key_places(program: str | None) -> Iterator[str]:
    if program is not None:
        for path in (os.path.abspath(program), os.path.realpath(program)):
            home = os.path.dirname(os.path.dirname(path))
            yield from (os.path.dirname(path), f"{home}/etc", f"{home}/etc/aspera")
    if conda := os.environ.get("CONDA_PREFIX"):
        yield from (f"{conda}/etc", f"{conda}/etc/aspera")
    yield from map(os.path.expanduser, _PLACES)


def _missing(program: str | None, keys: Sequence[str]) -> Iterator[str]:
    if program is None:
        yield (
            "ascp is not on the PATH, and ASCP is not set: install IBM Aspera Connect, "
            "or ascli and then: ascli config transferd install"
        )
    if not keys and os.environ.get("ASPERA_KEY"):
        yield "ASPERA_KEY names no file: set it to the key that came with ascp."
    elif not keys:
        yield f"No key file was found: set ASPERA_KEY to the one that came with ascp ({_KEYS[0]}, {_KEYS[2]})."
