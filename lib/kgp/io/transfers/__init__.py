"""Files brought by other programs than kgp: `ascp` (Aspera) and the Globus service.

A door of kind ``aspera`` or ``globus`` can't be listed or read in ranges; what it shall bring is listed by another door
of the same archive. First comes a plan, which touches no network and can be shown; then it is run.
"""

from kgp.io.transfers.arrivals import Collected, collect_aspera
from kgp.io.transfers.ascp import AsperaResult, run_aspera
from kgp.io.transfers.aspera import AsperaPlan, find_ascp, find_keys, plan_aspera
from kgp.io.transfers.common import Progress
from kgp.io.transfers.globus import GlobusPlan, plan_globus
from kgp.io.transfers.globus_client import has_globus_credentials
from kgp.io.transfers.globus_tasks import GlobusResult, Skipped, run_globus

__all__ = [
    "AsperaPlan",
    "AsperaResult",
    "Collected",
    "GlobusPlan",
    "GlobusResult",
    "Progress",
    "Skipped",
    "collect_aspera",
    "find_ascp",
    "find_keys",
    "has_globus_credentials",
    "plan_aspera",
    "plan_globus",
    "run_aspera",
    "run_globus",
]
