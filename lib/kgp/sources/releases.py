"""The releases of the 1000 Genomes Project, what was made of its people's genomes since, and every source by name.

Names of files are those of IGSR's site. ``integrated_v5*`` and the like stand for the versions that the trees of the
years hold: v5, v5a, v5b of the autosomes, v1b and v1c of X, v2a and v2b of Y.
"""

from __future__ import annotations

import difflib

from kgp.errors import UsageError
from kgp.sources.doors import CURATED, DRAGEN, DRAGEN_3_7_6, DRAGEN_4_4_7, G1K
from kgp.sources.expression import EXPRESSION
from kgp.sources.model import Part, Source

_AUTOSOMES = tuple(str(n) for n in range(1, 23))
_WITH_X = (*_AUTOSOMES, "X")
_WITH_XY = (*_WITH_X, "Y")
_ALL = (*_WITH_XY, "MT")

# Directories of people: HG00096, NA12878. Nothing else that lies beside them is meant.
_PERSON = "[HN][AG][0-9][0-9][0-9][0-9][0-9]"

_PHASE3 = "release/20130502"
_SUPPORTING = f"{_PHASE3}/supporting"
_PHASE1 = "phase1/analysis_results/integrated_call_sets"
_PILOT = "pilot_data/paper_data_sets/a_map_of_human_variation"
_RECALL = "data_collections/1000_genomes_project/release"
_30X = "data_collections/1000G_2504_high_coverage"

_G1K_TERMS = "Public without embargo; cite the project: https://www.internationalgenome.org/faq/how-do-i-cite-1000-genomes-project"
_DRAGEN_TERMS = (
    "The registry states no licence for the calls; the genomes are public without embargo: "
    "https://registry.opendata.aws/ilmn-dragen-1kgp/"
)
_PHASE3_PAPER = (
    "The 1000 Genomes Project Consortium. A global reference for human genetic variation. Nature 526, 68-74 (2015). "
    "doi:10.1038/nature15393"
)
_30X_PAPER = (
    "Byrska-Bishop M, et al. High-coverage whole-genome sequencing of the expanded 1000 Genomes Project cohort "
    "including 602 trios. Cell 185, 3426-3440 (2022). doi:10.1016/j.cell.2022.08.004"
)
_DRAGEN_PAPER = (
    "Illumina, Inc. 1000 Genomes Phase 3 Reanalysis with DRAGEN. Registry of Open Data on AWS. "
    "doi:10.60489/roda.knk5u2"
)
_3202 = "the 2,504 people of phase 3 and 698 relatives of theirs; 602 trios"

