"""`kgp eqtl build` as a script for spark-submit and Databricks, with the same options: see --help."""

import sys

from kgp.cli import run_script
from kgp.jobs.build_eqtl_matrices import BUILD_EQTL_MATRICES

if __name__ == "__main__":
    # Databricks takes any SystemExit for a failure, even that of code 0.
    if code := run_script(BUILD_EQTL_MATRICES):
        sys.exit(code)
