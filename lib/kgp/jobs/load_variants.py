"""`kgp load variants`: VCF files of a callset into `variants`, nothing lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kgp.errors import LakeError
from kgp.genome import ReferenceBuild, get_build
from kgp.io.sample_list import find_samples, read_sample_list
from kgp.io.vcf import Layout, Records, Roots, Selection, VcfHeader, read_header, read_records
from kgp.io.vcf.merge import read_merged
from kgp.job import Context, Job, Report
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load
from kgp.jobs.merge_variants import plan_merge, read_headers
from kgp.jobs.reconcile_people import PEOPLE_READS, PEOPLE_WRITES, reconcile_people
from kgp.jobs.vcf_loads import Tally, check_callset_build, check_header, check_records, commit_rejects
from kgp.params import LoadVariants, Writer
from kgp.tables import CALLSET_SAMPLES, HEADERS, LOADS, QUARANTINE, SAMPLES, VARIANTS
from kgp.transforms.loads import describe_selection


def run(context: Context, params: LoadVariants) -> Report:
    """Load the files one after the other; each is whole, or not there."""
    build = get_build(params.build)
    check_callset_build(context, params.callset, build)
    tally = Tally()
    bytes_read: list[int | None] = []
    for load in _plan(context, params, build):
        if load.is_done:
            context.progress.say(f"{load.path} is already loaded, nothing to do")
            continue
        counts, n_read = _load_file(context, load, params, build)
        tally.add(load, counts)
        bytes_read.append(n_read)
        if n_read is not None:
            tally.notes.append(
                f"{load.path}: read {n_read / 1e6:,.1f} of {load.size / 1e6:,.1f} MB by its index"
            )
    # Also where nothing was loaded: a run that was cut off may have left it undone.
    people = reconcile_people(context)
    if not tally.n_files:
        return Report("load_variants", False, f"{params.callset} holds all of it already, nothing to do")
    report = tally.report("load_variants", VARIANTS.name, f"loaded as {tally.alleles_out:,} alleles")
    if people is not None:
        report.notes += people.notes_on_strangers
    known = [n for n in bytes_read if n is not None]
    if len(known) == len(bytes_read):
        report.details["bytes_read"] = sum(known)
    return report


def _select(params: LoadVariants, build: ReferenceBuild) -> Selection:
    return Selection(contigs=params.contig, regions=params.regions).in_build(build)


def _plan(context: Context, params: LoadVariants, build: ReferenceBuild) -> Iterator[FileLoad]:
    """The loads to do, each looked up in the ledger when its turn comes."""
    chosen = _select(params, build)
    selection = describe_selection(
        chosen.contigs, chosen.regions, strict=params.strict, samples=_chosen(params)
    )
    if params.merge:
        yield plan_merge(context, params, build=build.name, selection=selection)
        return
    for url in params.vcf:
        yield plan_load(
            context,
            url,
            target=VARIANTS.name,
            subject=params.callset,
            build=build.name,
            selection=selection,
        )


def _chosen(params: LoadVariants) -> tuple[str, ...] | None:
    """Samples that are asked for by name."""
    return None if params.samples is None else read_sample_list(params.samples)


def _load_file(
    context: Context, load: FileLoad, params: LoadVariants, build: ReferenceBuild
) -> tuple[LoadCounts, int | None]:
    """What became of the records, and how many bytes were read where an index told which."""
    began = context.seconds
    merged = read_headers(load, params) if params.merge else None
    header = read_header(load.url) if merged is None else merged.header
    for one in (header,) if merged is None else merged.headers:
        check_header(load, one, build)
    chosen = _chosen(params)
    if chosen is not None:
        find_samples(chosen, header.samples, f"file {load.path}")
    sample_rows = _sample_rows(context, load, chosen or header.samples, params.callset)
    layout = Layout.make(
        header, build, _select(params, build), params.callset, load.load_id,
        samples=chosen, females=_females(context),
    )  # fmt: skip
    roots = Roots(context.path(VARIANTS), context.path(QUARANTINE))
    with context.progress.step(f"loading {load.path} ({len(header.samples):,} samples)"):
        records = (
            read_merged(
                context.spark, merged, layout, roots, params.absent, path=load.path,
                strict=params.strict, writes=params.writer != "spark",
            )
            if merged is not None and params.absent is not None
            else read_records(
                context.spark, load.url, header, layout, roots,
                reader=params.reader, strict=params.strict, writes=params.writer != "spark",
            )
        )  # fmt: skip
        check_records(load, header, build, records, strict=params.strict)
        counts = _write(context, load, header, records, sample_rows, params.writer)
    finish_load(
        context, load, counts, reader=records.reader, reason=records.reason, seconds=context.seconds - began
    )
    return counts, records.n_read


def _write(
    context: Context,
    load: FileLoad,
    header: VcfHeader,
    records: Records,
    sample_rows: list[dict[str, object]],
    writer: Writer,
) -> LoadCounts:
    if sample_rows:
        context.put(CALLSET_SAMPLES, sample_rows, load.slice)
    context.put(HEADERS, [load.header_row(header.text)], load.slice)
    rejected = commit_rejects(context, load, records)
    if records.variants is None:
        context.commit(VARIANTS, records.written, [load.load_id])
    else:
        context.replace(VARIANTS, records.variants, [load.load_id], by_spark=writer == "spark")
    context.check_key(VARIANTS, load.slice)
    # A record without ALT is one row with alt_index 0, any other has exactly one row with alt_index 1.
    rows = context.measure(
        VARIANTS, load.slice, records="count(*) FILTER (WHERE alt_index <= 1)", alleles="count(*)"
    )
    survey = records.survey
    return LoadCounts(
        survey.n_records, rows["records"], rejected, rows["alleles"], survey.warnings, survey.warned_at
    )


def _females(context: Context) -> frozenset[str] | None:
    """Samples that are known to be women; None where no sex is known yet."""
    sexes = {row["sample_id"]: row["sex"] for row in context.fetch(SAMPLES, ["sample_id", "sex"])}
    females = frozenset(name for name, sex in sexes.items() if sex == "female")
    return females or None


def _sample_rows(
    context: Context, load: FileLoad, samples: Sequence[str], callset: str
) -> list[dict[str, object]]:
    """Rows of `callset_samples` that this load must write; none where the callset has its order already.

    Raises:
        LakeError: the callset has other samples, or another order, than the file.
    """
    known = sorted(
        (row["sample_index"], row["sample_id"])
        for row in context.fetch(CALLSET_SAMPLES)
        if row["callset"] == callset and row["load_id"] not in load.decision.supersedes
    )
    if known:
        order = [sample_id for _, sample_id in known]
        if order != list(samples):
            missing, extra = (
                sorted(set(order) - set(samples)),
                sorted(set(samples) - set(order)),
            )
            how = (
                f"{len(missing)} are missing, {len(extra)} are new"
                if missing or extra
                else "their order differs"
            )
            raise LakeError(
                f"Its {len(samples):,} samples are not the {len(order):,} of callset {callset}: {how}.",
                where=load.path,
                mend="A callset has one sample order: load the file into another --callset.",
            )
        return []
    return [
        {"callset": callset, "sample_index": index, "sample_id": sample_id, "load_id": load.load_id}
        for index, sample_id in enumerate(samples)
    ]


LOAD_VARIANTS = Job(
    name="load_variants",
    summary="Load VCF files of a callset into variants.",
    params=LoadVariants,
    reads=PEOPLE_READS,
    writes=(VARIANTS, CALLSET_SAMPLES, HEADERS, QUARANTINE, LOADS, *PEOPLE_WRITES),
    run=run,
)
