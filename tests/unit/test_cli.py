"""The command line: options come from the params, exit codes and messages are as promised, Spark is not imported."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import kgp
from kgp import arguments, cli, doctor
from kgp.arguments import JOB_COMMANDS, JobCommand
from kgp.config import load_config
from kgp.errors import FormatError, KgpError
from kgp.job import Job, Report, run_job
from kgp.params import EqtlBuild, LoadSamples, LoadVariants

HEAVY = ("pyspark", "adlfs", "fsspec", "scipy")
commands = pytest.mark.parametrize("command", JOB_COMMANDS, ids=lambda c: "-".join(c.words))


@pytest.fixture
def lake(tmp_path: Path) -> str:
    """A lake with one table of three people."""
    uri = str(tmp_path / "lake")
    write_deltalake(f"{uri}/samples", pa.table({"sample_id": ["a", "b", "c"], "load_id": ["x"] * 3}))
    return uri


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Calls of the job runner, which does nothing but report."""
    calls: list[tuple[Any, ...]] = []

    def fake(job: Any, params: Any, config: Any, *, progress: Any) -> Report:
        calls.append((job, params, config, progress))
        return Report("load_samples", True, "3 people", {"samples": 3}, {"files": 1}, ["one is odd"], 1.25)

    monkeypatch.setattr("kgp.job.run_job", fake)
    monkeypatch.setattr(JobCommand, "job", lambda self: types.SimpleNamespace(params=self.params, name="x"))
    return calls


def kgp_process(*argv: str, **options: Any) -> subprocess.Popen[str]:
    code = "import sys; from kgp.cli import main; sys.exit(main())"
    environ = {**os.environ, "PYTHONPATH": str(Path(kgp.__file__).parents[1]), "PYTHONUNBUFFERED": ""}
    pipes: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
        "env": environ,
    }
    return subprocess.Popen([sys.executable, "-c", code, *argv], **{**pipes, **options})


# -- options


@commands
def test_a_command_has_exactly_the_options_of_its_params(command: JobCommand) -> None:
    parser = argparse.ArgumentParser()
    arguments.add_params(parser, command.params, {})
    taken = {action.dest for action in parser._actions} - {"help"}
    assert taken == {field.name for field in dataclasses.fields(command.params)}
    for action in parser._actions:
        if action.option_strings and action.dest != "help":
            assert action.option_strings == ["--" + action.dest.replace("_", "-")]


@commands
def test_a_jobs_module_is_there_and_agrees(command: JobCommand, root: Path) -> None:
    job = command.job()
    assert isinstance(job, Job)
    assert job.params is command.params
    script = (root / "jobs" / f"{job.name}.py").read_text(encoding="utf-8")
    assert script.count("\n") <= 30
    assert f"from {command.place.split(':')[0]} import {command.place.split(':')[1]}" in script


