"""`kgp load annotations`: what a release says its variants do to genes, into `annotations`."""

from __future__ import annotations

from kgp.genome import ReferenceBuild, get_build
from kgp.io.vcf import Layout, Records, Roots, Selection, VcfHeader, read_header
from kgp.io.vcf.annotations import NO_ANNOTATION, find_formats, read_annotations
from kgp.job import Context, Job, Report
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load
from kgp.jobs.vcf_loads import Tally, check_callset_build, check_header, check_records, commit_rejects
from kgp.params import LoadAnnotations
from kgp.tables import ANNOTATIONS, HEADERS, LOADS, QUARANTINE
from kgp.transforms.loads import describe_selection


def run(context: Context, params: LoadAnnotations) -> Report:
    """Load the files one after the other; each is whole, or not there."""
    build = get_build(params.build)
    check_callset_build(context, params.callset, build)
    selection = Selection(contigs=params.contig, regions=params.regions).in_build(build)
    tally = Tally()
    for url in params.vcf:
        load = plan_load(
            context,
            url,
            target=ANNOTATIONS.name,
            subject=params.callset,
            build=build.name,
            selection=describe_selection(selection.contigs, selection.regions, strict=params.strict),
        )
        if load.is_done:
            context.progress.say(f"{load.path} is already loaded, nothing to do")
            continue
        tally.add(load, _load_file(context, load, params, build, selection))
    if not tally.n_files:
        return Report(
            "load_annotations", False, f"{params.callset} has these annotations already, nothing to do"
        )
    return tally.report("load_annotations", ANNOTATIONS.name, f"read with {tally.alleles_out:,} annotations")


def _load_file(
    context: Context, load: FileLoad, params: LoadAnnotations, build: ReferenceBuild, selection: Selection
) -> LoadCounts:
    """What became of the records."""
    began = context.seconds
    header = read_header(load.url)
    find_formats(header, load.url)
    check_header(load, header, build)
    layout = Layout.make(header, build, selection, params.callset, load.load_id, females=())
    roots = Roots(context.path(ANNOTATIONS), context.path(QUARANTINE))
    with context.progress.step(f"loading {load.path}"):
        records = read_annotations(context.spark, load.url, header, layout, roots, strict=params.strict)
        check_records(load, header, build, records, strict=params.strict)
        counts = _write(context, load, header, records)
    finish_load(
        context, load, counts, reader=records.reader, reason=records.reason, seconds=context.seconds - began
    )
    return counts


def _write(context: Context, load: FileLoad, header: VcfHeader, records: Records) -> LoadCounts:
    """Commit the rows; a record counts as read where it has rows, or was seen to have no annotation."""
    context.put(HEADERS, [load.header_row(header.text)], load.slice)
    rejected = commit_rejects(context, load, records)
    context.commit(ANNOTATIONS, records.written, [load.load_id])
    context.check_key(ANNOTATIONS, load.slice)
    rows = context.measure(
        ANNOTATIONS, load.slice, records="count(DISTINCT record_id)", annotations="count(*)"
    )
    survey = records.survey
    return LoadCounts(
        rows_in=survey.n_records,
        rows_out=rows["records"] + survey.warnings.get(NO_ANNOTATION, 0),
        rows_quarantined=rejected,
        alleles_out=rows["annotations"],
        warnings=survey.warnings,
        warned_at=survey.warned_at,
    )


LOAD_ANNOTATIONS = Job(
    name="load_annotations",
    summary="Load annotated sites files of a callset into annotations.",
    params=LoadAnnotations,
    reads=(),
    writes=(ANNOTATIONS, HEADERS, QUARANTINE, LOADS),
    run=run,
)
