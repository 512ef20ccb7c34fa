"""The targets of eQTL matrices and mapping, and whether they are met: judged from the recorded runs.

The runs are a dict of parts, each measured by a script (`PARTS`); a part has

- when, where and with what: see `eqtl_part.begin_part`; ``failed``: what could not be measured → why;
- what the script says of it; seconds are ``{"wall": […], "processor": […]}``, one number a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

Part = dict[str, Any]
Record = dict[str, Part]

# Part → the script that measures it.
PARTS = {"mapping": "mapping.py", "matrices": "matrices.py", "subset": "subset.py"}
_CLOCKS = {"wall": "wall clock", "processor": "processor time"}
# Permutations that the targets are for.
N_PERMUTATIONS = 1000


@dataclass(frozen=True)
class Target:
    """Something to reach.

    Args:
        label: its name in the picture.
        what: is measured.
        at_least: number of times, or share; 1 is not enough: as fast is not faster.
        part: that has the runs.
        needs: what the part must have for it.
        judge: the number and the figures it comes of, from the part.
        how: it is measured.
        is_share: a part of something, shown in per cent.
    """

    label: str
    what: str
    at_least: float
    part: str
    needs: str
    judge: Callable[[Part], tuple[float, str]]
    how: str
    is_share: bool = False

    @property
    def wanted(self) -> str:
        """The target in words."""
        if self.is_share:
            return f"≥ {self.at_least:.0%}"
        return f"{'>' if self.at_least == 1 else '≥'} {self.at_least:g} ×"

    def is_met(self, value: float) -> bool:
        """Whether a number reaches it."""
        return value > 1 if self.at_least == 1 else value >= self.at_least


@dataclass(frozen=True)
class Goal:
    """A target and what was measured.

    Args:
        target: to reach.
        value: that was reached; None where it was not measured.
        figures: it comes of, or why there is none.
    """

    target: Target
    value: float | None
    figures: str

    @property
    def measured(self) -> str:
        """The number in words."""
        if self.value is None:
            return "not measured"
        return f"{self.value:.1%}" if self.target.is_share else f"{self.value:.2f} ×"

    @property
    def met(self) -> str:
        """Whether it is met."""
        return "" if self.value is None else "yes" if self.target.is_met(self.value) else "**NO**"


def list_goals(record: Record) -> list[Goal]:
    """All targets, measured or not."""
    return [_judge(target, record.get(target.part, {})) for target in TARGETS]


def _judge(target: Target, part: Part) -> Goal:
    if target.needs in part:
        return Goal(target, *target.judge(part))
    failed = part.get("failed", {})
    reason = failed.get(target.needs, failed.get(target.part, "it was left out of this run"))
    return Goal(target, None, str(reason))


def _against(peer: str, job: str, work: str, part: Part) -> tuple[float, str]:
    """Times as fast on one core as a peer, by the worse of the clocks that both have."""
    ours, theirs = part["kgp"]["1"][job], part[peer][work]
    clocks = [clock for clock in _CLOCKS if clock in theirs]
    times = {clock: median(theirs[clock]) / median(ours[clock]) for clock in clocks}
    figures = (
        f"{_CLOCKS[clock]} {tell_seconds(ours[clock])}, {peer} {tell_seconds(theirs[clock])}: {times[clock]:.2f} ×"
        for clock in clocks
    )
    return min(times.values()), "; ".join(figures)


def _rate(part: Part) -> tuple[float, str]:
    rate = part["rate"]
    peak = max(rate["peak"])
    by_pass, by_job = (rate["gflop"] / median(rate[name]) for name in ("pass", "job"))
    shares = (
        f"pass {by_pass:.1f} of {peak:.1f} GFLOP/s, {by_pass / peak:.1%}; whole job {by_job:.1f} GFLOP/s, "
    )
    return by_pass / peak, f"{shares}{by_job / peak:.1%}; {rate['gflop'] / 1000:.2f} TFLOP executed"


def _two_cores(job: str, part: Part) -> tuple[float, str]:
    """By the median of what each pair of runs says that followed one another: a machine's speed changes by minutes."""
    one, two = (part["kgp"][cores][job]["wall"] for cores in "12")
    times = [a / b for a, b in zip(one, two, strict=True)]
    each = ", ".join(f"{value:.2f}" for value in times)
    return median(times), f"{tell_seconds(one)} → {tell_seconds(two)}; by pairs of runs {each}"


