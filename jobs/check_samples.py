"""`kgp samples qc` as a script for spark-submit and Databricks, with the same options: see --help."""

import sys

from kgp.cli import run_script
from kgp.jobs.check_samples import CHECK_SAMPLES

if __name__ == "__main__":
    # Databricks takes any SystemExit for a failure, even that of code 0.
    if code := run_script(CHECK_SAMPLES):
        sys.exit(code)
