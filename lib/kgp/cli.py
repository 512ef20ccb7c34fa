"""The `kgp` command, and what the scripts in jobs/ share with it.

Nothing heavy is imported before a command needs it: `kgp --help`, `kgp tables` and `kgp query` never start Spark.

Exit code 0; 1 for a problem that a person can mend (one message: what, where, what to do) or for a defect; 2 for
wrong usage; 130 after Ctrl-C. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kgp.amounts import upper_first
from kgp.arguments import JOB_COMMANDS, JobCommand, Parser, add_common, add_params, given_params, parse
from kgp.config import Config, load_config
from kgp.errors import KgpError, UsageError, scrub
from kgp.io.output import align, list_values, print_json, print_text

if TYPE_CHECKING:
    from kgp.job import Job, Progress, Report


_GROUPS = {
    "load": "load files into the lake's tables",
    "samples": "who the people are: families, cohorts",
    "eqtl": "build, map and export matrix sets",
    "export": "write tables of the lake as files of other tools",
}


def main(argv: Sequence[str] | None = None) -> int:
    """The `kgp` command.

    Args:
        argv: arguments without the program's name; the process's own where None.

    Returns:
        the exit code.
    """
    return _guard(argv, _build_parser)


def run_script(job: Job[Any], argv: Sequence[str] | None = None) -> int:
    """Run one job as a script (spark-submit, a Databricks task), with the options of its `kgp` command.

    Returns:
        the exit code.
    """

    def build() -> Parser:
        parser = Parser(prog=f"{job.name}.py", description=job.summary)
        add_params(parser, job.params, _defaults(job.params))
        add_common(parser)
        parser.set_defaults(_run=lambda arguments: _run_job(job, arguments))
        return parser

    return _guard(argv, build)


def _build_parser() -> Parser:
    parser = Parser(
        prog="kgp",
        description="The 1000 Genomes Project as Delta tables and eQTL-ready matrices.",
        epilog="kgp COMMAND --help tells more. A first look: kgp demo",
    )
    add_common(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    demo = _add(commands, "demo", "the whole pipeline on the bundled real slice", _demo)
    demo.add_argument("--data", metavar="DIR", help="the slice (default: the checkout's tests/data)")
    demo.add_argument("--out", metavar="DIR", default="./demo-out", help="for exports (default: ./demo-out)")
    doctor = _add(
        commands, "doctor", "Java, Spark, storage, memory, lake: what is there, what to do", _doctor
    )
    doctor.add_argument("--fix", action="store_true", help="fetch the JARs that are missing from the cache")

    groups: dict[str, Any] = {}
    for group, text in _GROUPS.items():
        subparser: Parser = _add(commands, group, text, None)
        groups[group] = subparser.add_subparsers(title="commands", metavar="WHAT", required=True)
    for command in JOB_COMMANDS:
        *outer, name = command.words
        place = groups[outer[0]] if outer else commands
        job_parser = _add(place, name, command.summary, partial(_run_command, command))
        add_params(job_parser, command.params, _defaults(command.params))

    sources = _add(commands, "sources", "releases, datasets, doors and terms of use", _sources)
    sources.add_argument("source", nargs="?", metavar="SOURCE", help="tell more of this one")
    sources.add_argument(
        "--check",
        action="store_true",
        help="ask the doors: how fast they answer, where what they serve differs",
    )
    sources.add_argument(
        "--door", action="append", default=[], metavar="DOOR", help="with --check: only this one, or NAME=URL"
    )
    sources.add_argument(
        "--contig", action="append", default=[], metavar="C", help="with --check: only its files"
    )
    sources.add_argument(
        "--part", action="append", default=[], metavar="PART", help="with --check: only this part"
    )
    sources.add_argument(
        "--timeout", type=float, default=60.0, metavar="S", help="with --check: seconds (60)"
    )
    tables = _add(commands, "tables", "the lake's tables: rows, version, size", _tables)
    tables.add_argument("--all", action="store_true", help="also those that are not in the lake yet")
    describe = _add(commands, "describe", "one table: what a row is, key, checks, columns", _describe)
    describe.add_argument("table", metavar="TABLE")
    query = _add(commands, "query", "DuckDB's SQL over the lake's tables, read-only", _query)
    query.add_argument("sql", metavar="SQL", help='one reading statement; write "end" and "offset" in quotes')
    shapes = ("table", "tsv", "csv", "json")
    query.add_argument("--format", choices=shapes, help="default: table on a terminal, else tsv")
    query.add_argument(
        "--curated",
        choices=("original", "flattened"),
        help="also the curated Parquet edition of phase 3 in this layout, as table curated and view curated_variants",
    )
    query.add_argument("--curated-from", metavar="URL", help="where that lies (Microsoft's public container)")
    query.add_argument(
        "--contig", action="append", metavar="C", help="of the edition only this contig; repeat for more"
    )
    query.add_argument("--build", metavar="B", help="reference build of the edition's coordinates (GRCh37)")
    query.add_argument("--rows", type=int, default=40, metavar="N", help="that a table shows; 0: all (40)")
    return parser


def _add(group: Any, name: str, text: str, run: Callable[[argparse.Namespace], int] | None) -> Parser:
    """Add a command, or where `run` is None a group of commands."""
    command: Parser = group.add_parser(name, help=text, description=f"{upper_first(text)}.")
    add_common(command)
    if run is not None:
        command.set_defaults(_run=run, _parser=command)
    return command


# -- commands


def _run_command(command: JobCommand, arguments: argparse.Namespace) -> int:
    return _run_job(command.job(), arguments)


def _run_job(job: Job[Any], arguments: argparse.Namespace) -> int:
    from kgp.job import run_job

    config = _config(arguments)
    params = config.params(job.params, given_params(arguments, job.params))
    return _print_report(run_job(job, params, config, progress=_progress(arguments)), arguments)


def _demo(arguments: argparse.Namespace) -> int:
    data = Path(arguments.data or Path(__file__).parents[2] / "tests" / "data" / "geuvadis-chr22")
    if not data.is_dir():
        raise UsageError(
            "The bundled slice is not there: it is part of the repository, not of the installed package.",
            where=str(data),
            mend="Run it in a checkout, or name its directory with --data.",
        )
    run_demo = importlib.import_module("kgp.demo").run_demo
    lake = getattr(arguments, "lake", "./demo-lake")
    config = load_config(getattr(arguments, "conf", None), lake=lake)
    report = run_demo(data, lake, Path(arguments.out), config, _progress(arguments))
    return _print_report(report, arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from kgp.doctor import examine, render

    findings = examine(_config(arguments), fix=arguments.fix)
    if _json(arguments):
        print_json([finding.as_dict() for finding in findings])
    else:
        print_text(render(findings))
    return 1 if any(finding.state == "problem" for finding in findings) else 0


def _sources(arguments: argparse.Namespace) -> int:
    from kgp import sourcedocs

    if arguments.check:
        check = sourcedocs.check(
            arguments.source or "phase3",
            doors=arguments.door,
            contigs=arguments.contig,
            parts=arguments.part,
            timeout=arguments.timeout,
        )
        if _json(arguments):
            print_json(sourcedocs.check_as_dict(check))
        else:
            print_text(sourcedocs.render_check(check))
        return 0
    if _json(arguments):
        name = arguments.source
        print_json(sourcedocs.describe_as_dict(name) if name else sourcedocs.overview_as_dict())
    else:
        print_text(sourcedocs.describe(arguments.source) if arguments.source else sourcedocs.overview())
    return 0


def _tables(arguments: argparse.Namespace) -> int:
    from kgp.io.catalog import Catalog

    rows = Catalog(_config(arguments).lake).overview(include_missing=arguments.all)
    if _json(arguments):
        print_json(rows)
    else:
        print_text(align(list(rows[0]), [list(row.values()) for row in rows], max_width=200))
    return 0


def _describe(arguments: argparse.Namespace) -> int:
    from kgp.tabledocs import describe, describe_as_dict, find_table

    table = find_table(arguments.table)
    if _json(arguments):
        print_json(describe_as_dict(table))
    else:
        print_text(describe(table))
    return 0


def _query(arguments: argparse.Namespace) -> int:
    from kgp.io.catalog import Catalog
    from kgp.io.query import run_query

    shape = arguments.format or ("table" if sys.stdout.isatty() else "tsv")
    extra, views = _curated(arguments)
    answer = run_query(Catalog(_config(arguments).lake), arguments.sql, extra=extra, views=views)
    print_text(answer.render("json" if _json(arguments) else shape, max_rows=max(arguments.rows, 0)))
    return 0


def _curated(arguments: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """The curated edition as a table beside the lake's, and its views, where it is asked for."""
    if arguments.curated is None:
        if arguments.curated_from or arguments.contig or arguments.build:
            raise UsageError(
                "They say which part of the curated edition is read, but it is not.",
                where="--curated-from, --contig, --build",
                mend="Give --curated too; the lake's rows are chosen with WHERE.",
            )
        return {}, {}
    from kgp.genome import get_build
    from kgp.io.curated import CURATED_ROOT, open_curated
    from kgp.io.curated_view import curated_views

    dataset = open_curated(arguments.curated_from or CURATED_ROOT, arguments.curated, arguments.contig or ())
    return {"curated": dataset}, curated_views(dataset, get_build(arguments.build or "GRCh37"))


