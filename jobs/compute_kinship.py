"""`kgp samples kinship` as a script for spark-submit and Databricks, with the same options: see --help."""

import sys

from kgp.cli import run_script
from kgp.jobs.compute_kinship import COMPUTE_KINSHIP

if __name__ == "__main__":
    # Databricks takes any SystemExit for a failure, even that of code 0.
    if code := run_script(COMPUTE_KINSHIP):
        sys.exit(code)
