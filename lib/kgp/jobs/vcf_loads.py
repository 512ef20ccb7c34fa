"""What the jobs that load VCF files share: when a file is refused, and what is said of those that were loaded."""

from __future__ import annotations

from dataclasses import dataclass, field

from kgp.errors import BuildError, KgpError
from kgp.genome import ReferenceBuild, check_build
from kgp.io.vcf import Records, VcfHeader
from kgp.job import Context, Report
from kgp.jobs.ledger import FileLoad, LoadCounts
from kgp.tables import LOADS, QUARANTINE, VARIANTS


def check_callset_build(context: Context, callset: str, build: ReferenceBuild) -> None:
    """Refuse a load into a callset that is in another build.

    Raises:
        BuildError: it is.
    """
    others = sorted(
        {
            row["build"]
            for row in context.fetch(LOADS)
            if row["target"] == VARIANTS.name and row["subject"] == callset and row["build"] != build.name
        }
    )
    if others:
        raise BuildError(
            f"Callset {callset} is in {others[0]}, not {build.name}.",
            where="--build",
            mend="A callset has one build: use another --callset.",
        )


def check_header(load: FileLoad, header: VcfHeader, build: ReferenceBuild) -> None:
    """Refuse a file whose header says that it is in another build.

    Raises:
        BuildError: it does.
    """
    # UCSC's hg19 has another mitochondrial genome than GRCh37 has: that counts only where rows lie on it.
    nuclear = {c: n for c, n in header.contig_lengths.items() if not build.is_mitochondrial(c)}
    check_build(build, where=load.path, declared_lengths=nuclear, assemblies=header.contig_assemblies)


def check_records(
    load: FileLoad, header: VcfHeader, build: ReferenceBuild, records: Records, *, strict: bool
) -> None:
    """Everything that can refuse the rows that tasks have written, before they are committed; then they are removed.

    Raises:
        InputError: a record can't be loaded, and `strict` says that this is not to be borne.
        BuildError: the records can't be of the build.
    """
    survey = records.survey
    declared = {c: n for c, n in header.contig_lengths.items() if c in survey.contigs}
    try:
        if strict and records.first_reject is not None:
            raise records.first_reject.as_error(load.path)
        check_build(build, where=load.path, declared_lengths=declared, last_ends=survey.last_ends)
    except KgpError:
        records.discard()
        raise


def commit_rejects(context: Context, load: FileLoad, records: Records) -> int:
    """Commit the lines that can't be loaded; gives how many the table holds then."""
    if not records.quarantined:
        return 0
    context.commit(QUARANTINE, records.quarantined, [load.load_id])
    context.check_key(QUARANTINE, load.slice)
    return int(context.measure(QUARANTINE, load.slice, n="count(*)")["n"])


@dataclass
class Tally:
    """What became of the files of a job, one after the other.

    Args:
        n_files: files that were loaded.
        rows_in, rows_out, rows_quarantined, alleles_out: sums over them, as in `LoadCounts`.
        notes: what a person should know.
    """

    n_files: int = 0
    rows_in: int = 0
    rows_out: int = 0
    rows_quarantined: int = 0
    alleles_out: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, load: FileLoad, counts: LoadCounts) -> None:
        """Another file."""
        self.n_files += 1
        self.rows_in += counts.rows_in
        self.rows_out += counts.rows_out
        self.rows_quarantined += counts.rows_quarantined
        self.alleles_out += counts.alleles_out
        self.notes += [f"{load.path}: {_describe_warning(what, counts)}" for what in sorted(counts.warnings)]
        if counts.rows_quarantined:
            self.notes.append(f"{load.path}: {counts.rows_quarantined:,} records went into quarantine")

    def report(self, job: str, table: str, done: str) -> Report:
        """Of a job that loaded something.

        Args:
            job: its name.
            table: that it fills.
            done: what became of the records, for the summary.
        """
        counts = {name: getattr(self, name) for name in ("rows_in", "rows_out", "rows_quarantined")}
        return Report(
            job,
            True,
            f"{self.rows_in:,} records in, {self.rows_out:,} {done}, {self.rows_quarantined:,} in quarantine",
            rows={table: self.alleles_out, QUARANTINE.name: self.rows_quarantined},
            notes=self.notes,
            details=counts,
        )


def _describe_warning(what: str, counts: LoadCounts) -> str:
    """One warning of a load, with its count and the place of the first."""
    places = counts.warned_at.get(what)
    return f"{counts.warnings[what]:,} x {what}" + (f", first at offset {places[0]:,}" if places else "")
