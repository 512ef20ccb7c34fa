"""Options: one name everywhere, defaults in conf/base.yml alone, later sources override earlier ones."""

from __future__ import annotations

import dataclasses
import math
import re
import typing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgp import params
from kgp.config import Config, find_conf_dir, load_config
from kgp.errors import UsageError
from kgp.params import (
    EqtlBuild,
    EqtlExport,
    EqtlMap,
    EqtlShow,
    EqtlTop,
    ExportVcf,
    LoadAnnotations,
    LoadCovariates,
    LoadExpression,
    LoadRuns,
    LoadSamples,
    LoadVariants,
    Mode,
    Profile,
    Quality,
    Region,
    SamplesCohort,
    SamplesKinship,
    SamplesQc,
    SamplesTrios,
    SessionParams,
    Stats,
    Sync,
    Vacuum,
    WriteReport,
)

KINDS = (
    Sync,
    LoadSamples,
    LoadVariants,
    LoadAnnotations,
    LoadRuns,
    LoadExpression,
    LoadCovariates,
    SamplesTrios,
    SamplesCohort,
    SamplesQc,
    SamplesKinship,
    Quality,
    Stats,
    EqtlBuild,
    EqtlMap,
    EqtlShow,
    EqtlTop,
    EqtlExport,
    ExportVcf,
    Vacuum,
    WriteReport,
    SessionParams,
)
PRESETS = {f"eqtl_profile_{name}".replace("-", "_"): name for name in typing.get_args(Profile)}
RECIPE = {field.name for field in dataclasses.fields(EqtlBuild) if field.metadata.get("preset")}
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)

VARIANTS = {"callset": "phase3", "build": "GRCh37", "vcf": ("a.vcf",)}
MATRICES = {"name": "demo", "callset": "phase3", "dataset": "E-GEUV-1"}


@pytest.fixture(scope="module")
def base() -> Config:
    return load_config(environ={})


