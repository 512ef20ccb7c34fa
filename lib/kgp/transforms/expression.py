"""What an expression matrix holds, by its options, its dataset's descriptor and its own ids. Pure functions."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from kgp.errors import FormatError, OverlapError, UsageError
from kgp.transforms.runs import ColumnRun

# Units of which no value lies below 0, unless something was done to it.
_NEVER_NEGATIVE = ("count", "rpkm", "tpm", "cpm")
_UNTOUCHED = ("none", "unknown")

_KINDS = (
    ("exon", re.compile(r"ENS[A-Z]*G\d+(\.\d+)?_\d+_\d+|ENS[A-Z]*E\d+(\.\d+)?")),
    ("transcript", re.compile(r"ENS[A-Z]*T\d+(\.\d+)?")),
    ("probe", re.compile(r"ILMN_\d+|\d+(_[a-z])*_at")),
    ("mirna", re.compile(r"(hsa-(mir|let)-.+|MIMAT\d+.*)", re.IGNORECASE)),
)
_FEW = 6
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Facts:
    """What is known of a quantification.

    Args:
        kind: gene, transcript, exon, mirna or probe.
        unit: of the values.
        processing: what was done to them.
        build: reference build of the places.
        annotation: where the matrix's own places come from.
    """

    kind: str
    unit: str
    processing: str
    build: str
    annotation: str

    @property
    def allows_negative(self) -> bool:
        """Whether a value may lie below 0: what is left of a count after factors were taken out may."""
        return self.unit not in _NEVER_NEGATIVE or self.processing not in _UNTOUCHED


def name_quantification(file_name: str) -> str:
    """A file's name without its endings.

    Raises:
        UsageError: what is left can't be a name.

    >>> name_quantification("GD462.GeneQuantRPKM.50FN.samplename.resk10.txt.gz")
    'GD462.GeneQuantRPKM.50FN.samplename.resk10'
    >>> name_quantification("CEU_p3_expression.txt"), name_quantification("genes.50percent.chr22.bed.gz")
    ('CEU_p3_expression', 'genes.50percent.chr22')
    """
    name = _strip_ending(_strip_ending(file_name, ("gz", "bgz")), ("txt", "tsv", "tab", "csv", "bed"))
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"'{name}' can't be the name of a quantification.",
            where=file_name,
            mend="Give a name of letters, digits, dots, dashes and underscores with --quantification.",
        )
    return name


def _strip_ending(name: str, endings: Sequence[str]) -> str:
    stem, _, ending = name.rpartition(".")
    return stem if stem and ending.lower() in endings else name


def guess_kind(phenotype_id: str) -> str:
    """What was measured, by the form of an id; a gene where the form says nothing else.

    >>> [guess_kind(id) for id in ("ENST00000408577.1", "ENSG00000227232.4_14363_14829", "ILMN_1762337", "FKBP5")]
    ['transcript', 'exon', 'probe', 'gene']
    """
    return next((kind for kind, form in _KINDS if form.fullmatch(phenotype_id)), "gene")


def check_columns(
    columns: Sequence[ColumnRun],
    *,
    first_number: int,
    has_lists: bool,
    keeps_unknown: bool,
    path: str,
    dataset: str,
) -> None:
    """Refuse columns that nobody knows, or that are one run.

    Args:
        columns: what each column is.
        first_number: number of the first of them in the file, 1-based.
        has_lists: whether the dataset has run lists.
        keeps_unknown: whether columns that they do not know are runs of nobody.
        path: the matrix.
        dataset: its accession.

    Raises:
        FormatError: two columns are one run, or the run lists do not know a column.
        OverlapError: no column belongs to a person.
    """
    numbered = list(enumerate(columns, start=first_number))
    by_run: dict[str, list[str]] = defaultdict(list)
    for number, column in numbered:
        by_run[column.run_id].append(f"{number} ({column.column})")
    repeated = {run_id: names for run_id, names in by_run.items() if len(names) > 1}
    if repeated:
        run_id, names = next(iter(repeated.items()))
        raise FormatError(
            f"Columns {' and '.join(names)} are one run, {run_id}.",
            where=path,
            mend="A run has one column: leave one of them out.",
        )
    if not any(column.sample_id for column in columns):
        first = columns[0]
        raise OverlapError(
            f"No column belongs to a person: the first, {first.column}: {first.problem}.",
            where=path,
            mend="Give a run list (--sdrf, or kgp load runs), or load the people first (kgp load samples).",
        )
    unknown = [f"{number} ({column.column})" for number, column in numbered if is_unknown(column)]
    if has_lists and unknown and not keeps_unknown:
        more = f" and {len(unknown) - _FEW:,} more" if len(unknown) > _FEW else ""
        raise FormatError(
            f"The run lists of {dataset} do not know {len(unknown):,} of its {len(columns):,} columns: "
            f"{', '.join(unknown[:_FEW])}{more}.",
            where=path,
            mend="Give the run list that names them (--sdrf), or --unknown-runs keep to load them as runs of nobody.",
        )


def is_unknown(column: ColumnRun) -> bool:
    """Whether no run list and no person is behind a column."""
    return column.record is not None and column.sample_id is None and not column.record.combines
