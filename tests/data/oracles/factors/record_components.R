# Principal components by R's prcomp, and their number by PCAForQTL, for the genes of ../../geuvadis-chr22.
#
#   Rscript record_components.R        (in this directory; needs R and the package PCAForQTL)

library(PCAForQTL)
RNGkind("L'Ecuyer-CMRG")

rows <- read.table(gzfile("../../geuvadis-chr22/genes.50percent.chr22.bed.gz"), header = TRUE,
                   comment.char = "", check.names = FALSE)
rpkm <- as.matrix(rows[, -(1:6)])
normal <- t(apply(rpkm, 1, function(row) qnorm(rank(row, ties.method = "average") / (length(row) + 1))))
inputs <- list(normal = normal, few_samples = rpkm[, 1:60], few_genes = rpkm[1:40, ],
               corner = rpkm[1:100, 1:200], log2_half = log2(rpkm[151:301, ] + 1))

choices <- data.frame()
for (name in names(inputs)) {
  pca <- prcomp(t(inputs[[name]]), center = TRUE, scale. = TRUE)
  elbow <- PCAForQTL::runElbow(prcompResult = pca)
  for (seed in 1:5) {
    set.seed(seed)
    chosen <- PCAForQTL::runBE(t(inputs[[name]]), B = 20, alpha = 0.05, mc.cores = 1)$numOfPCsChosen
    choices <- rbind(choices, data.frame(values = name, seed = seed, elbow = elbow, be = chosen))
  }
}
write.table(choices, "choices.tsv", sep = "\t", quote = FALSE, row.names = FALSE)

pca <- prcomp(t(normal), center = TRUE, scale. = TRUE)
scores <- data.frame(sample = rownames(pca$x), signif(pca$x[, 1:5], 12))
write.table(scores, gzfile("scores.tsv.gz"), sep = "\t", quote = FALSE, row.names = FALSE)
shares <- data.frame(variance_explained = signif(pca$sdev^2 / sum(pca$sdev^2), 12))
write.table(shares, gzfile("variance_explained.tsv.gz"), sep = "\t", quote = FALSE, row.names = FALSE)
