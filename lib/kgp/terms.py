"""Every column of every table, once: type, unit, coordinate base, one sentence, source.

A table names its columns from here (`kgp.tables`), the written Delta columns carry these sentences as comments,
and `docs/TABLES.md` is generated from them. Types are Arrow types: they are exact, need no Spark, and map one to
one to Spark's and Delta's.

How `calls` is laid out
    The column gives back alleles, ploidy and phase of every sample exactly, together with `dosages`. It is null
    in rows without genotypes. Its first byte is a layout code:

    ``1``  Every genotype is diploid, phased and made of allele 0 and this row's ALT (or is ``.|.``). The bits that
           follow (most significant first, padded with 0) tell for each sample with dosage 1, in sample order,
           whether the ALT stands first (``1|0``).
    ``2``  Every genotype is diploid, unphased, ascending and made of allele 0 and this row's ALT (or is ``./.``):
           nothing follows, `dosages` tell everything.
    ``0``  Anything else: the GT texts of all samples as UTF-8, joined by tabs, as they stand in the file.

    In layouts 1 and 2 the record has one ALT, so this row's ALT is allele 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

__all__ = ["TERMS", "Term", "term"]

BIGINT = pa.int64()
BOOL = pa.bool_()
BINARY = pa.binary()
DOUBLE = pa.float64()
INT = pa.int32()
STRING = pa.string()
TIMESTAMP = pa.timestamp("us", tz="UTC")
TEXTS = pa.list_(STRING)
TEXT_BY_NAME = pa.map_(STRING, STRING)
COUNT_BY_NAME = pa.map_(STRING, BIGINT)


@dataclass(frozen=True)
class Term:
    """One column, wherever it occurs.

    Args:
        name: the column's name.
        type: its Arrow type.
        description: one sentence.
        unit: what a number counts or measures, for example ``bp`` or ``copies``.
        base: ``0-based`` or ``1-based`` for coordinates.
        source: the standard or the file that the meaning comes from.
    """

    name: str
    type: pa.DataType
    description: str
    unit: str | None = None
    base: str | None = None
    source: str | None = None

    @property
    def comment(self) -> str:
        """The sentence that the Delta column carries.

        >>> term("start").comment
        'First base: of REF (VCF POS - 1), or of the phenotype. [bp, 0-based]'
        """
        notes = "; ".join(filter(None, (", ".join(filter(None, (self.unit, self.base))), self.source)))
        return f"{self.description} [{notes}]" if notes else self.description


_ALL = (
    # -- where a row comes from
    Term("load_id", STRING, "The load that wrote this row: a key of `loads`."),
    Term("path", STRING, "Where the file was read from."),
    Term("content_id", STRING, "Identity of the file's content: md5:…, etag:…:size or modified:…:size."),
    Term("size", BIGINT, "Size of the file.", unit="bytes"),
    Term("target", STRING, "The table that the load fills."),
    Term("subject", STRING, "What the rows belong to: a callset, an expression dataset, or the panel."),
    Term("build", STRING, "Reference build of the coordinates: NCBI36, GRCh37 or GRCh38."),
    Term("source", STRING, "Release or collection of an archive, as kgp sources lists them."),
    Term("archive_path", STRING, "Path of the file below its archive's root."),
    Term(
        "state",
        STRING,
        "Listed, staged (kgp has it, whole, at staged_path) or gone from the archive's listing.",
    ),
    Term(
        "endpoint",
        STRING,
        "The door of the archive whose listing the row comes from, as kgp sources lists them.",
    ),
    Term("url", STRING, "Address of the file at that door, without any credential."),
    Term("md5", STRING, "MD5 of the file's bytes.", unit="32 hexadecimal digits"),
    Term(
        "md5_from",
        STRING,
        "Who states the MD5: the listing, the archive's current.tree or another file, or kgp.",
    ),
    Term("etag", STRING, "The door's mark of this version of the file."),
    Term("modified", TIMESTAMP, "When the file was last changed, as the listing says."),
    Term("listed_at", TIMESTAMP, "When this version of the file was first listed."),
    Term("gone_at", TIMESTAMP, "When the listing first lacked the file."),
    Term("staged_path", STRING, "Where kgp has put its own copy of this version of the file."),
    Term("staged_from", STRING, "The door that the copy was read from."),
    Term("staged_at", TIMESTAMP, "When the copy was whole and checked."),
    Term(
        "is_verified", BOOL, "Whether the copy's MD5 is one that the archive states; else only its length is."
    ),
    Term("selection", TEXT_BY_NAME, "Part of the file that was asked for (contigs, regions, strictness)."),
    Term("reader", STRING, "Engine that read the file: builtin or glow for VCF, else the format's name."),
    Term("reader_reason", STRING, "Why that engine was taken."),
    Term("versions", TEXT_BY_NAME, "Versions of kgp, its parser, Spark and Delta that wrote the rows."),
    Term(
        "rows_in",
        BIGINT,
        "Records in the selected part of the file, counted from the raw text.",
        unit="records",
    ),
    Term("rows_out", BIGINT, "Records that became rows, counted in the written table.", unit="records"),
    Term(
        "rows_quarantined", BIGINT, "Records that could not be loaded: rows of `quarantine`.", unit="records"
    ),
    Term("alleles_out", BIGINT, "Rows that the load wrote to its target table.", unit="rows"),
    Term("warnings", COUNT_BY_NAME, "What was odd but loaded, and how often."),
    Term(
        "warned_at",
        pa.map_(STRING, pa.list_(BIGINT)),
        "Of each warning: offsets of the first lines that it is about, twenty at most.",
        base="0-based",
    ),
    Term("loaded_at", TIMESTAMP, "When the load was committed."),
    Term("seconds", DOUBLE, "How long it took.", unit="s"),
    Term("header", STRING, "The file's header lines as they stand in it."),
    Term(
        "offset",
        BIGINT,
        "Place of the line: BGZF virtual offset, else byte offset of the uncompressed text.",
        base="0-based",
    ),
    Term("reason", STRING, "Why the record could not be loaded."),
    Term("line", BINARY, "The whole line, byte for byte, without its line end."),
    # -- people
    Term(
        "sample_id",
        STRING,
        "The person, as in the archives' VCF headers (HG00096).",
        source="1000 Genomes panel",
    ),
    Term("sex", STRING, "male, female, or null where not known.", source="1000 Genomes panel"),
    Term(
        "population",
        STRING,
        "Population code (CEU); of HGDP and SGDP the elastic id of IGSR.",
        source="1000 Genomes panel",
    ),
    Term(
        "superpopulation",
        STRING,
        "AFR, AMR, EAS, EUR or SAS; null where the 1000 Genomes Project has none for the population.",
        source="1000 Genomes panel",
    ),
    Term("family_id", STRING, "Family of the pedigree.", source="1000 Genomes pedigree"),
    Term(
        "father_id", STRING, "Father in the pedigree; null where not named.", source="1000 Genomes pedigree"
    ),
    Term(
        "mother_id", STRING, "Mother in the pedigree; null where not named.", source="1000 Genomes pedigree"
    ),
    Term(
        "relationship",
        STRING,
        "Place in the family in one spelling: unrelated, father, mother, child, paternal_grandfather and so on.",
        source="1000 Genomes pedigree",
    ),
    Term(
        "relationship_text",
        STRING,
        "Place in the family, as the pedigree words it.",
        source="1000 Genomes pedigree",
    ),
    Term("siblings", TEXTS, "Sisters and brothers by id.", source="1000 Genomes pedigree"),
    Term("second_order", TEXTS, "Relatives of second order by id.", source="1000 Genomes pedigree"),
    Term("third_order", TEXTS, "Relatives of third order by id.", source="1000 Genomes pedigree"),
    Term("remarks", STRING, "Other comments, as the pedigree words them.", source="1000 Genomes pedigree"),
    Term("callsets", TEXTS, "Callsets that hold the person, by what is loaded and by sample lists."),
    Term("source_kind", STRING, "What kind of file it was: panel, pedigree, igsr_samples or sample_list."),
    Term("field", STRING, "Column that two sources differ in, or what of a person can't be."),
    Term("kept", STRING, "What `samples` says: the word of the source of higher authority."),
    Term("kept_from", STRING, "The file that says so."),
    Term("other", STRING, "What the other source says."),
    Term("other_from", STRING, "The file that says that."),
    Term("population_name", STRING, "Name of the population (Finnish in Finland).", source="IGSR"),
    Term("superpopulation_name", STRING, "Name of the superpopulation (European).", source="IGSR"),
    Term("n_people", INT, "People of the population in `samples`.", unit="people"),
    Term("callset", STRING, "A released set of genotypes with one sample order (phase3, high_coverage)."),
    Term("sample_index", INT, "Place of the sample in the callset's arrays.", base="0-based"),
    # -- variants
    Term("contig", STRING, "Contig, canonical by the build's alias table (22 in GRCh37, chr22 in GRCh38)."),
    Term("source_contig", STRING, "Contig as the file spells it."),
    Term(
        "start", BIGINT, "First base: of REF (VCF POS - 1), or of the phenotype.", unit="bp", base="0-based"
    ),
    Term(
        "end",
        BIGINT,
        "One past the last base: of the record (INFO END, else start + length of REF), or of the phenotype.",
        unit="bp",
        base="0-based",
    ),
    Term("record_id", BIGINT, "Number of the record, unique in its load and ascending in file order."),
    Term("ref", STRING, "Reference allele.", source="VCF REF"),
    Term("alt", STRING, "This row's alternate allele; null where the record has none.", source="VCF ALT"),
    Term(
        "alt_index",
        INT,
        "Number of the ALT in its record, as in GT; 0 where the record has none.",
        base="1-based",
        source="VCF",
    ),
    Term("n_alts", INT, "ALT alleles of the record.", unit="alleles"),
    Term(
        "variant_id",
        STRING,
        "contig_pos_ref_alt, for symbolic alleles with _END, with #n where it would repeat.",
    ),
    Term("vcf_id", STRING, "ID column verbatim; null for '.'.", source="VCF ID"),
    Term("rsid", STRING, "First rs number among the IDs.", source="VCF ID"),
    Term("qual", DOUBLE, "Phred-scaled quality; null for '.'.", source="VCF QUAL"),
    Term("filters", TEXTS, "FILTER entries ([PASS] where passed); null for '.'.", source="VCF FILTER"),
    Term(
        "info",
        TEXT_BY_NAME,
        "INFO as text; Number=A, R and G entries cut to this ALT; a flag's value is ''.",
        source="VCF INFO",
    ),
    Term(
        "ac", INT, "Copies of this ALT among the called alleles, computed from the genotypes.", unit="alleles"
    ),
    Term("an", INT, "Called alleles, computed from the genotypes.", unit="alleles"),
    Term("af", DOUBLE, "ac / an; null where nothing is called.", unit="fraction"),
    Term(
        "n_missing",
        INT,
        "Samples with a missing allele; of a sample, its missing genotypes.",
        unit="genotypes",
    ),
    Term("n_het", INT, "Diploid genotypes with one copy of this ALT.", unit="samples"),
    Term("n_hom_alt", INT, "Diploid genotypes with two copies of this ALT.", unit="samples"),
    Term(
        "hwe_p",
        DOUBLE,
        "Hardy-Weinberg exact p of diploid genotypes, this ALT against the rest; on X in females, null on Y and MT.",
        source="Wigginton, Cutler, Abecasis 2005",
    ),
    Term(
        "dosages",
        pa.list_(pa.int8()),
        "Copies of this ALT a sample in callset order; null where missing.",
        unit="copies",
        source="VCF GT",
    ),
    Term(
        "expected_dosages",
        pa.list_(pa.float32()),
        "Expected copies of this ALT a sample, from DS or else GP.",
        unit="copies",
        source="VCF DS, GP",
    ),
    Term(
        "calls",
        BINARY,
        "What gives back alleles, ploidy and phase exactly; layout in kgp.terms.",
        source="VCF GT",
    ),
    Term(
        "formats",
        pa.map_(STRING, TEXTS),
        "Other FORMAT fields as text, a value a sample; null where GT is all.",
        source="VCF FORMAT",
    ),
    # -- what variants do to genes
    Term("n", INT, "Place of the annotation in its record.", base="1-based"),
    Term("annotation_key", STRING, "INFO key that the annotation stands under: CSQ, ANN or EFF."),
    Term("allele", STRING, "Allele as the annotation names it: of an indel often without its first base."),
    Term("consequences", TEXTS, "Terms of the consequence (missense_variant).", source="Sequence Ontology"),
    Term("impact", STRING, "HIGH, MODERATE, LOW or MODIFIER, as the annotating tool judges."),
    Term("feature_type", STRING, "What the consequence is on: Transcript, RegulatoryFeature, MotifFeature."),
    Term("feature_id", STRING, "Stable id of the transcript or other feature."),
    Term("biotype", STRING, "Biotype of the transcript or feature (protein_coding)."),
    Term("fields", TEXT_BY_NAME, "All fields that are not empty, by the names of the header's description."),
    # -- statistics of groups
    Term(
        "statistics_id",
        STRING,
        "Hash of the group's people and the load ids that its statistics were computed from: a key of `statistics`.",
    ),
    Term(
        "group",
        STRING,
        "People that a statistic is of: all, sex:female, population:CEU, superpopulation:EUR, cohort:EUR,-FIN.",
    ),
    Term("people_digest", STRING, "SHA-256 of the group's people in callset order, with their sexes."),
    Term("computed_at", TIMESTAMP, "When the statistics were committed."),
    # -- expression
    Term("dataset", STRING, "Accession of an expression dataset (E-GEUV-1)."),
    Term(
        "run_id",
        STRING,
        "Sequencing run or array by its accession or assay; where values combine several, the matrix's column.",
    ),
    Term("evidence", STRING, "What says that the run belongs to the person."),
    Term("person_text", STRING, "Whose run it is, as the source writes it (GEUV:HG00096)."),
    Term("problem", STRING, "Why nobody is named as the person; null where somebody is."),
    Term("lab", STRING, "Laboratory that did the sequencing or the array."),
    Term("batch", STRING, "Batch of the laboratory, as the source names it."),
    Term("replicate", STRING, "Which of several measurements of the person it is, as the source names it."),
    Term("combines", TEXTS, "Runs that the values were made from; null for a single run."),
    Term("alias", STRING, "Another name of the run, as it may stand above a matrix."),
    Term(
        "alias_kind",
        STRING,
        "Where that name comes from: a column of an SDRF (Comment[ENA_SAMPLE]) or a matrix.",
    ),
    Term("aliases", pa.map_(STRING, TEXTS), "Other names of the run by where they come from."),
    Term(
        "quantification",
        STRING,
        "Released table of values: the file's name without its endings (GD462.GeneQuantRPKM.50FN.samplename.resk10).",
    ),
    Term("columns", TEXTS, "Columns of the values in the file, as it spells them and in its order."),
    Term("kind", STRING, "What was measured: gene, transcript, exon, mirna or probe."),
    Term(
        "phenotype_id",
        STRING,
        "Measured gene, transcript, exon, miRNA or probe, version kept (ENSG00000100376.7).",
    ),
    Term("gene_id", STRING, "Stable id of the gene without its version; of an annotation, as it has it."),
    Term("gene_version", INT, "Version of the gene, behind the dot of its id."),
    Term("gene_name", STRING, "Symbol of the gene."),
    Term("group_id", STRING, "Phenotypes tested together (the transcripts of a gene)."),
    Term("strand", STRING, "+ or -."),
    Term("tss", BIGINT, "Transcription start.", unit="bp", base="1-based"),
    Term(
        "annotation", STRING, "Annotation that the places come from (GENCODE 12, GRCh37); matrix for its own."
    ),
    Term("unit", STRING, "Unit of the values: count, rpkm, tpm, cpm, log2_intensity, log2_cqn or unknown."),
    Term(
        "processing",
        STRING,
        "What was done to the values before release: none, peer10_residuals, quantile, cqn or unknown.",
    ),
    Term("value", DOUBLE, "Measured expression in the quantification's unit."),
    # -- covariates that somebody else computed or measured
    Term("covariate_set", STRING, "Name of a table of covariates: the file's name without its endings."),
    Term(
        "covariate_value",
        DOUBLE,
        "Value of the covariate for the person; null where it is missing or a word.",
    ),
    Term("covariate_text", STRING, "The value as the file has it."),
    # -- quality of expression
    Term(
        "quality_id",
        STRING,
        "Hash of the quantification's loads, the parameters, and what is known of its people.",
    ),
    Term(
        "d_statistic",
        DOUBLE,
        "Median Pearson correlation of log2(value + 1) with every other run; 0 where it is undefined.",
        source="'t Hoen et al. 2013",
    ),
    Term("d_score", DOUBLE, "d_statistic less the median of all runs, in scaled MADs."),
    Term(
        "components",
        pa.list_(DOUBLE),
        "Scores on the first principal components, as R's prcomp(center, scale.) has them.",
    ),
    Term("variance_explained", pa.list_(DOUBLE), "Part of the variance that each component explains."),
    Term("sex_stated", STRING, "Sex of the person in `samples`."),
    Term(
        "sex_inferred",
        STRING,
        "Sex by the expression of XIST and genes of Y, or by inbreeding_x; null where it can't be told.",
    ),
    Term("xist", DOUBLE, "log2(value + 1) of XIST."),
    Term(
        "y_expression",
        DOUBLE,
        "Mean log2(value + 1) of genes of Y, outside the pseudoautosomal regions, that differ most.",
    ),
    Term(
        "flags",
        TEXTS,
        "What is amiss: low_correlation, pca_outlier, sex_mismatch, low_call_rate and others; see the command's page.",
    ),
    Term("n_expressed", BIGINT, "Phenotypes with a value above 0 in the run.", unit="phenotypes"),
    # -- matrices
    Term("matrix_id", STRING, "Hash of the parameters and the load ids that a matrix set was built from."),
    Term("name", STRING, "Name that a person gave the matrix set; unique in the lake."),
    Term("parameters", TEXT_BY_NAME, "Parameters that the set was built with, or the rows computed."),
    Term("load_ids", TEXTS, "Loads that the rows were computed from, ascending."),
    Term("table_versions", COUNT_BY_NAME, "Delta version of each table that was read."),
    Term("sample_ids", TEXTS, "People of the set or group; of a set, the order of every `values` array."),
    Term(
        "run_ids",
        TEXTS,
        "Runs in order: of a set, the one taken for each person; of a quantification, its columns.",
    ),
    Term("n_samples", INT, "People in the set or group.", unit="samples"),
    Term(
        "n_variants",
        BIGINT,
        "Genotype rows of a set; of a best pair, variants tested with it; else alleles or variants counted.",
        unit="variants",
    ),
    Term(
        "n_phenotypes",
        BIGINT,
        "Phenotype rows of the set or the quantification; of a quality, those that runs were compared over.",
        unit="phenotypes",
    ),
    Term("n_covariates", INT, "Covariate rows of the set.", unit="covariates"),
    Term("dropped", COUNT_BY_NAME, "How many people, phenotypes and variants were left out, by reason."),
    Term("dropped_samples", TEXT_BY_NAME, "Each person or run that was left out, with the reason."),
    Term("notes", TEXTS, "What a person should know of the set: what was chosen, and why."),
    Term("built_at", TIMESTAMP, "When the set was committed."),
    Term("covariate_id", STRING, "Name of the covariate."),
    Term("row_index", INT, "Place of the row in its matrix.", base="0-based"),
    Term("values", pa.list_(DOUBLE), "Row of the matrix in the set's sample order; null where missing."),
    Term(
        "match_score",
        DOUBLE,
        "log10 likelihood of the run's expression given the stated person's genotypes, by that given average ones.",
    ),
    Term("best_sample_id", STRING, "Person of the callset whose genotypes the run's expression fits best."),
    Term("best_score", DOUBLE, "The same of that person's genotypes; 0 where nothing can be told."),
    Term(
        "n_loci",
        INT,
        "Phenotypes with a strong cis eQTL that runs and people were compared at.",
        unit="phenotypes",
    ),
    Term("verdict", STRING, "match, swap, or unclear where too little tells people apart."),
    # -- what genotypes tell of people
    Term("n_called", BIGINT, "Genotypes that are called.", unit="variants"),
    Term("call_rate", DOUBLE, "Called genotypes by all.", unit="fraction"),
    Term("n_hom", BIGINT, "Homozygous genotypes of autosomes.", unit="variants"),
    Term(
        "expected_hom",
        DOUBLE,
        "Homozygous genotypes expected from the allele frequencies.",
        source="plink2 --het",
    ),
    Term("inbreeding", DOUBLE, "Inbreeding coefficient F of autosomes; negative where too heterozygous."),
    Term(
        "inbreeding_x", DOUBLE, "F of X outside the pseudoautosomal regions, from the frequencies of females."
    ),
    Term("n_variants_x", BIGINT, "Variants of X that it was computed from.", unit="variants"),
    Term("sample_id_1", STRING, "First person of a pair, as `sample_id`."),
    Term("sample_id_2", STRING, "Second person of a pair, as `sample_id`."),
    Term(
        "het_het",
        DOUBLE,
        "Fraction of variants at which both are heterozygous.",
        source="plink2 --make-king-table",
    ),
    Term(
        "ibs0",
        DOUBLE,
        "Fraction of variants at which they share no allele.",
        source="plink2 --make-king-table",
    ),
    Term("kinship", DOUBLE, "KING-robust kinship coefficient.", source="Manichaikul and others 2010"),
    Term("degree", STRING, "duplicate, first, second or third, by powers of two of the kinship."),
    # -- mapping
    Term("map_id", STRING, "Hash of the set, the mode and the options of a mapping."),
    Term("mode", STRING, "What was mapped: nominal, permute, independent, interaction or trans."),
    Term(
        "model",
        STRING,
        "fastqtl: phenotype and genotype are residuals of the covariates; qtltools: the phenotype alone.",
    ),
    Term("df", INT, "Degrees of freedom of a test; the most where they differ by contig.", unit="degrees"),
    Term("n_pairs", BIGINT, "Tested pairs of a phenotype and a variant, or related people.", unit="pairs"),
    Term("figures", pa.map_(STRING, DOUBLE), "What the mapping found as a whole: eGenes, pi0, thresholds."),
    Term("mapped_at", TIMESTAMP, "When the mapping was committed."),
    Term("ma_samples", INT, "People with at least one minor allele.", unit="samples"),
    Term(
        "ma_count",
        DOUBLE,
        "Minor alleles; a sum of expected dosages where the set has those.",
        unit="alleles",
    ),
    Term("tss_distance", BIGINT, "POS of the variant minus the phenotype's TSS.", unit="bp"),
    Term("slope", DOUBLE, "Change of the phenotype with each copy of ALT."),
    Term("slope_se", DOUBLE, "Standard error of the slope."),
    Term("t_statistic", DOUBLE, "Slope by its standard error."),
    Term("p_value", DOUBLE, "Two-sided p of the slope; 0 where below the least double: see neg_log10_p."),
    Term("neg_log10_p", DOUBLE, "-log10 of p_value, exact however small that is."),
    Term("n_permutations", INT, "Permutations of the phenotype.", unit="permutations"),
    Term(
        "p_perm", DOUBLE, "Empirical p of the best variant: (as good permutations + 1) / (permutations + 1)."
    ),
    Term("p_beta", DOUBLE, "p of the best variant by the beta distribution of the permutations' best."),
    Term("neg_log10_p_beta", DOUBLE, "-log10 of p_beta, exact however small that is."),
    Term("beta_shape1", DOUBLE, "First shape of the beta distribution; null where none could be fitted."),
    Term("beta_shape2", DOUBLE, "Second shape of it: the number of independent tests in effect."),
    Term("effective_df", DOUBLE, "Degrees of freedom at which the first shape is 1.", unit="degrees"),
    Term("q_value", DOUBLE, "Storey's q-value of p_beta over the phenotypes."),
    Term("q_value_bh", DOUBLE, "Benjamini and Hochberg's q-value of p_beta beside it."),
    Term("is_egene", BOOL, "Whether q_value is at most the false discovery rate asked for."),
    Term(
        "p_threshold",
        DOUBLE,
        "Greatest p of a significant pair, or null; qtltools: as p_value; fastqtl: at effective_df, eGenes only.",
    ),
    Term(
        "rank",
        INT,
        "Number of the signal as it was found; one that later ones explain leaves a gap.",
        base="1-based",
    ),
    Term(
        "cs_id",
        INT,
        "Number of the phenotype's credible set; those with the greatest Bayes factor first.",
        base="1-based",
    ),
    Term("cs_size", INT, "Variants of the credible set.", unit="variants"),
    Term("cs_purity", DOUBLE, "Least |r| of any two variants of the credible set."),
    Term(
        "cs_log10_bf", DOUBLE, "log10 of the Bayes factor of the set's effect beside the phenotype's others."
    ),
    Term(
        "cs_coverage",
        DOUBLE,
        "Probability that the set has its effect's variant; at least the one asked for.",
    ),
    Term("pip", DOUBLE, "Posterior probability that the variant is that of any effect on the phenotype."),
    Term("posterior_mean", DOUBLE, "Posterior mean of the change of the phenotype with each copy of ALT."),
    Term("posterior_sd", DOUBLE, "Posterior standard deviation of that change."),
    Term("slope_i", DOUBLE, "Change of the phenotype with the covariate."),
    Term("slope_i_se", DOUBLE, "Standard error of slope_i."),
    Term("p_value_i", DOUBLE, "Two-sided p of slope_i."),
    Term("slope_gi", DOUBLE, "Change of the slope of the genotype with the covariate."),
    Term("slope_gi_se", DOUBLE, "Standard error of slope_gi."),
    Term("p_value_gi", DOUBLE, "Two-sided p of slope_gi."),
    Term("neg_log10_p_gi", DOUBLE, "-log10 of p_value_gi, exact however small that is."),
    Term("phenotype_contig", STRING, "Contig of the phenotype."),
)

TERMS: dict[str, Term] = {t.name: t for t in _ALL}


def term(name: str) -> Term:
    """The term of that name.

    Raises:
        KeyError: no such term; `kgp.terms` is the only place that makes one.
    """
    return TERMS[name]
