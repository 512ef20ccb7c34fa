"""Aspera and Globus against stand-ins: a program that plays `ascp`, and a server that plays the Transfer API."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgp.errors import EnvironmentProblem, InputError, KgpError, UsageError
from kgp.io.transfers import (
    AsperaPlan,
    Progress,
    Skipped,
    collect_aspera,
    find_ascp,
    find_keys,
    has_globus_credentials,
    plan_aspera,
    plan_globus,
    run_aspera,
    run_globus,
)
from kgp.sources import Door, Entry, check_path
from servers.globus import SCOPE, GlobusServer

ASPERA = Door("igsr-aspera", "aspera", "fasp-g1k@fasp.example.org:vol1/ftp", "1000genomes", "IGSR")
KEY = "the key that came with ascp"

# The stand-in takes what `ascp --help` lists (version 3.8), with -Q as IGSR's example has it, and nothing else.
# It "receives" from the directory $STANDIN_SERVER; $STANDIN_FAULT makes it misbehave: `kind` or `kind:path`.
STANDIN = r"""
import hashlib, json, os, signal, sys, time

FLAGS = "TdpqvQ6"
VALUED = "lmuikwKZgGLRSeOPCNEfWXc"
LONG = {
    "mode", "user", "host", "policy", "file-list", "file-pair-list", "source-prefix", "symbolic-links",
    "file-manifest", "file-manifest-path", "overwrite", "file-checksum", "partial-file-suffix", "src-base",
}

def stop(reason, code=1):
    print(f"ascp: {reason}, exiting.", file=sys.stderr)
    print(f"\r\nSession Stop  (Error: {reason})")
    sys.exit(code)

def parse(words):
    options, rest, at = {}, [], 0
    while at < len(words):
        word = words[at]
        at += 1
        if word.startswith("--"):
            name, has_value, value = word[2:].partition("=")
            if name not in LONG:
                stop(f"unrecognized option --{name}")
            if not has_value:
                value, at = words[at], at + 1
            options[name] = value
        elif word.startswith("-") and len(word) > 1:
            letters = word[1:]
            while letters:
                letter, letters = letters[0], letters[1:]
                if letter in FLAGS:
                    options[letter] = True
                elif letter in VALUED:
                    if not letters:
                        letters, at = words[at], at + 1
                    options[letter], letters = letters, ""
                else:
                    stop(f"invalid option -- {letter}")
        else:
            rest.append(word)
    return options, rest

options, rest = parse(sys.argv[1:])
note = {"argv": sys.argv[1:], "pid": os.getpid(), "sent": []}
kind, _, victim = os.environ.get("STANDIN_FAULT", "").partition(":")

def write_note():
    with open(os.environ["STANDIN_LOG"], "a") as log:
        log.write(json.dumps(note) + "\n")

if options.get("mode") != "recv" or "host" not in options or "user" not in options or len(rest) != 1:
    stop("usage")
if not os.path.isfile(options["i"]):
    stop(f"Private key file not found at path {options['i']}")
server = os.environ["STANDIN_SERVER"]
if open(options["i"]).read() != open(os.path.join(server, "accepted.key")).read():
    print("Password:")
    if sys.stdin.read() == "":
        stop("failed to authenticate")
print("LOG FASP Session Start", file=sys.stderr)

lines = open(options["file-pair-list"], encoding="utf-8").read().split("\n")
if lines.pop() or len(lines) % 2:
    stop("file pair list is not in pairs")
