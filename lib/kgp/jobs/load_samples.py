"""`kgp load samples`: a population panel, and a pedigree where there is one, into `samples`."""

from __future__ import annotations

from kgp.io.panel import People, read_panel, read_pedigree
from kgp.job import Context, Job, Report
from kgp.jobs.ledger import FileLoad, LoadCounts, finish_load, plan_load
from kgp.params import LoadSamples
from kgp.tables import LOADS, SAMPLES
from kgp.transforms.people import merge_people


def run(context: Context, params: LoadSamples) -> Report:
    """Merge the files with the people already known; a person's row is complete or absent."""
    sources = [("panel", params.panel, read_panel)]
    if params.pedigree is not None:
        sources.append(("pedigree", params.pedigree, read_pedigree))
    loads = [
        (plan_load(context, path, target=SAMPLES.name, subject=kind), read) for kind, path, read in sources
    ]
    if all(load.is_done for load, _ in loads):
        return Report("load_samples", False, "already loaded, nothing to do")

    with context.progress.step(f"reading {' and '.join(load.path for load, _ in loads)}"):
        files: list[tuple[FileLoad, People]] = [(load, read(load.url)) for load, read in loads]
    replaced = {old for load, _ in files for old in load.decision.supersedes}
    known = [r for r in context.fetch(SAMPLES) if r["load_id"] not in replaced]
    people = merge_people(
        [(load.load_id, found.rows) for load, found in files] + [(r["load_id"], [r]) for r in known]
    )
    with context.progress.step(f"writing {len(people):,} people"):
        context.put(SAMPLES, people, None)
        written = {r["sample_id"] for r in context.fetch(SAMPLES, ["sample_id"])}
        for load, found in files:
            if not load.is_done:
                out = sum(row["sample_id"] in written for row in found.rows)
                counts = LoadCounts(found.n_lines, out, 0, len(people), found.warnings)
                kind = load.identity.subject
                finish_load(context, load, counts, reader=kind, reason="text table", seconds=context.seconds)
    notes = [f"{load.path}: {n} x {what}" for load, found in files for what, n in found.warnings.items()]
    return Report(
        "load_samples", True, f"{len(people):,} people", rows={SAMPLES.name: len(people)}, notes=notes
    )


LOAD_SAMPLES = Job(
    name="load_samples",
    summary="Load who the people are: panel and pedigree into samples.",
    params=LoadSamples,
    reads=(),
    writes=(SAMPLES, LOADS),
    run=run,
)