_PHASE3_PARTS = (
    Part(
        "genotypes",
        (f"{_PHASE3}/ALL.chr{{contig}}.phase3_*.20130502.genotypes.vcf.gz",),
        "Phased genotypes, a VCF per chromosome.",
        contigs=_ALL,
    ),
    Part(
        "panel",
        (f"{_PHASE3}/integrated_call_samples_v3.20130502.ALL.panel",),
        "People with sex, population and superpopulation, in the order of the genotypes.",
    ),
    Part(
        "people",
        (
            f"{_PHASE3}/integrated_call_male_samples_v*.panel",
            f"{_PHASE3}/integrated_call_samples_v*.ped",
            f"{_PHASE3}/20140625_related_individuals.txt",
        ),
        "The men alone (for Y), the pedigree, relatives that were left out.",
        is_expected=False,
    ),
    Part(
        "readme", (f"{_PHASE3}/README*",), "How the calls were made, and what is known to be wrong with them."
    ),
    Part(
        "sites",
        (f"{_PHASE3}/ALL.wgs.phase3_shapeit2_mvncall_integrated_v5*.20130502.sites.vcf.gz",),
        "All sites without genotypes, one VCF; the genotypes have them too.",
        is_staged=False,
    ),
    Part(
        "annotation",
        (
            f"{_SUPPORTING}/functional_annotation/filtered/ALL.chr{{contig}}.*.20130502.sites.annotation.vcf.gz",
        ),
        "What the variants do to genes: filtered consequences by VEP, a sites VCF per chromosome.",
        contigs=_WITH_XY,
        is_staged=False,
        unsure_contigs=("X", "Y"),
    ),
    Part(
        "annotation-unfiltered",
        (f"{_SUPPORTING}/functional_annotation/unfiltered/ALL.chr{{contig}}.*.20130502.sites.vcf.gz",),
        "All consequences by VEP, a sites VCF per chromosome.",
        contigs=_WITH_XY,
        is_staged=False,
        unsure_contigs=("X", "Y"),
    ),
    Part(
        "related",
        (f"{_SUPPORTING}/related_samples_vcf/ALL.chr{{contig}}.*_related_samples.20130502.genotypes.vcf.gz",),
        "Genotypes of 31 relatives of the people of the release.",
        contigs=_WITH_XY,
        is_staged=False,
        unsure_contigs=("X", "Y"),
    ),
    Part(
        "related-panel",
        (f"{_SUPPORTING}/related_samples_vcf/related_samples_panel.*.panel",),
        "The 31 relatives with sex and population.",
        is_staged=False,
        is_expected=False,
    ),
    Part(
        "depth",
        (
            f"{_SUPPORTING}/vcf_with_sample_level_annotation/"
            "ALL.chr{contig}.*_extra_anno.20130502.genotypes.vcf.gz",
        ),
        "Genotypes with read depth per person (FORMAT DP).",
        contigs=_WITH_XY,
        is_staged=False,
        unsure_contigs=("X", "Y"),
    ),
    Part(
        "grch38",
        (f"{_SUPPORTING}/GRCh38_positions/ALL.chr{{contig}}_GRCh38.genotypes.20170504.vcf.gz",),
        "The genotypes with their positions lifted to GRCh38.",
        contigs=_WITH_XY,
        is_staged=False,
        build="GRCh38",
    ),
    Part(
        "grch38-sites",
        (f"{_SUPPORTING}/GRCh38_positions/ALL.chr{{contig}}_GRCh38_sites.20170504.vcf.gz",),
        "The sites lifted to GRCh38, without genotypes.",
        contigs=_WITH_XY,
        is_staged=False,
        build="GRCh38",
    ),
    Part(
        "chip",
        (
            f"{_SUPPORTING}/hd_genotype_chip/*.genotypes*.vcf.gz",
            f"{_SUPPORTING}/hd_genotype_chip/*.panel",
        ),
        "Genotypes from arrays (Illumina Omni 2.5, Affymetrix 6.0) and who is on them.",
        is_staged=False,
    ),
    Part(
        "masks",
        (f"{_SUPPORTING}/accessible_genome_masks/**",),
        "Where short reads can be trusted (BED and FASTA).",
        is_staged=False,
    ),
    Part(
        "bcf",
        (f"{_SUPPORTING}/bcf_files/ALL.chr{{contig}}.*.20130502.genotypes.bcf",),
        "The genotypes as BCF.",
        contigs=_WITH_X,
        is_staged=False,
        unsure_contigs=("X",),
    ),
    Part(
        "indexes",
        ("phase3/*.index",),
        "Lists of the reads and alignments with their MD5.",
        is_staged=False,
    ),
    Part(
        "alignments",
        (
            f"phase3/data/{_PERSON}/*alignment/{_PERSON}.*.bam",
            f"phase3/data/{_PERSON}/*alignment/{_PERSON}.*.cram",
        ),
        "Alignments of all reads: nearly all of the archive's bytes.",
        is_staged=False,
        is_expected=False,
    ),
)