def test_every_section_of_base_yml_belongs_to_params_and_has_no_strangers(base: Config) -> None:
    sections = {kind.section: kind for kind in KINDS}
    assert set(base.values) == {"", *sections, *PRESETS}
    for section, kind in sections.items():
        assert set(base.values[section]) <= {field.name for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("section", PRESETS)
def test_a_profile_decides_the_whole_recipe_and_nothing_else(base: Config, section: str) -> None:
    assert set(base.values[section]) == RECIPE
    assert not RECIPE & set(base.values["eqtl_build"])
    made = base.params(EqtlBuild, {**MATRICES, "profile": PRESETS[section]})
    for name, said in base.values[section].items():
        assert getattr(made, name) == (tuple(said) if isinstance(said, list) else said), name


def test_what_is_said_of_an_option_itself_counts_more_than_the_profile(tmp_path: Path) -> None:
    """Below the command line, the environment and a file; a profile can be changed as everything else."""
    conf = tmp_path / "mine.yml"
    conf.write_text(
        "eqtl_build: {profile: gtex, min_mac: 7}\neqtl_profile_gtex: {min_mac: 8, max_missing: 0.2, min_maf: 0.2}\n",
        encoding="utf-8",
    )
    environ = {
        "KGP_EQTL_BUILD_CIS_WINDOW": "5",
        "KGP_EQTL_PROFILE_GTEX_CIS_WINDOW": "6",
        "KGP_EQTL_PROFILE_GTEX_MIN_MAF": "0.3",
        "KGP_EQTL_PROFILE_BASIC_FACTORS": "pca",
    }
    config = load_config(str(conf), environ=environ)
    made = config.params(EqtlBuild, {**MATRICES, "min_hwe_p": 0.5})
    assert (made.min_mac, made.max_missing, made.min_maf, made.cis_window) == (7, 0.2, 0.3, 5)
    assert (made.profile, made.factors, made.min_hwe_p) == ("gtex", "peer", 0.5)
    made = config.params(EqtlBuild, {**MATRICES, "profile": "basic"})
    assert (made.profile, made.factors, made.min_maf, made.min_mac) == ("basic", "pca", 0.01, 7)


def test_what_a_person_asked_for_is_known(tmp_path: Path) -> None:
    """On the command line, in the environment, in a file; also where the profile says the same."""
    given = {"name": "a", "callset": "c", "dataset": "d", "profile": "gtex", "min_maf": None}
    assert not load_config(environ={}).params(EqtlBuild, given).is_asked_for("normalisation")
    told = load_config(environ={}).params(EqtlBuild, {**given, "normalisation": "tmm"})
    assert told.is_asked_for("normalisation")
    assert not told.is_asked_for("min_maf")
    environ = {"KGP_EQTL_BUILD_NORMALISATION": "tmm"}
    assert load_config(environ=environ).params(EqtlBuild, given).is_asked_for("normalisation")
    conf = tmp_path / "own.yml"
    conf.write_text("eqtl_build:\n  normalisation: tmm\n")
    assert load_config(str(conf), environ={}).params(EqtlBuild, given).is_asked_for("normalisation")
    conf.write_text("eqtl_profile_gtex:\n  normalisation: tmm\n")
    assert not load_config(str(conf), environ={}).params(EqtlBuild, given).is_asked_for("normalisation")


def test_a_profile_that_there_is_not_and_one_that_says_too_much(base: Config, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"eqtl_build\.profile: 'gtex-2035' is not among basic, gtex"):
        base.params(EqtlBuild, {**MATRICES, "profile": "gtex-2035"})
    conf = tmp_path / "mine.yml"
    conf.write_text("eqtl_profile_basic: {cohort: EUR}", encoding="utf-8")
    with pytest.raises(
        UsageError, match="section eqtl_profile_basic: 'cohort' is no option that a profile decides"
    ):
        load_config(str(conf), environ={}).params(EqtlBuild, MATRICES)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("indicator", ("sex", "age"), "--indicator: 'age' is no covariate of people. Use sex, population"),
        ("prune_step", 201, "--prune-step: A window of 200 variants can't move by 201"),
        ("n_factors", -1, "--n-factors: -1 is out of range"),
        ("min_hwe_p", 1.5, "--min-hwe-p: 1.5 is out of range"),
        ("phenotypes", "a.bed", "--dataset and --phenotypes: Phenotypes come from"),
        ("x_model", "0_3", "'0_3' is not among drop, 0_2, 0_1"),
    ],
)
def test_a_recipe_that_can_not_be_is_refused(base: Config, option: str, value: object, message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        base.params(EqtlBuild, {**MATRICES, option: value})


@pytest.mark.parametrize("path", sorted(p.name for p in Path(str(find_conf_dir())).glob("*.yml")))
def test_every_configuration_can_be_read(path: str) -> None:
    load_config(path.removesuffix(".yml"), environ={}).params(SessionParams)


def test_params_have_no_defaults_in_code() -> None:
    for kind in KINDS:
        for field in dataclasses.fields(kind):
            assert field.default is dataclasses.MISSING
            assert field.default_factory is dataclasses.MISSING


@kinds
def test_every_option_has_help(kind: type) -> None:
    if kind is not SessionParams:
        for field in dataclasses.fields(kind):
            assert field.metadata["help"]
            assert not field.metadata["help"].endswith(".")


def test_every_params_dataclass_is_tested_here() -> None:
    found = {v for v in vars(params).values() if isinstance(v, type) and hasattr(v, "section")}
    assert found == set(KINDS)


def test_the_order_is_base_file_environment_command_line(tmp_path: Path) -> None:
    conf = tmp_path / "mine.yml"
    conf.write_text(
        "eqtl_build: {min_maf: 0.02, max_missing: 0.02, cis_window: 2}\nlake: /file\n", encoding="utf-8"
    )
    environ = {"KGP_EQTL_BUILD_MAX_MISSING": "0.03", "KGP_EQTL_BUILD_CIS_WINDOW": "3", "KGP_LAKE": "/env"}
    config = load_config(str(conf), environ=environ)
    found = config.params(EqtlBuild, {**MATRICES, "cis_window": 4})
    assert (found.min_maf, found.max_missing, found.cis_window) == (0.02, 0.03, 4)
    assert found.cohort == "ALL"
    assert config.lake == "/env"
    assert load_config(str(conf), lake="/cli", environ=environ).lake == "/cli"


def test_the_environment_is_read_as_yaml() -> None:
    environ = {"KGP_LOAD_VARIANTS_CONTIG": "['21', X]", "KGP_LOAD_VARIANTS_STRICT": "true"}
    found = load_config(environ=environ).params(LoadVariants, VARIANTS)
    assert found.contig == ("21", "X")
    assert found.strict is True


@pytest.mark.parametrize(
    ("text", "contigs"),
    [("22", ("22",)), ("X", ("X",)), ("[21, 22]", ("21", "22")), ("null", ()), ("[]", ())],
)
def test_one_contig_or_several_from_the_environment(text: str, contigs: tuple[str, ...]) -> None:
    found = load_config(environ={"KGP_LOAD_VARIANTS_CONTIG": text}).params(LoadVariants, VARIANTS)
    assert found.contig == contigs


def test_a_required_option_may_come_from_the_environment() -> None:
    found = load_config(environ={"KGP_LOAD_SAMPLES_PANEL": "a.panel"}).params(LoadSamples)
    assert found.panel == ("a.panel",)


def test_what_is_missing_is_named_as_on_the_command_line(base: Config) -> None:
    with pytest.raises(UsageError, match=r"Not given: --callset, --build, VCF\."):
        base.params(LoadVariants)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("cis_window", "far"),
        ("cis_window", 1.5),
        ("cis_window", True),
        ("min_maf", "rare"),
        ("min_maf", True),
        ("replace", "yes"),
        ("profile", "gtex-2035"),
        ("min_maf", 0.6),
        ("max_missing", -0.1),
        ("max_missing", float("nan")),
        ("cis_window", -1),
        ("name", "a/b"),
        ("name", ""),
        ("no_such_option", 1),
    ],
)
def test_a_value_that_does_not_fit_is_refused(base: Config, option: str, value: object) -> None:
    with pytest.raises(UsageError) as caught:
        base.params(EqtlBuild, {**MATRICES, option: value})
    assert caught.value.mend


