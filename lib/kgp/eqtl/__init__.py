"""Pure numerics of eQTL work: numpy in, numpy out. No Spark, no files; a function states its shapes."""
