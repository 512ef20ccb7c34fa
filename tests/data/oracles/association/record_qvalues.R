# Writes qvalues.tsv: q-values of R's qvalue for p-values made by whole-number arithmetic.
suppressPackageStartupMessages(library(qvalue))

fraction <- function(n, by) ((seq_len(n) * by) %% 1000003) / 1000003

cases <- list(
  mixed = c(fraction(700, 61803), fraction(300, 31415)^4),
  strong = c(fraction(200, 61803), fraction(408, 27182)^9),
  null = fraction(500, 14142),
  few = c(fraction(40, 61803), 1e-8, 1e-5, 2e-5, 2e-5, 0.999)
)
lines <- c()
for (name in names(cases)) {
  p <- cases[[name]]
  for (lambda in list("smoother", 0.5, 0.85)) {
    found <- if (lambda == "smoother") qvalue(p) else qvalue(p, lambda = lambda)
    value <- sprintf("%s\t%s\t%.17g\t%.17g\t%.17g\t%.17g", name, lambda, found$pi0, p, found$qvalues,
                     p.adjust(p, "BH"))
    lines <- c(lines, value)
  }
}
out <- gzfile("qvalues.tsv.gz", "w")
writeLines(c("case\tlambda\tpi0\tp\tq\tbh", lines), out)
close(out)
cat(sprintf("R %s, qvalue %s\n", getRversion(), packageVersion("qvalue")))
