"""How surely swapped runs are found in real data: 358 people, 608 genes of chr22.

    tests/benchmarks/setup_peers.sh geuvadis && python tests/benchmarks/swaps.py --out docs/benchmarks/swaps.md

Runs are swapped on purpose, again and again, and everything is done anew from the expression on: components, cis
eQTLs, scores, verdicts. A repeat is right where exactly the runs that were given to another are called swaps, and
the best person of each is whose run it is.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before numpy is imported

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kgp.eqtl.covariates import residualise
from kgp.eqtl.matching import MIN_LOCI, Judgement, match_people
from kgp.eqtl.matching_loci import LeadSearch, prepare_expression
from kgp.eqtl.matching_scores import make_folds
from kgp.eqtl.normalise import inverse_normal_transform

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cis_data import Cis, read_cis, read_covariates

ROOT = Path(__file__).resolve().parents[2]
Rng = np.random.Generator
# Whose run each one really is, of the people in their order; and who is in the set.
Mix = Callable[[Rng, int], tuple[np.ndarray, np.ndarray]]


@dataclass
class Tally:
    """What came of the repeats of a scenario."""

    n_repeats: int = 0
    n_exact: int = 0
    n_swapped: int = 0
    n_found: int = 0
    n_named: int = 0
    n_false: int = 0
    n_told: int = 0
    n_loci: int = 0


def find_swaps(cis: Cis, expression: np.ndarray, set_: np.ndarray) -> tuple[int, Judgement | None]:
    """Loci, and the verdicts on genes × runs of some people (by number), everybody being a candidate."""
    prepared = prepare_expression(expression)
    search = LeadSearch(prepared, ["22"] * prepared.chosen.size, cis.tss[prepared.chosen])
    search.add("22", cis.ids, cis.positions, cis.genotypes[:, set_])
    loci = search.choose_loci()
    if len(loci) < MIN_LOCI:
        return len(loci), None
    rows = [INDEX[variant] for variant in loci.variants]
    _, judged = match_people(
        prepared.values[loci.phenotypes],
        prepared.components,
        prepared.scales,
        set_,
        cis.genotypes[rows].astype(np.float64),
        make_folds([cis.samples[i] for i in set_], prepared.residuals),
    )
    return len(loci), judged


def nobody(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """No run is another's."""
    return np.arange(n), np.arange(n)


