"""The commands that run jobs, and command-line options derived from the params dataclasses: one name everywhere.

A parser never fills in a default: what is not given stays absent, so that `conf` decides. The help text shows the
default that conf/base.yml has.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import importlib
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import kgp
from kgp.params import (
    EqtlBuild,
    EqtlExport,
    EqtlMap,
    EqtlShow,
    EqtlTop,
    ExportVcf,
    LoadAnnotations,
    LoadCovariates,
    LoadExpression,
    LoadRuns,
    LoadSamples,
    LoadVariants,
    Quality,
    SamplesCohort,
    SamplesKinship,
    SamplesQc,
    SamplesTrios,
    Stats,
    Sync,
    Vacuum,
    WriteReport,
)

if TYPE_CHECKING:
    from kgp.job import Job


@dataclass(frozen=True)
class JobCommand:
    """A command that runs a job, which is imported only then.

    Args:
        words: the command, as ``("load", "samples")`` or ``("stats",)``.
        params: the dataclass of its options.
        place: ``module:name`` of the `Job`.
        summary: one line for --help.
    """

    words: tuple[str, ...]
    params: type[Any]
    place: str
    summary: str

    def job(self) -> Job[Any]:
        """The job itself."""
        module, name = self.place.split(":")
        job: Job[Any] = getattr(importlib.import_module(module), name)
        return job


# fmt: off
JOB_COMMANDS = (
    JobCommand(("sync",), Sync, "kgp.jobs.sync_files:SYNC_FILES",
               "the files of a release: list, compare with last time, stage what is new"),
    JobCommand(("load", "samples"), LoadSamples, "kgp.jobs.load_samples:LOAD_SAMPLES",
               "who the people are: panels, pedigrees and sample lists into samples"),
    JobCommand(("load", "variants"), LoadVariants, "kgp.jobs.load_variants:LOAD_VARIANTS",
               "genotypes: VCF files into variants"),
    JobCommand(("load", "annotations"), LoadAnnotations, "kgp.jobs.load_annotations:LOAD_ANNOTATIONS",
               "what variants do to genes: annotated sites files into annotations"),
    JobCommand(("load", "runs"), LoadRuns, "kgp.jobs.load_runs:LOAD_RUNS",
               "which run or array belongs to whom, with all its names"),
    JobCommand(("load", "expression"), LoadExpression, "kgp.jobs.load_expression:LOAD_EXPRESSION",
               "gene expression of an accession into runs, phenotypes and expression"),
    JobCommand(("load", "covariates"), LoadCovariates, "kgp.jobs.load_covariates:LOAD_COVARIATES",
               "covariates of people that somebody else computed or measured"),
    JobCommand(("samples", "trios"), SamplesTrios, "kgp.jobs.list_trios:LIST_TRIOS",
               "parents and children among the people, complete and partial"),
    JobCommand(("samples", "cohort"), SamplesCohort, "kgp.jobs.list_cohort:LIST_COHORT",
               "the people that a cohort expression names"),
    JobCommand(("samples", "qc"), SamplesQc, "kgp.jobs.check_samples:CHECK_SAMPLES",
               "what genotypes tell of each sample: call rate, heterozygosity, sex"),
    JobCommand(("samples", "kinship"), SamplesKinship, "kgp.jobs.compute_kinship:COMPUTE_KINSHIP",
               "relatives by their genotypes (KING-robust), into kinship"),
    JobCommand(("quality",), Quality, "kgp.jobs.compute_quality:COMPUTE_QUALITY",
               "runs that stand apart: correlation, components, sex; into expression_quality"),
    JobCommand(("stats",), Stats, "kgp.jobs.compute_statistics:COMPUTE_STATISTICS",
               "allele counts, frequencies and Hardy-Weinberg p of groups of people"),
    JobCommand(("eqtl", "build"), EqtlBuild, "kgp.jobs.build_eqtl_matrices:BUILD_EQTL_MATRICES",
               "a matrix set: genotypes, phenotypes and covariates of the same people in the same order"),
    JobCommand(("eqtl", "map"), EqtlMap, "kgp.jobs.map_eqtl:MAP_EQTL",
               "eQTLs of a matrix set: all pairs, best by permutation, signals, credible sets, interactions, trans"),
    JobCommand(("eqtl", "show"), EqtlShow, "kgp.jobs.show_eqtl:SHOW_EQTL",
               "what mapping found: figures of a set, or the locus of one gene"),
    JobCommand(("eqtl", "top"), EqtlTop, "kgp.jobs.list_top:LIST_TOP",
               "the best pairs of a set or of one gene"),
    JobCommand(("eqtl", "export"), EqtlExport, "kgp.jobs.export_eqtl:EXPORT_EQTL",
               "a matrix set as the files that mapping tools read"),
    JobCommand(("export", "vcf"), ExportVcf, "kgp.jobs.export_vcf:EXPORT_VCF",
               "a callset, or a part of it, as a VCF file with its index"),
    JobCommand(("vacuum",), Vacuum, "kgp.jobs.vacuum_lake:VACUUM_LAKE",
               "remove old files that no table and no matrix set needs"),
    JobCommand(("report",), WriteReport, "kgp.jobs.write_report:WRITE_REPORT",
               "one self-contained HTML page of what is in the lake"),
)
# fmt: on


class Parser(argparse.ArgumentParser):
    """An argument parser that takes no abbreviations and names the nearest option for one that it doesn't know."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **kwargs)

    def refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with exit code 2 because of arguments that nothing took."""
        text = unknown[0].partition("=")[0]
        near = difflib.get_close_matches(text, self._option_string_actions, n=1, cutoff=0.6)
        advice = f" Did you mean {near[0]}?" if text.startswith("-") and near else ""
        self.error(f"unknown argument '{text}'.{advice}")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command and script takes.

    Nothing is filled in for those that are not given, so that they may stand before or after a subcommand.
    """
    group = parser.add_argument_group("everywhere")
    common: dict[str, Any] = {"default": argparse.SUPPRESS}
    group.add_argument("--lake", metavar="URI", help="directory of the tables, on any storage", **common)
    group.add_argument("--conf", metavar="FILE", help="options from a YAML file or conf/NAME.yml", **common)
    group.add_argument("--json", action="store_true", help="print the result as JSON", **common)
    group.add_argument("--quiet", action="store_true", help="no progress on standard error", **common)
    group.add_argument("--debug", action="store_true", help="show the stack trace of an error", **common)
    group.add_argument("--version", action="version", version=f"kgp {kgp.__version__}")


