"""The options of every job, as frozen dataclasses that check themselves: the only shape of options.

A field's name is the option's name everywhere: ``min_maf`` here, ``--min-maf`` on the command line and for
spark-submit, ``min_maf`` in `conf/*.yml`, ``KGP_EQTL_BUILD_MIN_MAF`` in the environment. There are no defaults here:
`conf/base.yml` is their only home.
"""

from __future__ import annotations

from kgp.params.declare import Related, option
from kgp.params.eqtl import EqtlBuild, EqtlExport, ExportFormat, Profile
from kgp.params.expression import (
    KINDS,
    UNITS,
    BadLines,
    LoadExpression,
    LoadRuns,
    MissingValues,
    Quality,
    UnknownRuns,
    Unplaced,
)
from kgp.params.files import Sync, Transfer
from kgp.params.lake import Vacuum
from kgp.params.mapping import EqtlMap, EqtlShow, EqtlTop, MapModel, Mode
from kgp.params.people import (
    LoadCovariates,
    LoadSamples,
    SamplesCohort,
    SamplesKinship,
    SamplesQc,
    SamplesTrios,
)
from kgp.params.region import Region
from kgp.params.report import WriteReport
from kgp.params.session import SessionParams
from kgp.params.variants import Absent, ExportVcf, LoadAnnotations, LoadVariants, Reader, Stats, Writer

__all__ = [
    "KINDS",
    "UNITS",
    "Absent",
    "BadLines",
    "EqtlBuild",
    "EqtlExport",
    "EqtlMap",
    "EqtlShow",
    "EqtlTop",
    "ExportFormat",
    "ExportVcf",
    "LoadAnnotations",
    "LoadCovariates",
    "LoadExpression",
    "LoadRuns",
    "LoadSamples",
    "LoadVariants",
    "MapModel",
    "MissingValues",
    "Mode",
    "Profile",
    "Quality",
    "Reader",
    "Region",
    "Related",
    "SamplesCohort",
    "SamplesKinship",
    "SamplesQc",
    "SamplesTrios",
    "SessionParams",
    "Stats",
    "Sync",
    "Transfer",
    "UnknownRuns",
    "Unplaced",
    "Vacuum",
    "WriteReport",
    "Writer",
    "option",
]
