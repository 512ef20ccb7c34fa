"""Expression datasets as descriptors: how their runs are named and what their released tables of values hold.

A dataset is added by writing one of these and going through the checklist in docs/DATASETS.md; no other code changes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Quantification:
    """A released table of values, or several of one kind.

    Args:
        pattern: shell pattern of the file's name.
        kind: gene, transcript, exon, mirna or probe.
        unit: one of `kgp.params.UNITS`.
        processing: what was done to the values: none, peer10_residuals, quantile, cqn, unknown.
        build: reference build of its places.
        annotation: where the places come from (``GENCODE 12, GRCh37``); None where that is not known.
    """

    pattern: str
    kind: str
    unit: str
    processing: str
    build: str
    annotation: str | None = None


@dataclass(frozen=True)
class RunTable:
    """Columns of a tabular run list that is neither an SDRF nor a sequence.index.

    Args:
        run: column of the run's own id.
        person: column of the person.
        aliases: further columns whose values name the run.
        lab, batch, replicate: their columns, where there are any.
        where: column → value of the rows that count; all of them where empty.
    """

    run: str
    person: str
    aliases: tuple[str, ...] = ()
    lab: str | None = None
    batch: str | None = None
    replicate: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NamePattern:
    """What names that follow a rule say beside being names.

    Args:
        column: where the names stand: a column of the SDRF, the index or the table; ``title`` of a GEO sample.
        pattern: regular expression of a whole name, with any of the groups person, lab, batch and replicate.
    """

    column: str
    pattern: str


@dataclass(frozen=True)
class Dataset:
    """An expression dataset.

    Args:
        accession: as ``--dataset`` names it, and `kgp.sources` its files.
        n_people: people that it has.
        quantifications: what its files hold; the first whose pattern fits counts.
        run_columns: columns of the SDRF that give the run's id, the first that has a value counts.
        lab_columns, batch_columns, replicate_columns: columns of the SDRF, likewise.
        run_tables: shapes of its tabular run lists; the first whose columns are all there counts.
        studies: study accessions (ERP…, SRP…) whose rows of a sequence.index belong to it.
        person_columns: columns of the SDRF that name the person; a run for which they name different people has none.
            Of a GEO sample, ``Characteristics[…]`` are its characteristics.
        name_patterns: what names of runs and samples say of person, lab, batch and replicate, where no column does.
        labs: codes of laboratories in names → the laboratory as `lab_columns` name it.
    """

    accession: str
    n_people: int
    quantifications: tuple[Quantification, ...]
    run_columns: tuple[str, ...]
    lab_columns: tuple[str, ...] = ()
    batch_columns: tuple[str, ...] = ()
    replicate_columns: tuple[str, ...] = ()
    run_tables: tuple[RunTable, ...] = ()
    studies: tuple[str, ...] = ()
    person_columns: tuple[str, ...] = ("Source Name",)
    name_patterns: tuple[NamePattern, ...] = ()
    labs: Mapping[str, str] = field(default_factory=dict)

    def find_quantification(self, file_name: str) -> Quantification | None:
        """What a file of that name holds, or None where the descriptor does not say."""
        return next((q for q in self.quantifications if fnmatch.fnmatchcase(file_name, q.pattern)), None)


_GEUVADIS_LABS = {
    "1": "UNIGE", "2": "CNAG_CRG", "3": "MPIMG", "4": "ICMB", "5": "HMGU", "6": "UU", "7": "LUMC",
}  # fmt: skip
_GENCODE_12 = "GENCODE 12, GRCh37"


def _geuvadis(
    form: str, kind: str, unit: str, annotation: str | None = _GENCODE_12
) -> tuple[Quantification, ...]:
    """A form of the Geuvadis tables: with PEER factors taken out (resk10), and as measured.

    Names: GD462 has a column a person, GD660 a column a run; 50FN keeps what at least half of the people express;
    resk10 are residuals of ten PEER factors.
    """
    return (
        Quantification(f"GD*.{form}*.resk10*", kind, unit, "peer10_residuals", "GRCh37", annotation),
        Quantification(f"GD*.{form}*", kind, unit, "none", "GRCh37", annotation),
    )


DATASETS: tuple[Dataset, ...] = (
    # Seen: the SDRF, geuvadis.sequence.index, both tables of runs, part of GD660.TrQuantCount. By name in programs
    # that read them: GD462.GeneQuantRPKM.50FN.samplename.resk10, GD462.TrQuantRPKM…, GD462.ExonQuantCount.45N…,
    # GD660.GeneQuantRPKM, GD660.GeneQuantCount, GD660.TrQuantRPKM. ExonQuantRPKM follows their rule.
    Dataset(
        "E-GEUV-1",
        462,
        (
            *_geuvadis("GeneQuantRPKM", "gene", "rpkm"),
            *_geuvadis("GeneQuantCount", "gene", "count"),
            *_geuvadis("TrQuantRPKM", "transcript", "rpkm"),
            *_geuvadis("TrQuantCount", "transcript", "count"),
            *_geuvadis("ExonQuantRPKM", "exon", "rpkm"),
            *_geuvadis("ExonQuantCount", "exon", "count"),
            # Of the eQTL Catalogue's workflow qtlmap: GRCh38, a column a run.
            Quantification("GEUVADIS_cqn*", "gene", "log2_cqn", "cqn", "GRCh38", None),
        ),
        run_columns=("Comment[ENA_RUN]", "Assay Name"),
        lab_columns=("Performer",),
        run_tables=(
            RunTable("ena_id", "name", aliases=("assay_name",), lab="lab"),  # hlaseqlib's geuvadis_info
            RunTable("sample_id", "genotype_id"),  # the eQTL Catalogue's sample metadata
        ),
        studies=("ERP001942",),
        # Person.laboratory.M_date_lane: sequencing in one week at one place is a batch.
        name_patterns=tuple(
            NamePattern(column, r"\w+\.(?P<lab>[1-7])\.M_(?P<batch>\d{6})_\d+")
            for column in ("Assay Name", "RUN_NAME", "assay_name")
        ),
        labs=_GEUVADIS_LABS,
    ),
    # Not seen: its SDRF, which is taken to be laid out as that of E-GEUV-1 is. Seen: its rows of
    # geuvadis.sequence.index. By name in programs that read them:
    # GD452.MirnaQuantCount.1.2N.50FN.samplename.resk10, GD480.MirnaQuantCount.1.2N. Which release of miRBase gave
    # the places could not be verified.
    Dataset(
        "E-GEUV-2",
        452,
        _geuvadis("MirnaQuant", "mirna", "count", None),
        run_columns=("Comment[ENA_RUN]", "Assay Name"),
        lab_columns=("Performer",),
        studies=("ERP001941",),
        name_patterns=tuple(
            NamePattern(column, r"\w+\.(?P<lab>[1-7])\.MI_(?P<batch>\d{6})_\d+(?:_\d+\.fastq\.gz)?")
            for column in ("Assay Name", "RUN_NAME")
        ),
        labs=_GEUVADIS_LABS,
    ),
    # Not seen: any of its files. That its SDRF has Source Name and Factor Value[INDIVIDUAL] as the person, and a
    # column of ENA runs, is by programs that read it. Its processed values could not be verified: name, unit and
    # build are those that --unit, --kind and --build have to say.
    Dataset(
        "E-MTAB-197",
        60,
        (),
        run_columns=("Comment[ENA_RUN]", "Assay Name"),
        lab_columns=("Performer",),
        person_columns=("Source Name", "Characteristics[individual]", "Factor Value[individual]"),
    ),
    # Not seen: its SDRF, taken to be laid out as that of E-MTAB-264. By name in programs that read it:
    # normalized_array_data.109.txt, which has the layout of the files of E-MTAB-264.
    Dataset(
        "E-MTAB-198",
        109,
        (Quantification("normalized_*", "probe", "log2_intensity", "quantile", "NCBI36", "A-MEXP-930"),),
        run_columns=("Hybridization Name", "Assay Name"),
        person_columns=("Source Name", "Characteristics[individual]", "Factor Value[individual]"),
    ),
    # Seen: its SDRF. By name there: <POP>_p3_expression.txt. Stranger et al. 2012
    # (doi:10.1371/journal.pgen.1002639): log2 values, quantile normalised over the replicates of a person and then
    # over the people of a population. HapMap 3, with which they were analysed, lies in NCBI36; that the paper
    # places the probes there could not be verified word for word.
    Dataset(
        "E-MTAB-264",
        618,
        (Quantification("*_p3_expression*", "probe", "log2_intensity", "quantile", "NCBI36", "A-MEXP-930"),),
        run_columns=("Hybridization Name",),
        person_columns=("Source Name", "Characteristics[individual]", "Factor Value[individual]"),
        # NA18524_1_1 and NA18524_2_1: two hybridisations a person.
        name_patterns=(NamePattern("Hybridization Name", r"\w+?_(?P<replicate>\d+_\d+)"),),
    ),
    # Not seen: any of its files. By programs that read them: titles like NA18486_yale and NA18498_2_argonne in the
    # series matrix, FactorValue [CELL LINE] in the SDRF; its Source Names are taken to be GEO's (GSM485367 1), as
    # in all collections that ArrayExpress took over from GEO. It has no processed matrix there.
    Dataset(
        "E-GEOD-19480",
        69,
        (),
        run_columns=("Assay Name", "Comment[ENA_RUN]"),
        person_columns=("Characteristics[cell line]", "Factor Value[cell line]"),
        name_patterns=tuple(
            NamePattern(column, r"(?P<person>NA\d{5})(?:_(?P<replicate>\d+))?_(?P<lab>argonne|yale)")
            for column in ("title", "Comment[Sample_title]")
        ),
    ),
    # MAGE 1.0 (doi:10.5281/zenodo.10535719): no accession of ArrayExpress, so its own name. Not seen: its files.
    # Columns and names of files by programs that read them; GENCODE 38 by its own description of the pipeline.
    Dataset(
        "MAGE",
        731,
        (
            Quantification(
                "inverse_normal_TMM.filtered.TSS.MAGE.v1.0.bed*", "gene", "unknown", "inverse_normal_tmm",
                "GRCh38", "GENCODE 38, GRCh38",
            ),
            Quantification(
                "TMM.filtered.TSS.MAGE.v1.0.bed*", "gene", "cpm", "tmm", "GRCh38", "GENCODE 38, GRCh38"
            ),
            Quantification(
                "raw_pseudocounts.filtered.TSS.MAGE.v1.0.bed*", "gene", "count", "none", "GRCh38",
                "GENCODE 38, GRCh38",
            ),
            Quantification("expression.counts.csv*", "gene", "count", "none", "GRCh38", "GENCODE 38, GRCh38"),
        ),
        run_columns=(),
        run_tables=(
            RunTable(
                "SRA_accession",
                "sample_kgpID",
                aliases=("internal_libraryID", "sample_coriellID"),
                batch="batch",
            ),
        ),
        # HG00183-1-2: the second library of the person in batch 1.
        name_patterns=(NamePattern("internal_libraryID", r"(?:HG|GM)\d{5}-\d+-(?P<replicate>\d+)"),),
    ),
)  # fmt: skip


def find_dataset(accession: str) -> Dataset | None:
    """The descriptor of a dataset, or None for one that kgp has none of."""
    return next((dataset for dataset in DATASETS if dataset.accession == accession), None)