def pairs(n_pairs: int) -> Mix:
    """Pairs of runs swapped."""

    def mix(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
        owners = np.arange(n)
        for a, b in rng.choice(n, (n_pairs, 2), replace=False):
            owners[[a, b]] = owners[[b, a]]
        return owners, np.arange(n)

    return mix


def cycle(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Three runs moved on by one."""
    owners = np.arange(n)
    chosen = rng.choice(n, 3, replace=False)
    owners[chosen] = np.roll(chosen, 1)
    return owners, np.arange(n)


def copy(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """One person's run given to another person as well."""
    owners = np.arange(n)
    a, b = rng.choice(n, 2, replace=False)
    owners[b] = a
    return owners, np.arange(n)


def outside(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A run of a person who is not in the set, but in the callset."""
    a, b = rng.choice(n, 2, replace=False)
    set_ = np.delete(np.arange(n), a)
    owners = set_.copy()
    owners[set_ == b] = a
    return owners, set_


def all_mixed(rng: Rng, n: int) -> tuple[np.ndarray, np.ndarray]:
    """All runs in any order."""
    return rng.permutation(n), np.arange(n)


def measure(cis: Cis, mix: Mix, n_repeats: int, n_genes: int, covariates: np.ndarray, seed: int) -> Tally:
    """Repeat a scenario with other people, and other genes where not all are taken.

    The genotypes' components are of the person that a run is said to be of, the expression's are of the run.
    """
    tally = Tally()
    for repeat in range(n_repeats):
        rng = np.random.default_rng([seed, repeat])
        genes = np.sort(rng.choice(len(cis.genes), n_genes, replace=False))
        owners, set_ = mix(rng, len(cis.samples))
        expression = cis.expression[genes][:, owners]
        if covariates.size:
            of_both = np.column_stack(
                [covariates[set_, :N_OF_GENOTYPES], covariates[owners, N_OF_GENOTYPES:]]
            )
            expression = residualise(inverse_normal_transform(expression), of_both)
        part = Cis(cis.samples, cis.ids, cis.positions, cis.genotypes, [], cis.tss[genes], np.empty(0))
        n_loci, judged = find_swaps(part, expression, set_)
        is_swapped = owners != set_
        is_found = np.zeros(set_.size, dtype=bool)
        if judged is not None:
            is_found = np.array([verdict == "swap" for verdict in judged.verdicts])
            tally.n_named += int((is_found & is_swapped & (judged.best == owners)).sum())
            tally.n_told += judged.can_tell
        tally.n_repeats += 1
        tally.n_exact += bool((is_found == is_swapped).all())
        tally.n_swapped += int(is_swapped.sum())
        tally.n_found += int((is_found & is_swapped).sum())
        tally.n_false += int((is_found & ~is_swapped).sum())
        tally.n_loci += n_loci
    return tally


def main() -> None:
    """Run the scenarios and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT / "build" / "bench" / "geuvadis")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=200)
    options = parser.parse_args()
    cis = read_cis(options.data / "genotypes.chr22.vcf.gz", options.data / "genes.50percent.chr22.bed.gz")
    INDEX.update((name, i) for i, name in enumerate(cis.ids))
    covariates = read_covariates(options.data / "genes.covariates.pc50.txt.gz", cis.samples)
    n, full = options.repeats, len(cis.genes)
    names = (
        "input",
        "genes",
        "runs that are another's",
        "loci",
        "told",
        "exactly right",
        "found",
        "named",
        "false",
    )
    rows = [f"| {' | '.join(names)} |", "| " + " | ".join(["---"] * len(names)) + " |"]
    plan: list[tuple[str, int, int, str, Mix, int]] = []
    for name, k in (("RPKM", 0), ("residuals, 3 + 10", 13), ("residuals, 3 + 50", 53)):
        plan += [(name, k, full, "none", nobody, 1), (name, k, full, "3 pairs swapped", pairs(3), n)]
    plan += [
        ("RPKM", 0, full, what, mix, times)
        for what, mix, times in (
            ("3 in a circle", cycle, n // 2),
            ("one run given twice", copy, n // 2),
            ("one of a person outside the set", outside, n // 2),
            ("20 pairs swapped", pairs(20), n // 8),
            ("60 pairs swapped", pairs(60), n // 8),
            ("all mixed", all_mixed, n // 8),
        )
    ]
    for n_genes in (400, 300, 200, 100, 50):
        plan.append(("RPKM", 0, n_genes, "none", nobody, n // 2))
        plan.append(("RPKM", 0, n_genes, "3 pairs swapped", pairs(3), n // 4))
    for number, (name, k, n_genes, what, mix, times) in enumerate(plan):
        t = measure(cis, mix, times, n_genes, covariates[:, :k], number)
        found, named = (
            f"{k:,} of {t.n_swapped:,} ({100 * k / t.n_swapped:.1f} %)" if t.n_swapped else "–"
            for k in (t.n_found, t.n_named)
        )
        rows.append(
            f"| {name} | {n_genes} | {what} | {t.n_loci / t.n_repeats:.0f} | {t.n_told} of {t.n_repeats} | "
            f"{t.n_exact} of {t.n_repeats} | {found} | {named} | {t.n_false} |"
        )
        print(rows[-1], flush=True)
    if options.out:
        options.out.write_text(TEXT + "\n".join(rows) + "\n")


INDEX: dict[str, int] = {}
N_OF_GENOTYPES = 3

TEXT = """# How surely swapped runs are found

Written by tests/benchmarks/swaps.py; do not edit.

358 people of Geuvadis, 608 genes and 85,485 variants of chr22 (the example of QTLtools). The expression of some runs is
given to other people, and the search is done anew from the expression on; each repeat takes other people, and other
genes where not all are taken.

- *input*: expression as it is, or residuals of 3 genotype components (of the person that a run is said to be of) and 10
  or 50 expression components (of the run);
- *loci*: mean number of cis eQTLs that were found;
- *told*: repeats in which a verdict was given at all: there were 25 loci, and 80 % of swaps would be found;
- *exactly right*: repeats in which the runs of others, and no more, were called so;
- *found*: of all runs of others in all repeats, those that were called so, and *named* those with the right person;
- *false*: runs that were called another's and are not.

What is missed are runs of odd expression (HG00171, NA11829, NA12058), which hardly fit their own person either, and
where 53 covariates were taken out of 358 people, runs that have a component nearly to themselves.

"""

if __name__ == "__main__":
    main()