def _matrices(part: Part) -> tuple[float, str]:
    """Of the most people; the slower of kgp's two ways counts."""
    runs = part["people"][max(part["people"], key=int)]["seconds"]
    peers = [name for name in runs if not name.startswith("kgp")]
    slowest = max(median(seconds) for name, seconds in runs.items() if name not in peers)
    figures = ", ".join(f"{name} {tell_seconds(seconds)}" for name, seconds in runs.items())
    return sum(median(runs[name]) for name in peers) / slowest, figures


def _subset(part: Part) -> tuple[float, str]:
    ours, theirs = (part["seconds"][name] for name in ("kgp", "bcftools"))
    return median(theirs) / median(ours), f"kgp {tell_seconds(ours)}, bcftools {tell_seconds(theirs)}"


def tell_seconds(seconds: Sequence[float]) -> str:
    """The median of the runs."""
    middle = median(seconds)
    return f"{middle:.2f} s" if middle < 10 else f"{middle:.1f} s"


_TWO_CORES = (
    "whole jobs in warm sessions, pinned to their cores with JVM and workers, which take turns; wall clock, the median "
    "of the pairs of runs"
)

TARGETS = (
    Target(
        "permutations, against QTLtools", "permutations of all genes, beta fits included, against QTLtools, a core",
        10.0, "mapping", "QTLtools", partial(_against, "QTLtools", "permute", "permute"),
        "whole job, session and workers warm, pinned to one core. QTLtools, on one core too, from VCF and BED: all "
        "genes with 10 permutations, and of a part of them what the other permutations take more, from which all are "
        "reckoned by the number of pairs. The worse of the two clocks counts; the processor's is of kgp's JVM and "
        "workers too.",
    ),
    Target(
        "permutations, against tensorQTL", "the same against tensorQTL on the processor, a core",
        3.0, "mapping", "tensorQTL", partial(_against, "tensorQTL", "permute, fastqtl", "permute"),
        "the same in the model `fastqtl`, which is tensorQTL's. `tensorqtl.cis.map_cis` takes every n-th gene, in one "
        "thread on one core, reading not counted, and all genes are reckoned from the number of pairs.",
    ),
    Target(
        "nominal pass, against QTLtools", "nominal pass against QTLtools, output included, a core",
        2.0, "mapping", "QTLtools", partial(_against, "QTLtools", "nominal", "nominal"),
        "whole job from the set's tables to the committed table of all pairs, as the command does it: so few pairs "
        "without Spark. QTLtools from VCF and BED to its text. "
        "One core each; the worse of the two clocks counts.",
    ),
    Target(
        "rate, of the sgemm peak", "floating-point rate of the permutation pass, of the machine's sgemm peak",
        0.75, "mapping", "rate", _rate,
        "one process, one thread, pinned to a core; products of 2,048 × 2,048 matrices in single precision before and "
        "after each run of the job, the best is the peak. Counted are the products that were executed (equal genotype "
        "vectors of a window once), over the processor's time of the pass: permuted phenotypes, products, extremes. "
        "*Whole job*: the same products over all of its processor time, reading, beta fits and writing included.",
        is_share=True,
    ),
    Target(
        "matrices, against three programs",
        "genotypes of a contig for matrices, from the tables, against bcftools + plink2 + a Python script together",
        1.0, "matrices", "people", _matrices,
        "the most people that were taken; the slower of kgp's two ways counts; wall clock, on all cores.",
    ),
    Target(
        "subset, against bcftools", "sample subset of a full callset, a whole contig, against `bcftools view -S`",
        1.0, "subset", "seconds", _subset,
        "`kgp export vcf --samples` from the tables, its index included, bcftools from the VCF, without one; the same "
        "compression level and cores; wall clock.",
    ),
    Target(
        "permutations, 1 → 2 cores", "permutation pass on two cores against one",
        1.8, "mapping", "kgp", partial(_two_cores, "permute"), f"{_TWO_CORES}.",
    ),
    Target(
        "nominal pass, 1 → 2 cores", "nominal pass of 5 Mb windows on two cores against one",
        1.8, "mapping", "kgp", partial(_two_cores, "nominal, wide"),
        f"{_TWO_CORES}; five times as many pairs, so that the command takes Spark tasks for them.",
    ),
    Target(
        "short nominal pass, 1 → 2 cores", "nominal pass of 1 Mb windows on two cores against one",
        1.8, "mapping", "kgp", partial(_two_cores, "nominal, Spark tasks"),
        f"{_TWO_CORES}; made to take Spark tasks, which the command does not for less than eight seconds of work.",
    ),
)  # fmt: skip