def _dragen_parts(directory: str) -> tuple[Part, ...]:
    """Parts of a directory that DRAGEN wrote with a directory per person."""

    def part(
        name: str, suffixes: tuple[str, ...], title: str, *, is_staged: bool = False, is_sure: bool = True
    ) -> Part:
        patterns = tuple(f"{directory}/{_PERSON}/{_PERSON}.{suffix}" for suffix in suffixes)
        return Part(name, patterns, title, is_staged=is_staged, is_expected=is_sure)

    return (
        part("cnv", ("cnv.vcf.gz",), "Copy numbers, a VCF per person.", is_staged=True),
        part("sv", ("sv.vcf.gz",), "Structural variants, a VCF per person.", is_staged=True),
        part(
            "small-variants",
            ("hard-filtered.vcf.gz",),
            "SNVs and indels, a VCF per person; about a terabyte.",
        ),
        part(
            "gvcf", ("hard-filtered.gvcf.gz",), "SNVs and indels with what is reference, a gVCF per person."
        ),
        part("alignments", ("bam", "cram"), "Alignments, tens of gigabytes a person.", is_sure=False),
    )


_DRAGEN_DIRECTORIES = {
    "3.5.7b": (DRAGEN, "data/dragen-3.5.7b/hg38_altaware_nohla-cnv-anchored"),
    "3.6.3": (DRAGEN, "data/dragen-3.6.3/hg38_altaware_nohla-cnv-anchored"),
    "3.7.6": (DRAGEN_3_7_6, "data/individuals/hg38-graph-based"),
    # Beside the people's directories lie those of the runs, <person>_dragen-germline-…, with the same files again.
    "4.4.7": (DRAGEN_4_4_7, "data/individuals/hg38-alt_masked.cnv.graph.hla.methyl_cg.rna-11-r5.0-2"),
}
_COHORT = "data/cohorts/gvcf-genotyper-dragen-3.7.6/hg19/3202-samples-cohort"
_DRAGEN_COHORTS = {
    # Seen for chromosome 22; the others by its name.
    "3.7.6": (
        Part(
            "cohort-hg19",
            (f"{_COHORT}/3202_samples_cohort_gg_chr{{contig}}.vcf.gz",),
            "All people called together against hg19, a VCF per chromosome.",
            contigs=_WITH_XY,
            is_staged=False,
            build="GRCh37",
            unsure_contigs=tuple(c for c in _WITH_XY if c != "22"),
        ),
    )
}
_DRAGEN_PREFIXES = {"3.7.6": (f"{_COHORT}/",)}


def _dragen(version: str) -> Source:
    archive, directory = _DRAGEN_DIRECTORIES[version]
    return Source(
        f"dragen-{version}",
        archive,
        f"Calls of DRAGEN {version} per person, copy numbers among them",
        "GRCh38",
        (f"{directory}/", *_DRAGEN_PREFIXES.get(version, ())),
        (*_dragen_parts(directory), *_DRAGEN_COHORTS.get(version, ())),
        3202,
        _3202,
        _DRAGEN_PAPER,
        _DRAGEN_TERMS,
    )