suffix = options.get("partial-file-suffix", "")
n_failed = total = 0
for there, here in zip(lines[::2], lines[1::2]):
    source, target = os.path.join(server, there), os.path.join(rest[0], here)
    is_victim = victim == here
    if not os.path.isfile(source):
        n_failed += 1
        continue
    data = open(source, "rb").read()
    if is_victim and kind == "truncate":
        data = data[: len(data) // 2]
    elif is_victim and kind == "flip":
        data = bytes([data[0] ^ 1]) + data[1:]
    elif is_victim and kind == "empty":
        data = b""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if is_victim and kind == "directory":
        os.makedirs(target)
        continue
    if options.get("k") == "3" and os.path.isfile(target) and open(target, "rb").read() == data:
        note["sent"].append([here, len(data), "skipped"])
        continue
    start = 0
    if options.get("k") == "3" and os.path.exists(target + ".aspx") and os.path.exists(target + suffix):
        had = open(target + suffix, "rb").read()
        start = len(had) if data.startswith(had) else 0
    with open(target + suffix, "r+b" if start else "wb") as out, open(target + ".aspx", "w") as mark:
        out.seek(start)
        mark.write("checkpoint")
        mark.flush()
        for at in range(start, len(data), 1000):
            out.write(data[at : at + 1000])
            out.flush()
            print(f"{here} {100 * at // len(data)}% {at}B 96.7Mb/s 45:03 ETA", end="\r", flush=True)
            if is_victim and kind in ("die", "hang") and at >= len(data) // 2:
                write_note()
                if kind == "hang":
                    print("hanging", flush=True)
                    time.sleep(60)
                os.kill(os.getpid(), signal.SIGKILL)
            if os.environ.get("STANDIN_SLOW"):
                time.sleep(0.01)
    if is_victim and kind == "lost":
        write_note()
        stop("Session data transfer timeout")
    os.remove(target + ".aspx")
    os.replace(target + suffix, target)
    total += len(data) - start
    note["sent"].append([here, len(data) - start, "resumed" if start else "whole"])
write_note()
if n_failed:
    print(f"Partial Completion: {total // 1024}K bytes transferred in 1 seconds")
    print(f" (1K bits/sec), in {len(lines) // 2 - n_failed} files; {n_failed} files failed.")
    print("\r\nSession Stop  (Error: Server aborted session: No such file or directory)")
    sys.exit(1)
print(f"Completed: {total // 1024}K bytes transferred in 1 seconds")
"""

CONTENT = {
    "release/a.vcf.gz": b"a" * 5000,
    "release/b c/it's $HOME.txt": b"b" * 3210,
    'technical/"x"; `y`.txt': b"c" * 12,
    "top": b"d" * 40_000,
}


def entry(path: str, data: bytes, *, has_md5: bool = True) -> Entry:
    return Entry(path, len(data), hashlib.md5(data, usedforsecurity=False).hexdigest() if has_md5 else None)


ENTRIES = [entry(path, data) for path, data in CONTENT.items()]


@dataclass
class Ascp:
    """The stand-in, installed; its server's files lie below `server`."""

    program: Path
    key: Path
    server: Path
    log: Path
    target: Path

    @property
    def runs(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def plan(self, entries: list[Entry] | None = None) -> AsperaPlan:
        return plan_aspera(ASPERA, ENTRIES if entries is None else entries, str(self.target))

    def in_place(self) -> dict[str, bytes]:
        """Files below the target that are not in a hidden directory."""
        return {
            str(path.relative_to(self.target)): path.read_bytes()
            for path in self.target.rglob("*")
            if path.is_file() and not path.relative_to(self.target).parts[0].startswith(".")
        }


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without ascp: an empty home and no variable that names a program or a key."""
    for name in ("ASCP", "ASPERA_KEY", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path


@pytest.fixture
def ascp(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Ascp:
    program, key = bare / "opt" / "bin" / "ascp", bare / "opt" / "etc" / "aspera_tokenauth_id_rsa"
    for path, text in ((program, f"#!{sys.executable} -IS\n{STANDIN}"), (key, KEY)):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    program.chmod(0o755)
    server = bare / "server"
    for name, data in CONTENT.items():
        (server / "vol1" / "ftp" / name).parent.mkdir(parents=True, exist_ok=True)
        (server / "vol1" / "ftp" / name).write_bytes(data)
    (server / "accepted.key").write_text(KEY)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("STANDIN_SERVER", str(server))
    monkeypatch.setenv("STANDIN_LOG", str(bare / "log"))
    monkeypatch.delenv("STANDIN_FAULT", raising=False)
    return Ascp(program, key, server, bare / "log", bare / "my target's $dir")


# ------------------------------------------------------------------------------------------------- ascp: what is run


def test_one_command_brings_all_files_in_their_directories(ascp: Ascp):
    lines: list[str] = []
    plan = ascp.plan()
    result = run_aspera(plan, on_line=lines.append)
    assert ascp.in_place() == CONTENT
    assert [one.path for one in result.arrived] == list(CONTENT)
    assert result.n_bytes == sum(map(len, CONTENT.values()))
    assert len(ascp.runs) == 1
    assert ascp.runs[0]["argv"] == [
        *("-i", str(ascp.key), "-T", "-Q", "-l", "300M", "-k", "3", "-P", "33001", "-L-"),
        *("--mode=recv", "--host=fasp.example.org", "--user=fasp-g1k", "--partial-file-suffix=.partial"),
        f"--file-pair-list={ascp.target}/.kgp-aspera/files.txt",
        f"{ascp.target}/.kgp-aspera/tree",
    ]
    assert "LOG FASP Session Start" in lines
    assert lines[-1].startswith("Completed: ")
    assert "release/a.vcf.gz 20% 1000B 96.7Mb/s 45:03 ETA" in lines  # ends with a carriage return
    assert not (ascp.target / ".kgp-aspera").exists()


def test_progress_grows_with_the_files(ascp: Ascp, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STANDIN_SLOW", "1")
    seen: list[Progress] = []
    run_aspera(ascp.plan(), on_progress=seen.append, poll_seconds=0.02)
    sizes = [progress.n_bytes for progress in seen]
    assert len(set(sizes)) > 3
    assert sizes == sorted(sizes)
    assert seen[-1] == Progress(4, 48_222)
    assert [progress.n_files for progress in seen] == sorted(progress.n_files for progress in seen)


def test_the_text_does_in_a_shell_what_the_plan_does_and_its_files_are_collected(ascp: Ascp):
    plan = ascp.plan()
    subprocess.run(["/bin/sh", "-eu"], input=plan.text(), text=True, check=True, capture_output=True)
    assert ascp.in_place() == {}
    collected = collect_aspera(plan)
    assert (len(collected.arrived), collected.faults) == (4, {})
    assert ascp.in_place() == CONTENT


def test_files_that_lie_aside_whole_are_not_asked_for_again(ascp: Ascp):
    plan = ascp.plan()
    aside = Path(plan.tree) / "release" / "a.vcf.gz"
    aside.parent.mkdir(parents=True)
    aside.write_bytes(CONTENT["release/a.vcf.gz"])
    seen: list[Progress] = []
    run_aspera(plan, on_progress=seen.append)
    assert [path for path, _, _ in ascp.runs[0]["sent"]] == list(CONTENT)[1:]
    assert ascp.in_place() == CONTENT
    assert seen[-1] == Progress(4, 48_222)
    ascp.log.unlink()
    subprocess.run(["/bin/sh"], input=plan.text(), text=True, check=True, capture_output=True)
    ascp.log.unlink()
    assert len(run_aspera(plan).arrived) == 4
    assert ascp.runs == []


def is_fit(path: str) -> bool:
    try:
        check_path(path)
    except InputError:
        return False
    return True


ANY_NAME = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/"),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(ANY_NAME.map(str.strip), min_size=1, max_size=3).map("/".join).filter(is_fit)


@settings(max_examples=60, deadline=None)
@given(st.lists(PATHS, min_size=1, max_size=4, unique=True), ANY_NAME)
@example(["a b", "it's", '"', "$HOME", "`id`", "-n", "#x", "%s", "!", "~", "é"], 'it\'s $1 \\n "dir"')
def test_every_name_survives_the_shell(paths: list[str], name: str):
    paths = [path for path in paths if not any(other.startswith(path + "/") for other in paths)]
    plan = plan_aspera(
        ASPERA, [Entry(path, 1) for path in paths], f"/tmp/kgp-never-made/{name}", program="/opt/a b/ascp"
    )
    pairs = [word for path in paths for word in (f"vol1/ftp/{path}", path)]
    words = shlex.split(plan.text(), comments=True)
    assert words[:3] == ["mkdir", "-p", f"/tmp/kgp-never-made/{name}/.kgp-aspera/tree"]
    told = [word for n, word in enumerate(words[4:]) if n < 4 * len(paths) and n % 4 > 1]
    assert told == pairs
    assert words[-len(plan.command()) :] == plan.command()
    assert plan.command()[-1] == words[2]
    # A real shell, printing the list instead of writing it.
    block = plan.text().partition("{\n")[2].rpartition("\n} > ")[0]
    printed = subprocess.run(["/bin/sh", "-c", block], capture_output=True, check=True).stdout.decode()
    assert printed == "".join(f"{word}\n" for word in pairs)


# ---------------------------------------------------------------------------------------------- ascp: what goes wrong


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("truncate", "release/a.vcf.gz came with 2,500 bytes instead of 5,000"),
        ("flip", "release/a.vcf.gz came with the MD5 "),
        ("empty", "release/a.vcf.gz came empty"),
        ("directory", "release/a.vcf.gz is no file"),
    ],
)
def test_a_file_that_came_wrong_is_not_put_in_place(
    ascp: Ascp, monkeypatch: pytest.MonkeyPatch, fault: str, text: str
):
    old = ascp.target / "release" / "a.vcf.gz"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of last year")
    monkeypatch.setenv("STANDIN_FAULT", f"{fault}:release/a.vcf.gz")
    with pytest.raises(InputError) as problem:
        run_aspera(ascp.plan())
    assert text in str(problem.value)
    assert "1 of 4 files did not arrive" in str(problem.value)
    assert "exit code 0, as if all was well" in str(problem.value)
    assert ascp.in_place() == CONTENT | {"release/a.vcf.gz": b"of last year"}
    monkeypatch.delenv("STANDIN_FAULT")
    run_aspera(ascp.plan())
    assert ascp.in_place() == CONTENT
    assert ["release/a.vcf.gz", 5000, "whole"] in ascp.runs[-1]["sent"]


def test_a_transfer_that_breaks_off_is_resumed(ascp: Ascp, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STANDIN_FAULT", "die:top")
    with pytest.raises(InputError) as problem:
        run_aspera(ascp.plan())
    assert "1 of 4 files did not arrive: top came half way." in str(problem.value)
    assert f"signal {int(signal.SIGKILL)}" in str(problem.value)
    assert "Run it again" in str(problem.value)
    assert "top" not in ascp.in_place()
    assert (ascp.target / ".kgp-aspera" / "tree" / "top.partial").stat().st_size >= 20_000
    monkeypatch.delenv("STANDIN_FAULT")
    run_aspera(ascp.plan(ENTRIES[-1:]))
    [[path, n_bytes, how]] = ascp.runs[-1]["sent"]
    assert (path, how) == ("top", "resumed")
    assert n_bytes <= 20_000
    assert ascp.in_place() == CONTENT
    assert not (ascp.target / ".kgp-aspera").exists()


def test_several_faults_are_one_error(ascp: Ascp):
    absent = [Entry(f"absent/{n}", 1, "0" * 32) for n in range(12)]
    with pytest.raises(InputError) as problem:
        run_aspera(ascp.plan([*ENTRIES, *absent]))
    text = str(problem.value)
    assert "12 of 16 files did not arrive: absent/0 did not come; absent/1 did not come; " in text
    assert "absent/9 did not come; and 2 more." in text
    assert (
        "exit code 1: Server aborted session: No such file or directory. The server has no such file" in text
    )
    assert text.startswith("fasp-g1k@fasp.example.org:vol1/ftp: ")
    assert ascp.in_place() == CONTENT


def test_without_md5_a_file_counts_only_if_ascp_ended_well(ascp: Ascp, monkeypatch: pytest.MonkeyPatch):
    entries = [entry(path, data, has_md5=False) for path, data in CONTENT.items()]
    monkeypatch.setenv("STANDIN_FAULT", "lost:top")
    with pytest.raises(InputError) as problem:
        run_aspera(ascp.plan(entries))
    assert "4 of 4 files did not arrive" in str(problem.value)
    assert "nobody states its MD5, and ascp did not end well" in str(problem.value)
    assert ascp.in_place() == {}
    monkeypatch.delenv("STANDIN_FAULT")
    run_aspera(ascp.plan(entries))
    assert [how for _, _, how in ascp.runs[-1]["sent"]] == ["skipped", "skipped", "skipped", "resumed"]
    assert ascp.in_place() == CONTENT


def test_size_alone_is_checked_where_there_is_no_md5(ascp: Ascp):
    with pytest.raises(InputError, match="top came with 40,000 bytes instead of 39,999"):
        run_aspera(ascp.plan([Entry("top", 39_999)]))
    assert ascp.in_place() == {}
    run_aspera(ascp.plan([Entry("top", None)]))
    assert ascp.in_place() == {"top": CONTENT["top"]}


def test_a_refused_key_is_explained_and_no_password_is_waited_for(ascp: Ascp):
    (ascp.server / "accepted.key").write_text("another")
    other = ascp.key.with_name("asperaweb_id_dsa.openssh")
    other.write_text("old")
    reader, writer = os.pipe()
    os.write(writer, b"what a person would type")
    os.close(writer)
    own = os.dup(0)
    os.dup2(reader, 0)
    try:
        with pytest.raises(InputError) as problem:
            run_aspera(ascp.plan())
    finally:
        os.dup2(own, 0)
        os.close(own)
        os.close(reader)
    assert "exit code 1: failed to authenticate. The server does not take the key" in str(problem.value)
    assert f"Other keys that are here: {other}." in str(problem.value)


def test_when_stopped_ascp_stops_and_what_came_is_kept(ascp: Ascp, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STANDIN_FAULT", "hang:top")

    def interrupt(line: str) -> None:
        if line == "hanging":
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_aspera(ascp.plan(), on_line=interrupt)
    assert time.monotonic() - started < 5
    with pytest.raises(ProcessLookupError):
        os.kill(ascp.runs[0]["pid"], 0)
    assert (ascp.target / ".kgp-aspera" / "tree" / "top.partial").exists()
    assert "top" not in ascp.in_place()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("../../etc/passwd", "has the component '..'"),
        ("a/./b", "has the component '.'"),
        ("/etc/passwd", "is absolute"),
        ("a//b", "has the component ''"),
        ("", "is empty"),
        ("a\nb", "holds a control character"),
        ("a\x1b[2Jb", "holds a control character"),
        ("a\udcffb", "holds a control character"),
        ("top", "comes twice"),
        ("top/below", "is a file and a directory"),
    ],
)
def test_paths_that_no_archive_has_are_refused_by_both(ascp: Ascp, path: str, text: str):
    entries = [*ENTRIES, Entry(path, 1)]
    with pytest.raises(InputError) as problem:
        ascp.plan(entries)
    assert text in str(problem.value)
    assert str(problem.value).isprintable()
    with pytest.raises(InputError, match=text):
        plan_globus(GLOBUS, entries, f"globus://{TARGET}/")
    assert not ascp.target.exists()


def test_a_directory_in_place_of_a_file_stops_it_before_anything_is_written(ascp: Ascp):
    (ascp.target / "top").mkdir(parents=True)
    with pytest.raises(InputError, match="directory in place of a file"):
        run_aspera(ascp.plan())
    assert os.listdir(ascp.target) == ["top"]
    assert ascp.runs == []


def test_a_target_that_is_a_file_is_refused(ascp: Ascp):
    ascp.target.write_text("a file")
    with pytest.raises(InputError, match="It can't be written"):
        run_aspera(ascp.plan())
    assert ascp.target.read_text() == "a file"


def test_bad_plans(ascp: Ascp):
    for rate in ("300", "fast", "0M", "300M; rm", "-1M"):
        with pytest.raises(UsageError, match="no rate"):
            plan_aspera(ASPERA, ENTRIES, "/tmp", rate=rate)
    assert plan_aspera(ASPERA, ENTRIES, "/tmp", rate="1.5G").command()[6] == "1.5G"
    assert plan_aspera(ASPERA, ENTRIES, "file:///tmp/x").directory == "/tmp/x"
    with pytest.raises(InputError, match="to a disk only"):
        plan_aspera(ASPERA, ENTRIES, "az://container/path?sig=secret")
    with pytest.raises(InputError, match="nothing to transfer"):
        plan_aspera(ASPERA, [], "/tmp")
    for root in ("https://host/path", "host:path", "-oProxyCommand=x@host:path", "me@-host:path"):
        with pytest.raises(InputError, match="no Aspera door"):
            plan_aspera(Door("x", "aspera", root, "1000genomes", "X"), ENTRIES, "/tmp")


# ------------------------------------------------------------------------------------------ ascp: where it is found


def test_without_ascp_the_plan_says_what_is_missing_and_does_not_run(bare: Path):
    plan = plan_aspera(ASPERA, ENTRIES, str(bare / "target"))
    assert (plan.program, plan.keys) == (None, ())
    assert find_ascp() is None
    text = plan.text()
    assert "# ascp is not on the PATH" in text
    assert "# No key file was found: set ASPERA_KEY" in text
    assert 'ascp -i "$ASPERA_KEY" -T' in text
    with pytest.raises(EnvironmentProblem, match="install IBM Aspera Connect"):
        run_aspera(plan)
    assert not (bare / "target").exists()


def test_the_program_is_found(bare: Path, monkeypatch: pytest.MonkeyPatch):
    def install(path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    connect = install(bare / "home" / ".aspera" / "connect" / "bin" / "ascp")
    assert find_ascp() == str(connect)
    on_path = install(bare / "bin" / "ascp")
    monkeypatch.setenv("PATH", f"{bare}/bin:/usr/bin:/bin")
    assert find_ascp() == str(on_path)
    named = install(bare / "mine" / "ascp4.4")
    monkeypatch.setenv("ASCP", str(named))
    assert find_ascp() == str(named)
    named.chmod(0o644)
    with pytest.raises(EnvironmentProblem, match="names no program"):
        find_ascp()


def test_keys_are_found_near_the_program_and_where_installations_put_them(
    bare: Path, monkeypatch: pytest.MonkeyPatch
):
    def put(path: str) -> str:
        (bare / path).parent.mkdir(parents=True, exist_ok=True)
        (bare / path).write_text(KEY)
        return str(bare / path)

    program = str(bare / "opt" / "bin" / "ascp")
    old = put("home/.aspera/connect/etc/asperaweb_id_dsa.openssh")
    assert find_keys(program) == (old,)
    near = put("opt/etc/asperaweb_id_dsa.openssh")
    assert find_keys(program) == (near, old)
    rsa = put("home/.aspera/sdk/aspera_bypass_rsa.pem")
    assert find_keys(program) == (rsa, near, old)
    monkeypatch.setenv("CONDA_PREFIX", str(bare / "conda"))
    conda = put("conda/etc/aspera/aspera_bypass_rsa.pem")
    assert find_keys(None) == (conda, rsa, old)
    monkeypatch.setenv("ASPERA_KEY", put("mine.pem"))
    assert find_keys(program) == (str(bare / "mine.pem"),)
    monkeypatch.setenv("ASPERA_KEY", str(bare / "nothing"))
    plan = plan_aspera(ASPERA, ENTRIES, str(bare / "target"), program=program)
    assert (plan.keys, plan.missing) == (
        (),
        ("ASPERA_KEY names no file: set it to the key that came with ascp.",),
    )


def test_a_program_that_cannot_be_started_is_explained(bare: Path):
    program, key = bare / "ascp", bare / "aspera_bypass_rsa.pem"
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    key.write_text(KEY)
    plan = plan_aspera(ASPERA, ENTRIES, str(bare / "target"), program=str(program))
    with pytest.raises(EnvironmentProblem, match="can't be started"):
        run_aspera(plan)
    assert os.listdir(bare / "target") == []


# -------------------------------------------------------------------------------------------------------------- Globus

SOURCE = "ddb59aef-6d04-11e5-ba46-22000b92c6ec"
TARGET = "0b7f1f2c-93a1-4a3d-8a6e-6b6f2f3f1a11"
GLOBUS = Door("igsr-globus", "globus", "globus://ebi#1000genomes/vol1/ftp", "1000genomes", "IGSR by Globus")
CANARY = "canary-7f3a-must-never-be-seen"
EBI = {
    "DATA_TYPE": "endpoint",
    "id": SOURCE,
    "display_name": "Shared EMBL-EBI public endpoint",
    "canonical_name": "ebi#1000genomes",
    "entity_type": "GCSv5_mapped_collection",
}


@pytest.fixture
def globus(monkeypatch: pytest.MonkeyPatch) -> Iterator[GlobusServer]:
    files = {f"/vol1/ftp/{path}": data for path, data in CONTENT.items()}
    with GlobusServer(SOURCE, files, CANARY) as server:
        server.collections = [EBI]
        for name in ("GLOBUS_CLIENT_ID", "GLOBUS_CLIENT_SECRET"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {**server.environment, "GLOBUS_TRANSFER_TOKEN": CANARY}.items():
            monkeypatch.setenv(name, value)
        yield server


def globus_plan(entries: list[Entry] | None = None, *, door: Door = GLOBUS, path: str = "/~/g1k/"):
    return plan_globus(
        door, ENTRIES if entries is None else entries, f"globus://{TARGET}{path}", source="phase3"
    )


def test_files_are_submitted_watched_and_counted(globus: GlobusServer):
    seen: list[Progress] = []
    lines: list[str] = []
    result = run_globus(globus_plan(), on_progress=seen.append, on_line=lines.append, poll_seconds=0.01)
    [document] = globus.documents
    # Versions of globus-sdk differ in the defaults that they spell out.
    assert not document.pop("delete_destination_extra", False)
    assert all(document.pop(f"notify_on_{event}", True) for event in ("succeeded", "failed", "inactive"))
    assert len(document.pop("submission_id")) == 36
    assert globus.asked("/submission_id")
    for item in document["DATA"]:
        assert not item.pop("recursive", False)
    assert document == {
        "DATA_TYPE": "transfer",
        "source_endpoint": SOURCE,
        "destination_endpoint": TARGET,
        "label": "kgp sync phase3",
        "sync_level": 3,
        "verify_checksum": True,
        "preserve_timestamp": True,
        "encrypt_data": False,
        "fail_on_quota_errors": True,
        "skip_source_errors": True,
        "DATA": [
            {
                "DATA_TYPE": "transfer_item",
                "source_path": f"/vol1/ftp/{path}",
                "destination_path": f"/~/g1k/{path}",
                "external_checksum": hashlib.md5(data, usedforsecurity=False).hexdigest(),
                "checksum_algorithm": "MD5",
            }
            for path, data in CONTENT.items()
        ],
    }
    assert globus.brought == {f"/~/g1k/{path}": data for path, data in CONTENT.items()}
    [task] = globus.tasks
    assert (result.tasks, result.n_files, result.n_bytes, result.skipped) == ((task,), 4, 48_222, ())
    assert seen == [Progress(2, 24_111, "OK"), Progress(4, 48_222)]
    assert lines == [f"Globus has taken task {task}: 4 files."]
    assert {request.authorization for request in globus.requests} == {f"Bearer {CANARY}"}


def test_without_a_credential_the_plan_is_all_there_is(globus: GlobusServer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GLOBUS_TRANSFER_TOKEN")
    monkeypatch.setenv("GLOBUS_CLIENT_ID", "half of it")
    assert not has_globus_credentials()
    plan = globus_plan([*ENTRIES, *(Entry(f"more/{n}", None) for n in range(20_000))])
    text = plan.text()
    assert "from   ebi#1000genomes (to be looked up), /vol1/ftp/" in text
    assert f"to     {TARGET}, /~/g1k/" in text
    assert "files  20,004 files, 47.1 KiB, 20,000 of unknown size, in 3 tasks" in text
    assert "release/a.vcf.gz" in text
    assert "and 19,999 more" in text
    assert f"GLOBUS_TRANSFER_TOKEN to an access token with the scope {SCOPE}" in text
    assert "GLOBUS_CLIENT_SECRET" in text
    with pytest.raises(EnvironmentProblem, match="no credential for Globus"):
        run_globus(plan)
    assert globus.requests == []


def test_a_collection_that_is_named_by_its_id_is_not_looked_up(globus: GlobusServer):
    door = Door("x", "globus", f"globus://{SOURCE}/vol1/ftp", "1000genomes", "X")
    plan = globus_plan(door=door)
    assert "to be looked up" not in plan.text()
    assert run_globus(plan, poll_seconds=0.01).n_files == 4
    assert globus.asked("/endpoint_search") == []


def named(number: int, display: str, canonical: str = "", kind: str = "GCSv5_mapped_collection") -> dict:
    return {
        "id": f"00000000-0000-0000-0000-{number:012}",
        "display_name": display,
        "canonical_name": canonical,
        "entity_type": kind,
    }


def test_a_name_is_found_exactly_among_many(globus: GlobusServer):
    globus.page = 3  # it is on the third page
    globus.collections = [
        *(named(n, f"copy {n} of ebi#1000genomes", f"me#copy{n}-ebi-1000genomes") for n in range(7)),
        named(8, "ebi#1000genomes", kind="GCSv5_endpoint"),
        named(9, "ebi#1000genomes", "somebody#else"),
        EBI,
    ]
    assert run_globus(globus_plan(), poll_seconds=0.01).n_files == 4
    assert len(globus.asked("/endpoint_search")) == 4
    globus.source = named(9, "")["id"]  # no legacy name: then it is the one that is shown so
    globus.collections.pop()
    assert run_globus(globus_plan(), poll_seconds=0.01).n_files == 4


def test_a_name_that_none_or_several_have_is_refused(globus: GlobusServer):
    globus.collections = [
        named(1, "EMBL-EBI 1000genomes mirror"),
        named(2, "1000genomes at home", "me#1000genomes"),
    ]
    with pytest.raises(InputError) as problem:
        run_globus(globus_plan())
    assert "ebi#1000genomes: No collection has this name; found: EMBL-EBI 1000genomes mirror 0000" in str(
        problem.value
    )
    globus.collections = [named(2, "1000genomes at home", "me#1000genomes")]
    with pytest.raises(InputError, match="found: 1000genomes at home 00000000-0000-0000-0000-000000000002"):
        run_globus(globus_plan())
    globus.collections = []
    with pytest.raises(InputError, match="No collection has this name, nor one like it"):
        run_globus(globus_plan())
    globus.collections = [EBI, named(3, "other", "ebi#1000genomes")]
    with pytest.raises(InputError) as problem:
        run_globus(globus_plan())
    assert f"2 collections have this name; found: Shared EMBL-EBI public endpoint {SOURCE}; other " in str(
        problem.value
    )
    assert "--door NAME=globus://ID/PATH" in str(problem.value)
    assert globus.asked("/transfer") == []


def test_many_files_go_in_batches_three_at_a_time(globus: GlobusServer):
    globus.files = {f"/vol1/ftp/f{n}": bytes([n]) for n in range(1, 26)}
    entries = [Entry(f"f{n}", 1) for n in range(1, 26)]
    seen: list[Progress] = []
    result = run_globus(globus_plan(entries), batch=4, poll_seconds=0.01, on_progress=seen.append)
    assert [len(document["DATA"]) for document in globus.documents] == [4, 4, 4, 4, 4, 4, 1]
    assert [document["label"] for document in globus.documents] == [
        f"kgp sync phase3, {n} of 7" for n in range(1, 8)
    ]
    assert len({document["submission_id"] for document in globus.documents}) == 7
    assert "external_checksum" not in globus.documents[0]["DATA"][0]
    assert globus.most_at_a_time == 3
    assert globus.brought == {f"/~/g1k/f{n}": bytes([n]) for n in range(1, 26)}
    assert (len(result.tasks), result.n_files, result.n_bytes) == (7, 25, 25)
    assert seen[-1] == Progress(25, 25)


def test_directories_that_a_door_keeps_elsewhere_are_asked_for_there(globus: GlobusServer):
    moved = (("collections/30x/", "30x/"),)
    door = dataclasses.replace(GLOBUS, moved=moved)
    globus.files = {"/vol1/ftp/30x/a": b"a"}
    entries = [Entry("collections/30x/a", 1), Entry("collections/30x/gone", 1)]
    result = run_globus(globus_plan(entries, door=door), poll_seconds=0.01)
    assert globus.brought == {"/~/g1k/collections/30x/a": b"a"}
    assert result.skipped == (Skipped("collections/30x/gone", "FILE_NOT_FOUND"),)
    plan = plan_aspera(dataclasses.replace(ASPERA, moved=moved), entries, "/tmp/x")
    assert next(plan.pairs()) == ("vol1/ftp/30x/a", "collections/30x/a")


def test_files_that_the_source_lacks_are_reported(globus: GlobusServer):
    globus.page = 2  # of skipped errors
    entries = [*ENTRIES, *(Entry(f"gone/{n}", 5) for n in range(5))]
    result = run_globus(globus_plan(entries), poll_seconds=0.01)
    assert result.n_files == 4
    assert result.skipped == tuple(Skipped(f"gone/{n}", "FILE_NOT_FOUND") for n in range(5))


def test_a_failed_task_says_why_and_no_more_is_submitted(globus: GlobusServer):
    bad = Entry("release/a.vcf.gz", 5000, "0" * 32)
    entries = [ENTRIES[1], bad, ENTRIES[2], ENTRIES[3], *(Entry(f"f{n}", 1) for n in range(3))]
    with pytest.raises(InputError) as problem:
        run_globus(globus_plan(entries), batch=1, poll_seconds=0.01)
    text = str(problem.value)
    failed = next(number for number, task in globus.tasks.items() if task.fatal)
    assert f"task {failed}: /vol1/ftp/release/a.vcf.gz has another checksum (VERIFY_CHECKSUM)" in text
    assert "before that: failed: the sums differ." in text
    assert f"{len(entries) - len(globus.tasks)} files were not submitted" in text
    assert len(globus.tasks) < len(entries)
    assert all(task.is_ended for task in globus.tasks.values())
    assert globus.asked("/event_list")[0].query["filter"] == "is_error:1"


def test_a_suspended_task_is_not_waited_for(globus: GlobusServer):
    globus.state = "INACTIVE"
    with pytest.raises(InputError) as problem:
        run_globus(globus_plan(), poll_seconds=0.01)
    [task] = globus.tasks
    assert f"task {task}: Globus has suspended a task: Credentials have expired." in str(problem.value)
    assert f"globus task cancel {task}" in str(problem.value)


def test_when_stopped_the_tasks_go_on_and_are_named(globus: GlobusServer):
    globus.state = "ACTIVE"
    lines: list[str] = []
    seen: list[Progress] = []

    def interrupt(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stop:
        run_globus(globus_plan(), batch=1, on_line=lines.append, on_progress=interrupt, poll_seconds=0.01)
    tasks = list(globus.tasks)
    assert len(tasks) == 3
    assert lines[-1] == str(stop.value)
    for task in tasks:
        assert f"https://app.globus.org/activity/{task}" in lines[-1]
        assert f"globus task cancel {task}" in lines[-1]
    assert lines[-1].endswith("1 files were not submitted.")
    assert [request.method for request in globus.requests if "cancel" in request.path] == []


def test_a_service_that_fails_for_a_while_is_asked_again(
    globus: GlobusServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(time, "sleep", lambda _: None)
    globus.n_deaf_looks = 20  # three times as often as globus-sdk asks on its own
    assert run_globus(globus_plan()).n_files == 4
    globus.n_deaf_looks = 10**9
    with pytest.raises(EnvironmentProblem) as problem:
        run_globus(globus_plan())
    assert "Globus can't do it now: Come again later." in str(problem.value)
    assert f"Task {list(globus.tasks)[-1]} goes on" in str(problem.value)


def test_an_application_asks_for_itself_and_consents_by_asking(
    globus: GlobusServer, monkeypatch: pytest.MonkeyPatch
):
    globus.application = ("11111111-2222-3333-4444-555555555555", CANARY + "-secret")
    globus.needed_scope = f"{SCOPE}[*https://auth.globus.org/scopes/{SOURCE}/data_access]"
    monkeypatch.delenv("GLOBUS_TRANSFER_TOKEN")
    monkeypatch.setenv("GLOBUS_CLIENT_ID", globus.application[0])
    monkeypatch.setenv("GLOBUS_CLIENT_SECRET", globus.application[1])
    assert has_globus_credentials()
    assert run_globus(globus_plan(), poll_seconds=0.01).n_files == 4
    asked = [request.body["scope"] for request in globus.asked("/token")]
    assert asked == [SCOPE, f"{SCOPE} {globus.needed_scope}"]
    assert all("granted-" in one.authorization for one in globus.requests if not one.path.endswith("/token"))
    monkeypatch.setenv("GLOBUS_CLIENT_SECRET", CANARY + "-wrong")
    with pytest.raises(
        EnvironmentProblem, match="check GLOBUS_CLIENT_ID and GLOBUS_CLIENT_SECRET"
    ) as problem:
        run_globus(globus_plan())
    assert CANARY not in str(problem.value)


REFUSALS = {
    "consent": (
        (403, {"code": "ConsentRequired", "message": "Missing consent", "required_scopes": [f"{SCOPE}[x]"]}),
        f"wants a consent that the credential lacks: {SCOPE}[x]. Get a token",
    ),
    "session": (
        (
            403,
            {
                "code": "AuthenticationRequired",
                "message": "session",
                "authorization_parameters": {
                    "session_message": "Log in with your institute",
                    "session_required_single_domain": ["ebi.ac.uk"],
                },
            },
        ),
        "wants you to log in again as ebi.ac.uk: Log in with your institute.",
    ),
    "forbidden": (
        (403, {"code": "PermissionDenied", "message": "No effective ACL rules"}),
        "does not allow it: No eff",
    ),
    "malformed": (
        (400, {"code": "ClientError.BadRequest", "message": "Bad"}),
        "refuses it (ClientError.BadRequest): Bad.",
    ),
    "echo": ((409, {"code": "Conflict", "message": f"seen Bearer {CANARY} before"}), "seen Bearer … before"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals_are_explained(globus: GlobusServer, name: str):
    globus.refusal, text = REFUSALS[name]
    with pytest.raises(KgpError) as problem:
        run_globus(globus_plan())
    assert text in str(problem.value)
    assert "may have been taken" not in str(problem.value)


def scenarios(globus: GlobusServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What may be said: success, every kind of refusal, a token that is dead or malformed, no server."""
    yield
    for globus.refusal, _ in REFUSALS.values():
        yield
    globus.refusal = None
    globus.state = "INACTIVE"
    yield
    globus.state = "SUCCEEDED"
    for token in (f"{CANARY}-dead", f"{CANARY}\nX-Header: 1", f"{CANARY}é"):
        monkeypatch.setenv("GLOBUS_TRANSFER_TOKEN", token)
        yield
    monkeypatch.setenv("GLOBUS_TRANSFER_TOKEN", CANARY)
    monkeypatch.setenv("GLOBUS_SDK_SERVICE_URL_TRANSFER", "http://127.0.0.1:9/")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    yield


def test_the_token_is_seen_nowhere(
    globus: GlobusServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
):
    said: list[str] = []
    problems: list[KgpError] = []
    with caplog.at_level(logging.DEBUG):
        for _ in scenarios(globus, monkeypatch):
            plan = globus_plan()
            said += [plan.text(), repr(plan), str(plan)]
            progress: list[Progress] = []
            try:
                result = run_globus(plan, on_line=said.append, on_progress=progress.append, poll_seconds=0.01)
                said += [repr(result), repr(progress)]
            except KgpError as problem:
                problems.append(problem)
    for problem in problems:
        said += [str(problem), repr(problem), "".join(traceback.format_exception(problem))]
    assert len(problems) == len(REFUSALS) + 5
    assert all(problem.__cause__ is None for problem in problems)
    assert any("Globus does not answer (GlobusConnectionError)" in text for text in said)
    assert any("Globus does not take the credential: Token is not active." in text for text in said)
    assert any("$GLOBUS_TRANSFER_TOKEN is malformed" in text for text in said)
    streams = capfd.readouterr()
    for text in (*said, caplog.text, streams.out, streams.err):
        assert CANARY not in text
    assert f"Bearer {CANARY}" in {request.authorization for request in globus.requests}


def test_without_globus_sdk_the_extra_is_named(globus: GlobusServer, monkeypatch: pytest.MonkeyPatch):
    plan = globus_plan()
    monkeypatch.setitem(sys.modules, "globus_sdk", None)
    with pytest.raises(
        EnvironmentProblem, match=r"globus-sdk is not installed. Install it: pip install 'kgp\[globus\]'"
    ):
        run_globus(plan)


def test_importing_and_planning_need_no_globus_sdk():
    code = (
        "import sys; sys.modules['globus_sdk'] = None\n"
        "from kgp.io.transfers import plan_globus\n"
        "from kgp.sources import Door, Entry\n"
        f"door = Door('x', 'globus', {GLOBUS.root!r}, '1000genomes', 'X')\n"
        f"print(plan_globus(door, [Entry('a', 1)], 'globus://{TARGET}/').text())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "1 file, 1 bytes, in 1 task" in done.stdout


@pytest.mark.parametrize(
    "url",
    [
        "globus://ebi#public/path/",
        f"globus://user:{CANARY}@{TARGET}/path",
        f"globus://{TARGET}/path?token={CANARY}",
        f"globus://{TARGET}/a\nb",
        f"https://{TARGET}/path",
        "globus://",
        "/data",
    ],
)
def test_a_target_that_is_no_collection_is_refused(url: str):
    with pytest.raises(InputError, match="no place that Globus can bring files to") as problem:
        plan_globus(GLOBUS, ENTRIES, url)
    assert CANARY not in str(problem.value)
    assert str(problem.value).isprintable()


def test_roots_and_targets_are_directories():
    for root, directory in ((f"globus://{SOURCE}", "/"), (f"globus://{SOURCE}/vol1/ftp/", "/vol1/ftp/")):
        plan = plan_globus(Door("x", "globus", root, "g", "X"), ENTRIES, f"globus://{TARGET.upper()}")
        assert (plan.source, plan.source_root) == (SOURCE, directory)
        assert (plan.target, plan.target_root) == (TARGET, "/")
    assert plan.label == "kgp sync g"
    for root in ("", "/vol1", "globus:///vol1", "globus://a\nb/"):
        with pytest.raises(InputError, match="no Globus door"):
            plan_globus(Door("x", "globus", root, "g", "X"), ENTRIES, f"globus://{TARGET}/")


@settings(max_examples=50, deadline=None)
@given(st.lists(PATHS, min_size=1, max_size=30, unique=True), st.integers(1, 7))
def test_batches_hold_every_file_once_and_in_order(paths: list[str], most: int):
    paths = [path for path in paths if not any(other.startswith(path + "/") for other in paths)]
    plan = globus_plan([Entry(path, 1) for path in paths])
    batches = list(plan.batches(most))
    assert [one.path for batch in batches for one in batch] == paths
    assert all(1 <= len(batch) <= most for batch in batches)


def test_no_thread_or_process_is_left_behind(ascp: Ascp, monkeypatch: pytest.MonkeyPatch):
    before = set(threading.enumerate())
    run_aspera(ascp.plan())
    # Not that both are equal: a thread that another test had left may end meanwhile.
    assert set(threading.enumerate()) - before == set()
