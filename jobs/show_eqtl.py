"""`kgp eqtl show` as a script for spark-submit and Databricks, with the same options: see --help."""

import sys

from kgp.cli import run_script
from kgp.jobs.show_eqtl import SHOW_EQTL

if __name__ == "__main__":
    # Databricks takes any SystemExit for a failure, even that of code 0.
    if code := run_script(SHOW_EQTL):
        sys.exit(code)
