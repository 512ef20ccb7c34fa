"""Which quantifications of a dataset are taken together: only what measures the same in different runs."""

from __future__ import annotations

from typing import Any

import pytest

from kgp.errors import InputError
from kgp.transforms.quantifications import choose_quantifications


def quantification(name: str, *runs: str, **given: Any) -> dict[str, Any]:
    row = {"quantification": name, "kind": "probe", "unit": "log2_intensity", "processing": "quantile"}
    return {**row, "build": "NCBI36", "run_ids": list(runs), **given}


CHB = quantification("CHB_p3_expression", "NA18524", "NA18526")
YRI = quantification("YRI_p3_expression", "NA18486")


def test_populations_in_files_of_their_own_are_one() -> None:
    assert choose_quantifications("E-MTAB-264", [YRI, CHB], []) == [CHB, YRI]
    assert choose_quantifications("E-MTAB-264", [YRI, CHB], ["YRI_p3_expression"]) == [YRI]
    assert choose_quantifications("E-MTAB-264", [], []) == []


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (quantification("b", "r", unit="count"), "their unit is count and log2_intensity"),
        (quantification("b", "r", kind="gene"), "their kind is gene and probe"),
        (quantification("b", "r", processing="none"), "their processing is none and quantile"),
        (quantification("b", "r", build="GRCh37"), "their build is GRCh37 and NCBI36"),
        (quantification("b", "NA18526"), "1 runs are in more than one of them, as NA18526"),
    ],
)
def test_what_does_not_fit_together_must_be_named(other: dict[str, Any], reason: str) -> None:
    with pytest.raises(
        InputError, match=rf"The quantifications of D do not fit together: {reason}.*Name the one"
    ):
        choose_quantifications("D", [CHB, other], [])
    with pytest.raises(InputError, match=f"Those that were named do not fit together: {reason}"):
        choose_quantifications("D", [CHB, other], ["b", "CHB_p3_expression"])
    assert choose_quantifications("D", [CHB, other], ["b"]) == [other]


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"has no quantification 'CHB_expression'. Did you mean CHB_p3_expression\?"
    ):
        choose_quantifications("D", [CHB, YRI], ["CHB_expression"])
