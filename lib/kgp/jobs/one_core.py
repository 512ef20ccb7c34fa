"""Numbers that are the same on any machine: BLAS on one thread.

With another number of threads BLAS cuts products and factorisations otherwise, and rounds otherwise: what is to be the
same bytes wherever it is computed is computed on one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import scipy.linalg
from threadpoolctl import ThreadpoolController

# Libraries that are loaded after `_find_libraries` has looked would keep their threads: numpy and scipy bring one each.
_BROUGHT_BY = (np, scipy.linalg)


@contextlib.contextmanager
def on_one_core() -> Iterator[None]:
    """Let BLAS use one thread, in this process; Spark tasks, of which each core has its own, need it for themselves."""
    with _find_libraries().limit(limits=1):
        yield


@lru_cache(maxsize=1)
def _find_libraries() -> ThreadpoolController:
    """The libraries of this process that have threads of their own, found once."""
    return ThreadpoolController()