@commands
def test_help_shows_the_defaults_of_base_yml(command: JobCommand, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command.words, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    defaults = load_config(environ={}).values.get(command.params.section, {})
    for field in dataclasses.fields(command.params):
        if not field.metadata["positional"]:
            assert f"--{field.name.replace('_', '-')}" in shown
        default = defaults.get(field.name)
        if default not in (None, [], False):
            assert f"(default: {default})" in shown


def test_nothing_given_stays_absent() -> None:
    parser = arguments.Parser()
    arguments.add_common(parser)
    arguments.add_params(parser, LoadSamples, {})
    assert vars(arguments.parse(parser, [])) == {}


def test_options_reach_the_job(ran: list[tuple[Any, ...]]) -> None:
    argv = [
        "load",
        "variants",
        "--callset",
        "phase3",
        "--build",
        "GRCh37",
        "--contig",
        "21",
        "--contig",
        "22",
    ]
    assert cli.main([*argv, "--strict", "--reader", "builtin", "a.vcf", "b.vcf"]) == 0
    params = ran[0][1]
    assert params == LoadVariants(
        callset="phase3",
        build="GRCh37",
        contig=("21", "22"),
        region=(),
        samples=None,
        reader="builtin",
        writer="auto",
        strict=True,
        merge=False,
        absent=None,
        vcf=("a.vcf", "b.vcf"),
    )


def test_numbers_are_numbers(ran: list[tuple[Any, ...]]) -> None:
    argv = ["eqtl", "build", "--name", "n", "--callset", "c", "--dataset", "d", "--cohort", "EUR,-FIN"]
    assert cli.main([*argv, "--min-maf", "0.05", "--cis-window", "500000", "--replace"]) == 0
    params = ran[0][1]
    assert isinstance(params, EqtlBuild)
    assert (params.min_maf, params.cis_window, params.replace, params.cohort) == (
        0.05,
        500_000,
        True,
        "EUR,-FIN",
    )
    assert params.max_missing == load_config(environ={}).values["eqtl_profile_basic"]["max_missing"]


def test_the_profile_decides_what_is_not_given(
    ran: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["eqtl", "build", "--name", "n", "--callset", "c", "--dataset", "d", "--profile", "eqtl-catalogue"]
    assert cli.main([*argv, "--n-factors", "3", "--indicator", "sex", "--indicator", "superpopulation"]) == 0
    params = ran[0][1]
    assert (params.factors, params.n_factors, params.n_components) == ("pca", 3, 6)
    assert params.indicator == ("sex", "superpopulation")
    assert cli.main(["eqtl", "build", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "least minor allele frequency in the cohort (default: the profile's)" in shown


def test_own_phenotypes_or_a_dataset(ran: list[tuple[Any, ...]], capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["eqtl", "build", "--name", "n", "--callset", "c", "--profile", "none"]
    assert cli.main([*argv, "--phenotypes", "a.bed", "--covariates", "pcs.txt"]) == 0
    assert (ran[0][1].dataset, ran[0][1].phenotypes, ran[0][1].covariates) == (None, "a.bed", ("pcs.txt",))
    assert cli.main(argv) == 2
    assert cli.main([*argv, "--phenotypes", "a.bed", "--dataset", "d"]) == 2
    assert cli.main([*argv, "--phenotypes", "a.bed", "--counts", "reads"]) == 2
    said = capsys.readouterr().err
    assert said.count("--dataset and --phenotypes: Phenotypes come from a dataset of the lake") == 2
    assert "--counts: A quantification is one of a dataset." in said


LOAD = ["load", "samples", "--panel", "a.panel"]


@pytest.mark.parametrize(
    "argv",
    [
        ["--lake", "L", "--conf", "azure", "--quiet", *LOAD],
        [*LOAD, "--lake", "L", "--conf", "azure", "--quiet"],
        ["load", "--lake", "L", "samples", "--conf=azure", "--panel", "a.panel", "--quiet"],
        [
            "--lake",
            "other",
            "load",
            "--lake",
            "other2",
            "--conf",
            "azure",
            "samples",
            *LOAD[2:],
            "--lake=L",
            "--quiet",
        ],
    ],
    ids=["before", "after", "between", "the nearest counts"],
)
def test_global_options_stand_anywhere(ran: list[tuple[Any, ...]], argv: list[str]) -> None:
    assert cli.main(argv) == 0
    _, _, config, progress = ran[0]
    assert config.lake == "L"
    assert config.values["session"]["shuffle_partitions"] == 200
    assert progress.quiet


def test_the_lake_is_the_configured_one_where_none_is_given(
    ran: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KGP_LAKE", "/from/env")
    assert cli.main(LOAD) == 0
    assert ran[0][2].lake == "/from/env"


# -- results


@pytest.mark.parametrize("argv", [["--json", *LOAD], [*LOAD, "--json"]])
def test_json_prints_the_report(ran: list[Any], argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(argv) == 0
    assert json.loads(capsys.readouterr().out) == {
        "job": "load_samples",
        "changed": True,
        "summary": "3 people",
        "rows": {"samples": 3},
        "details": {"files": 1},
        "notes": ["one is odd"],
        "seconds": 1.25,
    }


def test_a_person_gets_a_summary(ran: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(LOAD) == 0
    out = capsys.readouterr().out
    assert out == "load_samples: 3 people (1.2 s)\n  samples  3 rows\n  files    1\n  note: one is odd\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"kgp {kgp.__version__}\n"


def test_tables_and_all_tables(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["tables", "--lake", lake]) == 0
    header, _, row = capsys.readouterr().out.splitlines()
    assert header.split()[:4] == ["table", "rows", "version", "bytes"]
    assert row.split()[:3] == ["samples", "3", "0"]
    assert cli.main(["tables", "--lake", lake, "--all", "--json"]) == 0
    rows = {row["table"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["samples"]["rows"] == 3
    assert rows["variants"]["rows"] is None


def test_sources(capsys: pytest.CaptureFixture[str]) -> None:
    """Every source and door of the issue's list, and one of them in detail."""
    assert cli.main(["sources"]) == 0
    said = capsys.readouterr().out
    for name in (
        "phase3",
        "high_coverage",
        "dragen-3.5.7b",
        "E-GEUV-1",
        "azure-secondary",
        "igsr-ftp",
        "aws",
    ):
        assert re.search(rf"^{re.escape(name)} ", said, re.M), name
    assert cli.main(["sources", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"phase3", "curated"} <= {row["name"] for row in found["sources"]}
    assert cli.main(["sources", "E-geuv-1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["build"] == "GRCh37"
    assert cli.main(["sources", "phase3"]) == 0
    assert "doi:10.1038/nature15393" in capsys.readouterr().out


def test_an_unknown_source_names_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in (["sources", "phse3"], ["sync", "phse3", "--lake", str(tmp_path / "lake")]):
        assert cli.main(command) == 2
        assert "Did you mean phase3" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_describe(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["describe", "variants"]) == 0
    out = capsys.readouterr().out
    assert "partitioned by: callset, contig" in out
    assert "array<tinyint>" in out
    assert cli.main(["describe", "variants", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["key"] == ["load_id", "record_id", "alt_index"]


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (["--format", "tsv"], "sample_id\tn\na\t1\n"),
        (["--format", "csv"], "sample_id,n\na,1\n"),
        (["--format", "json"], '[\n{"sample_id": "a", "n": 1}\n]\n'),
        (["--json"], '[\n{"sample_id": "a", "n": 1}\n]\n'),
        (["--format", "table"], "sample_id  n\n---------  -\na          1\n"),
        ([], "sample_id\tn\na\t1\n"),
    ],
)
def test_query(lake: str, shape: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    sql = "SELECT sample_id, 1 AS n FROM samples WHERE sample_id = 'a'"
    assert cli.main(["query", "--lake", lake, sql, *shape]) == 0
    assert capsys.readouterr().out == expected


def test_a_table_says_how_many_rows_more(lake: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["query", "--lake", lake, "FROM samples", "--format", "table", "--rows", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("… 2 more rows")
    assert cli.main(["query", "--lake", lake, "FROM samples", "--format", "table", "--rows", "0"]) == 0
    assert "more rows" not in capsys.readouterr().out


def test_demo_gets_its_directories(monkeypatch: pytest.MonkeyPatch, bundled: Path, tmp_path: Path) -> None:
    calls: list[tuple[Any, ...]] = []

    def run_demo(*given: Any) -> Report:
        calls.append(given)
        return Report("demo", True, "built")

    monkeypatch.setitem(sys.modules, "kgp.demo", types.SimpleNamespace(run_demo=run_demo))  # type: ignore[arg-type]
    assert cli.main(["demo"]) == 0
    assert cli.main(["demo", "--lake", "L", "--out", "O", "--data", str(tmp_path)]) == 0
    assert calls[0][:3] == (bundled, "./demo-lake", Path("demo-out"))
    assert calls[0][3].lake == "./demo-lake"
    assert calls[1][:3] == (tmp_path, "L", Path("O"))
    assert cli.main(["demo", "--data", str(tmp_path / "nowhere")]) == 2


# -- what goes wrong


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "COMMAND"),
        (["lod"], "invalid choice"),
        (["load"], "WHAT"),
        (["eqtl", "build", "--min-mf", "1"], "Did you mean --min-maf?"),
        (["eqtl", "build", "--profile", "gtx"], "invalid choice: 'gtx'"),
        (["vacuum", "--hours", "24"], "--hours: 24 hours are too few"),
        (["eqtl", "map", "--name", "n", "--mode", "interaction"], "--interaction: A covariate is what"),
        (["eqtl", "map", "--name", "n", "--max-p", "0.1"], "--max-p: Mode nominal does not use it."),
        (["eqtl", "build", "--min-maf", "rare"], "invalid float value: 'rare'"),
        (["eqtl", "build", "--min-m", "0.1"], "unknown argument '--min-m'"),
        (["load", "variants", "--reader", "fast", "a.vcf"], "invalid choice: 'fast'"),
        (["load", "samples"], "No file is given."),
        (["load", "variants", "--callset", "a b", "--build", "GRCh37", "a.vcf"], "'a b' can't be a name"),
        (["describe", "variant"], "Did you mean variants?"),
        (["tables", "--conf", "nowhere"], "There is no configuration 'nowhere'"),
    ],
)
def test_wrong_usage_is_2(
    ran: list[Any], argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(argv) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not ran


@pytest.mark.parametrize(
    ("problem", "code", "message"),
    [
        (
            FormatError("It is no VCF.", where="a.vcf", mend="Give a VCF."),
            1,
            "kgp: a.vcf: It is no VCF. Give a VCF.\n",
        ),
        (KgpError("No."), 1, "kgp: No.\n"),
        (ZeroDivisionError("division\nby zero"), 1, "kgp: this is a defect of kgp, please report it: Zero"),
        (KeyboardInterrupt(), 130, "\nkgp: stopped.\n"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_one_message_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    problem: BaseException,
    code: int,
    message: str,
    debug: bool,
) -> None:
    def fail(*_: Any, **__: Any) -> Report:
        raise problem

    monkeypatch.setattr("kgp.job.run_job", fail)
    monkeypatch.setattr(JobCommand, "job", lambda self: types.SimpleNamespace(params=self.params, name="x"))
    assert cli.main([*LOAD, *(["--debug"] if debug else [])]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert ("Traceback" in err) == (debug and code != 130)
    if not debug and code == 1:
        assert err.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error(lake: str) -> None:
    process = kgp_process("query", "--lake", lake, "SELECT range FROM range(3000000)")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "range\n"
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""


def test_help_into_a_closed_pipe_is_silent() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = kgp_process("--help", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")


def test_ctrl_c_ends_a_query_with_130(lake: str) -> None:
    sql = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE a.range * b.range % 7 = 3"
    # A shell that runs the tests in the background has its children ignore Ctrl-C.
    process = kgp_process(
        "query", "--lake", lake, sql, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    try:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, "", "\nkgp: stopped.\n")


def test_light_commands_import_nothing_heavy(lake: str) -> None:
    code = f"""
import sys
from kgp.cli import main
for argv in (["--help"], ["load", "variants", "--help"], ["describe", "samples"],
             ["tables", "--lake", {lake!r}], ["query", "--lake", {lake!r}, "SELECT count(*) FROM samples"]):
    assert main(argv) == 0, argv
    found = [name for name in {HEAVY!r} if name in sys.modules]
    assert not found, (argv, found)
"""
    environ = {**os.environ, "PYTHONPATH": str(Path(kgp.__file__).parents[1])}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ, stdout=subprocess.DEVNULL)


# -- scripts


def test_a_script_takes_the_same_options(ran: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    job = types.SimpleNamespace(name="load_samples", summary="Load people.", params=LoadSamples)
    assert cli.run_script(job, ["--panel", "a.panel", "--lake", "L", "--json"]) == 0  # type: ignore[arg-type]
    assert ran[0][1] == LoadSamples(
        panel=("a.panel",), pedigree=(), igsr_samples=(), populations=(), sample_list=()
    )
    assert ran[0][2].lake == "L"
    assert json.loads(capsys.readouterr().out)["job"] == "load_samples"
    assert cli.run_script(job, ["--panl", "a.panel"]) == 2  # type: ignore[arg-type]
    assert (
        "load_samples.py: error: unknown argument '--panl'. Did you mean --panel?" in capsys.readouterr().err
    )


# -- doctor


def test_doctor_finds_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lake: str) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("KGP_JARS", str(tmp_path / "jars"))
    findings = {f.name: f for f in doctor.examine(load_config(lake=lake, environ={}))}
    assert findings["Java"].state == "problem"
    assert "apt-get install openjdk-17" in (findings["Java"].mend or "")
    assert findings["JARs"].state == "problem"
    assert "kgp doctor --fix" in (findings["JARs"].mend or "")
    assert findings["Python"].state == findings["packages"].state == "ok"
    assert "1 table," in findings["lake"].text


def test_doctors_exit_code_and_json(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert cli.main(["doctor", "--json"]) == 1
    findings = {f["name"]: f for f in json.loads(capsys.readouterr().out)}
    assert findings["Java"]["state"] == "problem"
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "To mend first: Java" in out
    assert "Traceback" not in out


@pytest.mark.parametrize(
    ("total", "wanted", "state"),
    [(16, "4g", "ok"), (5, "4g", "note"), (3, "4g", "problem"), (None, "4g", "note")],
)
def test_doctor_compares_memory(
    monkeypatch: pytest.MonkeyPatch, total: int | None, wanted: str, state: str
) -> None:
    monkeypatch.setattr(doctor, "total_memory", lambda: None if total is None else total * 1024**3)
    config = load_config(environ={"KGP_SESSION_DRIVER_MEMORY": wanted})
    assert doctor.check_memory(config).state == state


def test_doctor_says_that_a_foreign_lake_was_not_tried(tmp_path: Path) -> None:
    assert "not there yet" in doctor.check_lake(str(tmp_path / "lake")).text
    assert "was not tried" in doctor.check_lake("nosuch://container/lake").text


@pytest.mark.parametrize("call", [run_job, cli.run_script])
def test_what_is_public_is_documented(call: Callable[..., Any]) -> None:
    assert call.__doc__
