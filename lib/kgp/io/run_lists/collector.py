"""Puts the rows of each run together to what a list says of it."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from kgp.errors import FormatError
from kgp.io.magetab.sdrf import FILES
from kgp.io.urls import place_of
from kgp.sources.datasets import Dataset
from kgp.transforms.runs import SEVERAL, RunRecord


@dataclass(frozen=True)
class RunList:
    """What a list says.

    Args:
        kind: sdrf, sequence_index, geo_series_matrix, geo_soft or table.
        records: one a run, by run id.
        n_rows: rows of the file that speak of a run of the dataset, counted apart from the records.
        warnings: what was odd but read, or passed over, and how often.
    """

    kind: str
    records: tuple[RunRecord, ...]
    n_rows: int
    warnings: Mapping[str, int]


@dataclass
class _Facts:
    """What the rows of one run say so far; values in the order in which they came, each once."""

    people: dict[str, None] = field(default_factory=dict)
    columns: dict[str, None] = field(default_factory=dict)
    fields: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    aliases: dict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    n_rows: int = 0


class Collector:
    """Puts the rows of each run together."""

    def __init__(self, kind: str, label: str, url: str, dataset: Dataset) -> None:
        self.kind, self.label, self.dataset = kind, label, dataset
        self.where = place_of(url)
        self.source = os.path.basename(self.where)
        self.warnings: Counter[str] = Counter()
        self._facts: dict[str, _Facts] = defaultdict(_Facts)
        self._patterns = [(p.column, re.compile(p.pattern)) for p in dataset.name_patterns]

    def add(
        self,
        run_id: str,
        people: Iterable[tuple[str, str]],
        aliases: Iterable[tuple[str, str]],
        fields: Mapping[str, str],
    ) -> None:
        """A row: (column, text) of who is named, (column, name) of other names, lab, batch, replicate."""
        facts = self._facts[run_id]
        facts.n_rows += 1
        named = [*people]
        for column, name in [*aliases, *named]:
            if name:
                facts.aliases[column][name] = None
        found = dict(fields)
        for column, pattern in self._patterns:
            for name in facts.aliases.get(column, ()):
                if match := pattern.fullmatch(name):
                    for group, value in match.groupdict().items():
                        if value and group == "person":
                            named.append((f"{column}, by its pattern", value))
                        elif value and not found.get(group):
                            found[group] = self.dataset.labs.get(value, value) if group == "lab" else value
        for column, text in named:
            if text:
                facts.people[text] = None
                facts.columns[column] = None
        for name, value in found.items():
            if value:
                facts.fields[name][value] = None

    def finish(self, n_rows: int, warnings: Mapping[str, int]) -> RunList:
        """The records.

        Raises:
            FormatError: there is none.
        """
        if not self._facts:
            what = f" of {self.dataset.accession}" if self.dataset.accession else ""
            raise FormatError(
                f"It names no run{what}.", where=self.where, mend="Give the run list of this dataset."
            )
        self._leave_out_shared_files()
        records = tuple(self._record(run_id, self._facts[run_id]) for run_id in sorted(self._facts))
        return RunList(self.kind, records, n_rows, {**warnings, **self.warnings})

    def _record(self, run_id: str, facts: _Facts) -> RunRecord:
        columns = " and ".join(facts.columns)
        return RunRecord(
            run_id=run_id,
            person_text=SEVERAL.join(facts.people) or None,
            evidence=f"{self.label} {columns}".strip(),
            lab=self._one("lab", facts),
            batch=self._one("batch", facts),
            replicate=self._one("replicate", facts),
            aliases={column: tuple(sorted(names)) for column, names in sorted(facts.aliases.items())},
            kind=self.kind,
            source=self.source,
            n_rows=facts.n_rows,
        )

    def _one(self, name: str, facts: _Facts) -> str | None:
        values = sorted(facts.fields.get(name, ()))
        if len(values) > 1:
            self.warnings[f"run whose rows differ in {name}"] += 1
        return ", ".join(values) or None

    def _leave_out_shared_files(self) -> None:
        """A file with the values of several people (CHB.raw_data.txt) is no name of a run."""
        people: dict[tuple[str, str], set[str]] = defaultdict(set)
        for facts in self._facts.values():
            for column in FILES:
                for name in facts.aliases.get(column, ()):
                    people[column, name].update(facts.people)
        for (column, name), owners in people.items():
            if len(owners) > 1:
                self.warnings[f"{column} of several people, no name of a run"] += 1
                for facts in self._facts.values():
                    facts.aliases.get(column, {}).pop(name, None)
        for facts in self._facts.values():
            for column in [column for column, names in facts.aliases.items() if not names]:
                del facts.aliases[column]