def add_params(parser: argparse.ArgumentParser, kind: type[Any], defaults: Mapping[str, Any]) -> None:
    """Add an option to the parser for each field of a params dataclass.

    Args:
        parser: where to add them.
        kind: a dataclass of `kgp.params`.
        defaults: what conf/base.yml has for them, for the help text.
    """
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        named: dict[str, Any] = {
            "help": _help(field, defaults),
            "metavar": field.metadata.get("metavar"),
            "default": argparse.SUPPRESS,
        }
        hint = _without_none(hints[field.name])
        if field.metadata.get("positional"):
            several: dict[str, Any] = {"nargs": "+"} if typing.get_origin(hint) is tuple else {}
            parser.add_argument(field.name, **several, **named)
            continue
        flag = "--" + field.name.replace("_", "-")
        if hint is bool:
            named.pop("metavar")
            parser.add_argument(flag, action="store_true", **named)
        elif typing.get_origin(hint) is tuple:
            parser.add_argument(flag, action="append", **named)
        elif typing.get_origin(hint) is typing.Literal:
            parser.add_argument(flag, choices=typing.get_args(hint), **named)
        else:
            parser.add_argument(flag, type=hint, **named)


def given_params(arguments: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """The fields of a params dataclass that the command line gives."""
    names = [field.name for field in dataclasses.fields(kind)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def parse(parser: Parser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line; whatever is unknown is refused by the parser of the command that was named."""
    arguments, unknown = parser.parse_known_args(sys.argv[1:] if argv is None else argv)
    if unknown:
        leaf: Parser = getattr(arguments, "_parser", parser)
        leaf.refuse(unknown)
    return arguments


def _help(field: dataclasses.Field[Any], defaults: Mapping[str, Any]) -> str:
    text = str(field.metadata["help"])
    if field.name in defaults:
        default = defaults[field.name]
        text += "" if default in (None, [], False) else f" (default: {default})"
    elif field.metadata.get("preset"):
        text += " (default: the profile's)"
    elif not field.metadata.get("positional"):
        text += " (required)"
    return text.replace("%", "%%")


def _without_none(hint: Any) -> Any:
    """``str`` for ``str | None``; any other type as it is."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (hint,) = (a for a in typing.get_args(hint) if a is not types.NoneType)
    return hint