# -- what they share


def _guard(argv: Sequence[str] | None, build: Callable[[], Parser]) -> int:
    """Run a command line; whatever goes wrong becomes one message and an exit code."""
    debug = False
    try:
        parser = build()
        arguments = parse(parser, argv)
        debug = getattr(arguments, "debug", False)
        code: int = arguments._run(arguments)
        print_text("")
        return code
    except SystemExit as end:  # argparse has said what it had to say
        print_text("")
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt as stop:
        print(f"\nkgp: stopped. {stop}".rstrip(), file=sys.stderr)
        return 130
    except KgpError as problem:
        if debug:
            print(scrub(traceback.format_exc()), file=sys.stderr)
        print(f"kgp: {problem}".replace(" \n", "\n"), file=sys.stderr)
        return problem.exit_code
    except Exception as problem:
        if debug:
            print(scrub(traceback.format_exc()), file=sys.stderr)
        reason = (str(problem).strip().splitlines() or ["no message"])[0][:300]
        print(
            f"kgp: this is a defect of kgp, please report it: {type(problem).__name__}: {scrub(reason)} "
            "(--debug shows the stack trace)",
            file=sys.stderr,
        )
        return 1


def _config(arguments: argparse.Namespace) -> Config:
    return load_config(getattr(arguments, "conf", None), lake=getattr(arguments, "lake", None))


def _defaults(kind: type[Any]) -> dict[str, Any]:
    """What conf/base.yml alone has for these options."""
    return dict(load_config(environ={}).values.get(kind.section, {}))


def _progress(arguments: argparse.Namespace) -> Progress:
    from kgp.job import Progress

    return Progress(quiet=getattr(arguments, "quiet", False))


def _json(arguments: argparse.Namespace) -> bool:
    return getattr(arguments, "json", False)


def _print_report(report: Report, arguments: argparse.Namespace) -> int:
    if _json(arguments):
        print_json(report.as_dict())
        return 0
    if report.text:
        print_text(report.text.rstrip("\n") + "\n")
        return 0
    lines = [f"{report.job}: {report.summary} ({report.seconds:.1f} s)"]
    width = max((len(name) for name in (*report.rows, *report.details)), default=0)
    lines += [f"  {name:<{width}}  {n:,} rows" for name, n in report.rows.items()]
    lines += list_values(report.details, width=width)
    lines += [f"  note: {note}" for note in report.notes]
    print_text("\n".join(lines) + "\n")
    return 0