def test_a_null_where_a_value_is_needed_is_refused(tmp_path: Path) -> None:
    conf = tmp_path / "mine.yml"
    conf.write_text("eqtl_build: {cis_window: null}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="cis_window"):
        load_config(str(conf), environ={}).params(EqtlBuild, MATRICES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("eqtl_bild: {min_maf: 1}", "'eqtl_bild' is no option or section"),
        ("min_maf: 1", "'min_maf' is no option or section"),
        ("- a\n- b", "holds no options"),
        ("a: [", "no YAML"),
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    conf = tmp_path / "mine.yml"
    conf.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=re.escape(message)):
        load_config(str(conf), environ={})


def test_an_unknown_configuration_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match="azure, base, databricks, local"):
        load_config("nowhere", environ={})


@pytest.mark.parametrize(
    "given",
    [
        {"build": "hg99"},
        {"callset": "a b"},
        {"region": ("22",)},
        {"region": ("22:9-5",)},
        {"region": ("22:0-5",)},
        {"vcf": ()},
        {"vcf": ("a.vcf", "a.vcf")},
        {"reader": "fast"},
    ],
)
def test_load_variants_checks_its_options(base: Config, given: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        base.params(LoadVariants, {**VARIANTS, **given})


def test_load_expression_checks_its_options(base: Config) -> None:
    given = {"dataset": "E-GEUV-1", "matrix": "a.bed"}
    params = base.params(LoadExpression, given)
    assert (params.matrix, params.unit, params.build) == (("a.bed",), None, None), "the descriptor decides"
    for wrong, message in (
        ({"unit": "furlong"}, "--unit: 'furlong' is no unit. Use count"),
        ({"kind": "cell"}, "--kind: 'cell' is no kind. Use gene"),
        ({"matrix": ("a.bed", "a.bed")}, "--matrix: Name each matrix once"),
        ({"matrix": ("a.bed", "b.bed"), "quantification": "x"}, "can't be that of several matrices"),
    ):
        with pytest.raises(UsageError, match=message):
            base.params(LoadExpression, {**given, **wrong})


def test_load_samples_needs_a_file_and_reads_the_names_of_callsets(base: Config) -> None:
    with pytest.raises(UsageError, match="No file is given"):
        base.params(LoadSamples)
    given = base.params(LoadSamples, {"sample_list": ("phase3=a=b.txt",)})
    assert given.sample_lists == (("phase3", "a=b.txt"),)
    with pytest.raises(UsageError, match=r"'a\.txt' names no callset\. Write CALLSET=FILE"):
        base.params(LoadSamples, {"sample_list": ("a.txt",)})


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        (Quality, {"dataset": "E", "n_components": 0}, "--n-components: 0 is out of range"),
        (Quality, {"dataset": "E", "max_mads": 0.0}, "--max-mads: 0.0 is out of range"),
        (WriteReport, {"out": "report.pdf"}, "--out: 'report.pdf' does not end in .html"),
        (WriteReport, {"max_variants": 0}, "--max-variants: 0 is out of range"),
        (Vacuum, {"hours": 167}, "--hours: 167 hours are too few"),
        (
            EqtlMap,
            {"name": "n", "mode": "permute", "permutations": 9},
            "--permutations: 9 permutations are too few",
        ),
        (EqtlMap, {"name": "n", "mode": "permute", "fdr": 1.5}, "--fdr: 1.5 is out of range"),
        (
            EqtlMap,
            {"name": "n", "mode": "permute", "fdr": 0.0},
            "--fdr: 0.0 is out of range. Give a number above 0",
        ),
        (
            EqtlMap,
            {"name": "n", "mode": "trans", "max_p": 0.0},
            "--max-p: 0.0 is out of range. Give a number above",
        ),
        (EqtlMap, {"name": "n", "mode": "trans", "max_p": math.nan}, "--max-p: nan is out of range"),
        (EqtlMap, {"name": "n", "mode": "permute", "q_lambda": 1.0}, "--q-lambda: 1.0 is out of range"),
        (EqtlMap, {"name": "n", "mode": "finemap", "n_effects": 0}, "--n-effects: 0 is out of range"),
        (EqtlMap, {"name": "n", "mode": "finemap", "coverage": 0.0}, "--coverage: 0.0 is out of range"),
        (EqtlMap, {"name": "n", "mode": "finemap", "coverage": 1.0}, "--coverage: 1.0 is out of range"),
        (EqtlMap, {"name": "n", "mode": "finemap", "min_purity": 1.5}, "--min-purity: 1.5 is out of range"),
        (EqtlMap, {"name": "n", "mode": "interaction"}, "--interaction: A covariate is what interactions"),
        (EqtlTop, {"name": "n", "rows": 0}, "--rows: 0 is out of range"),
        (SamplesQc, {"callset": "c", "min_maf": 0.6}, "--min-maf: 0.6 is out of range"),
        (SamplesKinship, {"callset": "c", "min_kinship": 0.6}, "--min-kinship: 0.6 is out of range"),
    ],
)
def test_numbers_and_names_out_of_range(base: Config, kind: type, given: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        base.params(kind, given)


@pytest.mark.parametrize(
    ("mode", "given", "message"),
    [
        (
            "nominal",
            {"permutations": 10, "fdr": 0.1, "grouped": True, "max_p": 1e-3},
            "--permutations, --fdr, --grouped, --max-p: Mode nominal does not use them. Leave them away; give "
            "--permutations, --fdr and --grouped with --mode permute, independent or finemap; --max-p with "
            "--mode trans.",
        ),
        (
            "permute",
            {"n_effects": 5},
            "--n-effects: Mode permute does not use it. Leave it away; give --n-effects with --mode finemap.",
        ),
        (
            "finemap",
            {"min_interaction_maf": 0.1},
            "--min-interaction-maf: Mode finemap does not use it. Leave it away; give --min-interaction-maf with "
            "--mode interaction.",
        ),
        (
            "trans",
            {"seed": 1},
            "--seed: Mode trans does not use it. Leave it away; give --seed with --mode permute, independent or "
            "finemap.",
        ),
    ],
)
def test_an_option_of_other_modes_is_refused(base: Config, mode: str, given: dict, message: str) -> None:
    """Also one that is given as it is by default."""
    with pytest.raises(UsageError) as refused:
        base.params(EqtlMap, {"name": "n", "mode": mode, **given})
    assert " ".join(str(refused.value).split()) == message


_OF_ALL_MODES = {"model": "fastqtl", "contig": ["1"], "phenotype_df": 2, "replace": True}
_OF_PERMUTATIONS = {
    "permutations": 20,
    "seed": 2,
    "fdr": 0.1,
    "q_lambda": 0.5,
    "grouped": True,
    "cis_window": 10,
}
_OF_MODES = {
    "nominal": {"cis_window": 10},
    "permute": _OF_PERMUTATIONS,
    "independent": _OF_PERMUTATIONS,
    "finemap": {**_OF_PERMUTATIONS, "n_effects": 5, "coverage": 0.9, "min_purity": 0.1},
    "interaction": {"cis_window": 10, "interaction": "c", "min_interaction_maf": 0.1},
    "trans": {"max_p": 0.1, "trans_distance": 0},
}


@pytest.mark.parametrize("mode", typing.get_args(Mode))
def test_a_mode_takes_all_that_it_uses_and_leaves_the_configurations_options_alone(
    mode: str, base: Config
) -> None:
    of_others = {"permutations": 20, "fdr": 0.1, "n_effects": 5, "min_interaction_maf": 0.1, "max_p": 0.1}
    config = Config({**base.values, "eqtl_map": {**base.values["eqtl_map"], **of_others}})
    made = config.params(EqtlMap, {"name": "n", "mode": mode, **_OF_ALL_MODES, **_OF_MODES[mode]})
    assert made.mode == mode
    assert dataclasses.replace(made, seed=7).seed == 7


@given(
    st.sampled_from(["22", "chr22", "HLA-A*01:01", "HLA-DRB1*15:03:01:02", "GL000207.1"]),
    st.integers(0, 2**31),
    st.integers(1, 2**20),
)
def test_a_region_is_read_as_it_is_written(contig: str, start: int, length: int) -> None:
    region = Region(contig=contig, start=start, end=start + length)
    assert Region.parse(str(region)) == region
    assert Region.parse(f"{contig}:{start + 1:,}-{start + length:,}") == region


def test_literal_types_name_what_is_built() -> None:
    assert typing.get_args(params.Reader) == ("auto", "builtin", "glow")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("min_count", float("nan"), r"--min-count: nan is out of range\. Give 0 or more"),
        ("min_expression", float("inf"), r"--min-expression: inf is no threshold"),
        (
            "cis_window",
            2**63 - 1,
            r"--cis-window: 9223372036854775807 is out of range\. Give at most 1,000,000,000",
        ),
        ("prune_max_r2", 1.0, r"--prune-max-r2: 1 is out of range\. Give a number from 0, below 1"),
    ],
)
def test_a_number_that_makes_no_set_is_refused(base: Config, option: str, value: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        base.params(EqtlBuild, {**MATRICES, option: value})
