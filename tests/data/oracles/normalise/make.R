# Records what edgeR, limma, preprocessCore and R's own rank and qnorm make of small tables; see README.md.
# Run here: Rscript make.R

suppressPackageStartupMessages({
  library(edgeR)
  library(preprocessCore)
})

digits <- function(x) ifelse(is.na(x), "NA", sprintf("%.17g", x))

write_matrix <- function(x, path) {
  out <- if (grepl("gz$", path)) gzfile(path, "w", compression = 9) else file(path, "w")
  writeLines(apply(matrix(digits(x), nrow(x)), 1, paste, collapse = "\t"), out)
  close(out)
}

# ---- the tables: integer arithmetic alone, no random numbers

make_counts <- function(n_phenotypes, depths, zeros) {
  counts <- outer(seq_len(n_phenotypes), seq_along(depths), function(i, j) {
    level <- (i * 7919) %% 997                # of the phenotype, 0 to 996
    noise <- (i * 31 + j * 17 + i * j * 7) %% 11   # 0 to 10
    count <- (((level * level) %/% 2000 + 1) * (5 + noise) * depths[j]) %/% 5000
    ifelse((i * 37 + j * 29 + i * j * 11) %% 101 %% 10 < zeros, 0, count)
  })
  counts[c(3, n_phenotypes), ] <- 0           # 0 in every sample
  counts
}

depths <- c(1000, 40, 2500, 1000, 130, 9000, 1000, 7, 600)
tables <- list(
  integer = make_counts(120, depths, 2),
  fractional = make_counts(120, depths, 2) / 7,
  sparse = make_counts(300, c(300, 200, 5000, 450, 600, 250, 900, 90), 9),
  two = make_counts(40, c(1000, 300), 1),
  few = make_counts(5, c(1000, 2000, 3000), 0)
)
# Small counts: log ratios at the cuts are tied, or not, by how log2 is rounded.
tables$tied <- outer(1:240, 1:12, function(i, j) {
  (((i * 7919) %% 997) * (1 + (i * 31 + j * 17 + i * j * 7) %% 11) * (5 + j %% 5)) %/% 2000
})
# A sample that has nothing in common with the others, and one that is another twice.
apart <- cbind(tables$integer[, 1:4], 0, 2 * tables$integer[, 4])
apart[c(3, 120), 5] <- c(10, 20)
tables$apart <- apart

slice <- "../../geuvadis-chr22/genes.50percent.chr22.bed.gz"
bed <- read.table(gzfile(slice), header = TRUE, comment.char = "", check.names = FALSE, sep = "\t")
rpkm <- as.matrix(bed[, -(1:6)])
dimnames(rpkm) <- NULL

for (name in names(tables)) write_matrix(tables[[name]], paste0("counts_", name, ".tsv"))

# ---- TMM and counts per million

cases <- list(
  default = list(),
  unweighted = list(doWeighting = FALSE),
  reference_2 = list(refColumn = 2),
  trims = list(logratioTrim = 0.1, sumTrim = 0.2),
  untrimmed = list(logratioTrim = 0, sumTrim = 0),
  a_cutoff = list(Acutoff = -8)
)
tables$slice <- rpkm
rows <- c("table\tcase\tfactors")
for (name in names(tables)) {
  for (case in names(cases)) {
    factors <- do.call(calcNormFactors.default, c(list(tables[[name]], method = "TMM"), cases[[case]]))
    rows <- c(rows, paste(name, case, paste(digits(factors), collapse = " "), sep = "\t"))
  }
}
con <- gzfile("tmm.tsv.gz", "w", compression = 9)
writeLines(rows, con)
close(con)

libraries <- DGEList(tables$integer)
write_matrix(cpm(libraries), "cpm_integer.tsv.gz")
write_matrix(cpm(calcNormFactors(libraries)), "cpm_tmm_integer.tsv.gz")

# ---- quantile normalisation: ties, missing values, and the real slice with and without missing values

lose <- function(x, every) {
  x[(row(x) * 13 + col(x) * 7) %% every == 0] <- NA
  x
}
shapes <- list(
  ties = tables$integer,
  missing = lose(tables$fractional, 5),
  slice = rpkm,
  slice_missing = lose(rpkm, 29)
)
write_matrix(shapes$missing, "values_missing.tsv")
some <- c(1, 90, 180, 270, 358)   # columns that are recorded of the slice; each depends on all
for (name in names(shapes)) {
  kept <- if (grepl("slice", name)) some else seq_len(ncol(shapes[[name]]))
  write_matrix(normalize.quantiles(shapes[[name]])[, kept], paste0("quantile_", name, ".preprocesscore.tsv.gz"))
  write_matrix(limma::normalizeQuantiles(shapes[[name]], ties = TRUE)[, kept],
               paste0("quantile_", name, ".limma.tsv.gz"))
}

# ---- inverse normal transform

transform <- function(x) qnorm(rank(x, na.last = "keep", ties.method = "average") / (sum(!is.na(x)) + 1))
write_matrix(t(apply(shapes$missing, 1, transform)), "inverse_normal_missing.tsv.gz")

# ---- versions

writeLines(c(
  R.version.string,
  paste("edgeR", packageVersion("edgeR")),
  paste("limma", packageVersion("limma")),
  paste("preprocessCore", packageVersion("preprocessCore"))
), "versions.txt")