RELEASES: tuple[Source, ...] = (
    Source(
        "phase3",
        G1K,
        "Phase 3, the final release: 84 million variants",
        "GRCh37",
        (f"{_PHASE3}/", "phase3/"),
        _PHASE3_PARTS,
        2504,
        "26 populations",
        _PHASE3_PAPER,
        _G1K_TERMS,
        aliases=("20130502",),
    ),
    Source(
        "phase1",
        G1K,
        "Phase 1: 38 million variants",
        "GRCh37",
        (f"{_PHASE1}/", "release/20110521/"),
        (
            Part(
                "genotypes",
                (
                    f"{_PHASE1}/ALL.chr{{contig}}.integrated_phase1_v3.20101123.snps_indels_svs.genotypes.vcf.gz",
                ),
                "Phased genotypes, a VCF per chromosome.",
                contigs=_WITH_X,
            ),
            Part(
                "genotypes-y-mt",
                (
                    f"{_PHASE1}/ALL.chr{{contig}}.phase1_samtools_si.20101123.snps.low_coverage.genotypes.vcf.gz",
                ),
                "SNVs of Y and MT, which were called apart.",
                contigs=("Y", "MT"),
            ),
            Part(
                "panel",
                (f"{_PHASE1}/integrated_call_samples.20101123.ALL.panel",),
                "People with population and superpopulation.",
            ),
            Part(
                "sites",
                (f"{_PHASE1}/ALL.wgs.integrated_phase1_v3.20101123.snps_indels_sv.sites.vcf.gz",),
                "All sites without genotypes, one VCF.",
                is_staged=False,
            ),
            Part(
                "release-20110521",
                (
                    "release/20110521/ALL.chr{contig}.phase1_release_v3.20101123.snps_indels_svs.genotypes.vcf.gz",
                ),
                "The same input as it was first released.",
                contigs=_WITH_X,
                is_staged=False,
            ),
        ),
        1092,
        "14 populations",
        "The 1000 Genomes Project Consortium. An integrated map of genetic variation from 1,092 human genomes. "
        "Nature 491, 56-65 (2012). doi:10.1038/nature11632",
        _G1K_TERMS,
        aliases=("20110521",),
    ),
    Source(
        "pilot",
        G1K,
        "The pilot: low coverage, trios, exons",
        "NCBI36",
        (f"{_PILOT}/",),
        (
            Part(
                "genotypes",
                (f"{_PILOT}/*/snps/*.genotypes.vcf.gz",),
                "Genotypes, a VCF per pilot and population.",
            ),
            Part("sites", (f"{_PILOT}/*/snps/*.sites.vcf.gz",), "Sites without genotypes.", is_staged=False),
            Part(
                "indels",
                (f"{_PILOT}/*/indels/*.vcf.gz",),
                "Insertions and deletions.",
                is_staged=False,
                is_expected=False,
            ),
            Part("sv", (f"{_PILOT}/*/sv/*.vcf.gz",), "Structural variants.", is_staged=False),
        ),
        179,
        "4 populations at low coverage; beside them two trios, and exons of 7 populations",
        "The 1000 Genomes Project Consortium. A map of human genome variation from population-scale sequencing. "
        "Nature 467, 1061-1073 (2010). doi:10.1038/nature09534",
        _G1K_TERMS,
    ),
    Source(
        "grch38-recall",
        G1K,
        "The reads of phase 3 called again on GRCh38: biallelic SNVs and indels",
        "GRCh38",
        (f"{_RECALL}/20190312_biallelic_SNV_and_INDEL/", f"{_RECALL}/20181203_biallelic_SNV/"),
        (
            Part(
                "genotypes",
                (
                    f"{_RECALL}/20190312_biallelic_SNV_and_INDEL/"
                    "ALL.chr{contig}.shapeit2_integrated_snvindels_v2a_27022019.GRCh38.phased.vcf.gz",
                ),
                "Phased genotypes of SNVs and indels (2019), a VCF per chromosome.",
                contigs=_WITH_X,
            ),
            Part(
                "readme",
                (
                    f"{_RECALL}/20190312_biallelic_SNV_and_INDEL/*.txt",
                    f"{_RECALL}/20181203_biallelic_SNV/*.txt",
                ),
                "How the calls were made; MD5 of the files.",
                is_expected=False,
            ),
            Part(
                "sites",
                (
                    f"{_RECALL}/20190312_biallelic_SNV_and_INDEL/"
                    "ALL.wgs.shapeit2_integrated_snvindels_v2a.GRCh38.27022019.sites.vcf.gz",
                    f"{_RECALL}/20181203_biallelic_SNV/ALL.wgs.shapeit2_integrated_v1a.GRCh38.20181129.sites.vcf.gz",
                ),
                "All sites of both releases without genotypes.",
                is_staged=False,
            ),
            Part(
                "snv",
                (
                    f"{_RECALL}/20181203_biallelic_SNV/"
                    "ALL.chr{contig}.shapeit2_integrated_v1a.GRCh38.20181129.phased.vcf.gz",
                ),
                "Phased genotypes of SNVs alone, the release before (2018).",
                contigs=_WITH_X,
                is_staged=False,
            ),
            Part(
                "related",
                tuple(
                    f"{_RECALL}/{release}/supporting/related_samples/ALL.chr{{contig}}.*related*.phased.vcf.gz"
                    for release in ("20190312_biallelic_SNV_and_INDEL", "20181203_biallelic_SNV")
                ),
                "Genotypes of relatives.",
                contigs=_WITH_X,
                is_staged=False,
                is_expected=False,
            ),
        ),
        2548,
        "26 populations: nearly all of phase 3, and 45 others",
        "Lowy-Gallego E, et al. Variant calling on the GRCh38 assembly with the data from phase three of the 1000 "
        "Genomes Project. Wellcome Open Research 4:50 (2019). doi:10.12688/wellcomeopenres.15126.2",
        _G1K_TERMS,
    ),
    Source(
        "high_coverage",
        G1K,
        "The 30x set of the New York Genome Center: SNVs, indels and structural variants",
        "GRCh38",
        (f"{_30X}/",),
        (
            Part(
                "genotypes",
                (
                    f"{_30X}/working/20220422_3202_phased_SNV_INDEL_SV/"
                    "1kGP_high_coverage_Illumina.chr{contig}.filtered.SNV_INDEL_SV_phased_panel*.vcf.gz",
                ),
                "Phased genotypes (2022), a VCF per chromosome.",
                contigs=_WITH_X,
            ),
            Part(
                "readme",
                (
                    f"{_30X}/working/20220422_3202_phased_SNV_INDEL_SV/*.txt",
                    f"{_30X}/working/20220422_3202_phased_SNV_INDEL_SV/*.pdf",
                ),
                "How the calls were made; MD5 of the files.",
                is_expected=False,
            ),
            Part(
                "raw",
                (
                    f"{_30X}/working/20201028_3202_raw_GT_with_annot/"
                    "20201028_CCDG_14151_B01_GRM_WGS_2020-08-05_chr{contig}.recalibrated_variants.vcf.gz",
                ),
                "Unphased genotypes with AD, DP, GQ and PL: tens of gigabytes a chromosome.",
                contigs=_WITH_XY,
                is_staged=False,
                unsure_contigs=("Y",),
            ),
            Part(
                "raw-annotated",
                (
                    f"{_30X}/working/20201028_3202_raw_GT_with_annot/"
                    "20201028_CCDG_14151_B01_GRM_WGS_2020-08-05_chr{contig}.recalibrated_variants.annotated.vcf.gz",
                ),
                "The same sites with what they do to genes.",
                contigs=_WITH_XY,
                is_staged=False,
                unsure_contigs=("Y",),
            ),
            Part(
                "phased-2020",
                (
                    f"{_30X}/working/20201028_3202_phased/"
                    "CCDG_14151_B01_GRM_WGS_2020-08-05_chr{contig}.filtered.*-phased*.vcf.gz",
                ),
                "Phased genotypes of SNVs and indels alone, the release before.",
                contigs=_WITH_X,
                is_staged=False,
            ),
            Part(
                "phased-2020-readme",
                (f"{_30X}/working/20201028_3202_phased/*.tsv", f"{_30X}/working/20201028_3202_phased/*.pdf"),
                "How those were made; MD5 of the files.",
                is_staged=False,
                is_expected=False,
            ),
            Part(
                "sv",
                (f"{_30X}/working/20210124.SV_Illumina_Integration/*.vcf.gz",),
                "Structural variants with genotypes, unphased.",
                is_staged=False,
            ),
            Part(
                "indexes",
                (f"{_30X}/*.sequence.index",),
                "Lists of the alignments, which lie in the ENA, with their MD5.",
                is_staged=False,
            ),
            # The index names them in the ENA; the mirrors of NCBI and AWS have copies here.
            Part(
                "alignments",
                (
                    f"{_30X}/data/ERR*/{_PERSON}.final.cram",
                    f"{_30X}/additional_698_related/data/ERR*/{_PERSON}.final.cram",
                ),
                "Alignments to GRCh38, 15 GB a person.",
                is_staged=False,
                is_expected=False,
            ),
        ),
        3202,
        _3202,
        _30X_PAPER,
        _G1K_TERMS,
        aliases=("30x",),
    ),
    Source(
        "sv-map",
        G1K,
        "The map of structural variants of phase 3",
        "GRCh37",
        ("phase3/integrated_sv_map/",),
        (
            Part(
                "genotypes",
                ("phase3/integrated_sv_map/ALL.wgs.*.20130502.svs.genotypes.vcf.gz",),
                "Structural variants with genotypes, a VCF for the whole genome.",
            ),
            Part("readme", ("phase3/integrated_sv_map/README*",), "How the map was made.", is_expected=False),
            Part(
                "grch38",
                ("phase3/integrated_sv_map/supporting/GRCh38_positions/ALL.wgs.*.svs.genotypes.*vcf.gz",),
                "The map lifted to GRCh38.",
                is_staged=False,
                build="GRCh38",
                is_expected=False,
            ),
        ),
        2504,
        "the people of phase 3",
        "Sudmant PH, et al. An integrated map of structural variation in 2,504 human genomes. Nature 526, 75-81 "
        "(2015). doi:10.1038/nature15394",
        _G1K_TERMS,
    ),
    *map(_dragen, _DRAGEN_DIRECTORIES),
    Source(
        "curated",
        CURATED,
        "Phase 3 as Parquet, as Microsoft made it with Glow",
        "GRCh37",
        ("original/", "nested/", "flattened/"),
        (
            # The notebook that wrote them says original/, Microsoft's own queries read nested/.
            Part(
                "variants",
                ("original/chr{contig}/*.parquet", "nested/chr{contig}/*.parquet"),
                "A row per record with the genotypes in an array, a directory per chromosome.",
                contigs=_ALL,
                is_expected=False,
            ),
            Part(
                "flattened",
                ("flattened/chr{contig}/*.parquet",),
                "A row per record and person, a directory per chromosome.",
                contigs=_ALL,
                is_staged=False,
                is_expected=False,
            ),
        ),
        2504,
        "the people of phase 3",
        _PHASE3_PAPER,
        _G1K_TERMS,
    ),
    Source(
        "people",
        G1K,
        "Everybody that was sampled: sex, population, family",
        None,
        ("technical/working/20130606_sample_info/", f"{_30X}/", "phase3/"),
        (
            Part(
                "pedigree",
                ("technical/working/20130606_sample_info/20130606_g1k.ped",),
                "The pedigree of all people.",
            ),
            Part(
                "pedigree-30x",
                (
                    f"{_30X}/20130606_g1k_3202_samples_ped_population.txt",
                    f"{_30X}/working/1kGP.3202_samples.pedigree_info.txt",
                ),
                "The pedigree of the 30x set, with populations.",
            ),
            Part(
                "populations",
                ("phase3/20131219.populations.tsv", "phase3/20131219.superpopulations.tsv"),
                "What the codes of the populations stand for.",
                is_staged=False,
            ),
            Part(
                "sample-info",
                (
                    "technical/working/20130606_sample_info/20130606_sample_info.xlsx",
                    "technical/working/20130606_sample_info/README*",
                ),
                "What was sequenced of whom, as a spreadsheet.",
                is_staged=False,
                is_expected=False,
            ),
        ),
        3501,
        "26 populations, 1,996 families; not all were sequenced",
        _PHASE3_PAPER,
        _G1K_TERMS,
        aliases=("samples", "pedigree"),
    ),
)

SOURCES: tuple[Source, ...] = (*RELEASES, *EXPRESSION)


def find_source(name: str) -> Source:
    """The source of that name or accession, in whatever case.

    Raises:
        UsageError: there is none; names the nearest.
    """
    by_name = {known.lower(): source for source in SOURCES for known in (*source.aliases, source.name)}
    if name.lower() in by_name:
        return by_name[name.lower()]
    near = difflib.get_close_matches(name.lower(), by_name, n=5, cutoff=0.5)
    names = list(dict.fromkeys(by_name[known].name for known in near))[:3]
    meant = f"Did you mean {' or '.join(names)}? " if names else ""
    raise UsageError(
        f"There is no source '{name}'.", where="SOURCE", mend=f"{meant}`kgp sources` lists them all."
    )
