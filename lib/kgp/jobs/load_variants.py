"""`kgp load variants`: VCF files of a callset into `variants`, nothing lost."""

from __future__ import annotations

from kgp.errors import BuildError, InputError, LakeError
from kgp.genome import ReferenceBuild, check_build, get_build
from kgp.io.vcf import Records, Selection, Survey, VcfHeader, read_header, read_records, survey_records
from kgp.io.vcf.survey import OUT_OF_ORDER
from kgp.job import Context, Job, Report
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load, quarantine
from kgp.params import LoadVariants
from kgp.tables import CALLSET_SAMPLES, HEADERS, LOADS, QUARANTINE, VARIANTS
from kgp.transforms.loads import describe_selection


def run(context: Context, params: LoadVariants) -> Report:
    """Load the files one after the other; each is whole, or not there."""
    build = get_build(params.build)
    _check_callset_build(context, params.callset, build)
    total = LoadCounts(0, 0, 0, 0, {})
    notes: list[str] = []
    changed = False
    for url in params.vcf:
        load = _plan(context, url, params, build)
        if load.is_done:
            context.progress.say(f"{load.path} is already loaded, nothing to do")
            continue
        counts = _load_file(context, load, params, build)
        changed = True
        total = _add(total, counts)
        notes += [f"{load.path}: {n:,} x {what}" for what, n in sorted(counts.warnings.items())]
        if counts.rows_quarantined:
            notes.append(f"{load.path}: {counts.rows_quarantined:,} records went into quarantine")
    if not changed:
        return Report("load_variants", False, f"{params.callset} holds all of it already, nothing to do")
    return Report(
        "load_variants",
        True,
        f"{total.rows_in:,} records in, {total.rows_out:,} loaded as {total.alleles_out:,} alleles, "
        f"{total.rows_quarantined:,} in quarantine",
        rows={VARIANTS.name: total.alleles_out, QUARANTINE.name: total.rows_quarantined},
        notes=notes,
        details={
            "rows_in": total.rows_in,
            "rows_out": total.rows_out,
            "rows_quarantined": total.rows_quarantined,
        },
    )


def _select(params: LoadVariants, build: ReferenceBuild) -> Selection:
    return Selection(contigs=params.contig, regions=params.regions).in_build(build)


def _plan(context: Context, url: str, params: LoadVariants, build: ReferenceBuild) -> FileLoad:
    selection = _select(params, build)
    return plan_load(
        context,
        url,
        target=VARIANTS.name,
        subject=params.callset,
        build=build.name,
        selection=describe_selection(selection.contigs, selection.regions, strict=params.strict),
    )


def _load_file(context: Context, load: FileLoad, params: LoadVariants, build: ReferenceBuild) -> LoadCounts:
    began = context.seconds
    header = read_header(load.url)
    # Everything that can refuse the file comes before the first row is written. UCSC's hg19 has another mitochondrial
    # genome than GRCh37 has: that counts only where rows lie on it.
    nuclear = {c: n for c, n in header.contig_lengths.items() if not build.is_mitochondrial(c)}
    check_build(build, where=load.path, declared_lengths=nuclear, assemblies=header.contig_assemblies)
    sample_rows = _sample_rows(context, load, header, params.callset)
    selection = _select(params, build)
    with context.progress.step(f"surveying {load.path} ({len(header.samples):,} samples)"):
        survey = survey_records(context.spark, load.url, header, build, selection)
        declared = {c: n for c, n in header.contig_lengths.items() if c in survey.contigs}
        check_build(build, where=load.path, declared_lengths=declared, last_ends=survey.last_ends)
    records = read_records(
        context.spark, load.url, header, survey=survey, build=build, selection=selection,
        callset=params.callset, load_id=load.load_id, reader=params.reader,
    )  # fmt: skip
    if params.strict:
        _refuse_first_reject(load, records)
    with context.progress.step(f"loading {survey.n_records:,} records with the {records.reader} reader"):
        counts = _write(context, load, header, survey, records, sample_rows)
    finish_load(
        context, load, counts, reader=records.reader, reason=records.reason, seconds=context.seconds - began
    )
    return counts


def _write(
    context: Context,
    load: FileLoad,
    header: VcfHeader,
    survey: Survey,
    records: Records,
    sample_rows: list[dict[str, object]],
) -> LoadCounts:
    if sample_rows:
        context.put(CALLSET_SAMPLES, sample_rows, load.slice)
    context.put(HEADERS, [load.header_row(header.text)], load.slice)
    is_sorted = OUT_OF_ORDER not in survey.warnings
    rows = records.parts if is_sorted and records.parts is not None else records.variants
    context.replace(VARIANTS, rows, [load.load_id])
    context.check_key(VARIANTS, load.slice)
    # A record without ALT is one row with alt_index 0, any other has exactly one row with alt_index 1.
    written = context.measure(
        VARIANTS, load.slice, records="count(*) FILTER (WHERE alt_index <= 1)", alleles="count(*)"
    )
    rows_out, alleles_out = written["records"], written["alleles"]
    rows_quarantined = 0
    if rows_out != survey.n_records:
        rows_quarantined = quarantine(context, load, records.rejects)
    return LoadCounts(survey.n_records, rows_out, rows_quarantined, alleles_out, survey.warnings)


def _sample_rows(
    context: Context, load: FileLoad, header: VcfHeader, callset: str
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
        if order != list(header.samples):
            missing, extra = (
                sorted(set(order) - set(header.samples)),
                sorted(set(header.samples) - set(order)),
            )
            how = (
                f"{len(missing)} are missing, {len(extra)} are new"
                if missing or extra
                else "their order differs"
            )
            raise LakeError(
                f"Its {len(header.samples):,} samples are not the {len(order):,} of callset {callset}: {how}.",
                where=load.path,
                mend="A callset has one sample order: load the file into another --callset.",
            )
        return []
    return [
        {"callset": callset, "sample_index": index, "sample_id": sample_id, "load_id": load.load_id}
        for index, sample_id in enumerate(header.samples)
    ]


def _check_callset_build(context: Context, callset: str, build: ReferenceBuild) -> None:
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


def _refuse_first_reject(load: FileLoad, records: Records) -> None:
    first = records.rejects.orderBy("offset").first()
    if first is not None:
        raise InputError(
            f"The record at offset {first['offset']:,} can't be loaded: {first['reason']}.",
            where=load.path,
            mend="Mend the file, or leave --strict away to put such records into quarantine.",
        )


def _add(a: LoadCounts, b: LoadCounts) -> LoadCounts:
    return LoadCounts(
        a.rows_in + b.rows_in,
        a.rows_out + b.rows_out,
        a.rows_quarantined + b.rows_quarantined,
        a.alleles_out + b.alleles_out,
        {},
    )


LOAD_VARIANTS = Job(
    name="load_variants",
    summary="Load VCF files of a callset into variants.",
    params=LoadVariants,
    reads=(),
    writes=(VARIANTS, CALLSET_SAMPLES, HEADERS, QUARANTINE, LOADS),
    run=run,
)
