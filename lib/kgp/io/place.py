"""Where a lake lies: one URI, and the form of it that each library wants.

delta-rs, Spark, Arrow and fsspec each have their own name for the same blobs, and their own way to be told a
credential. Tables and messages hold the URI only; credentials are looked up each time (`kgp.io.azure`) and kept by
nobody.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow.fs import FSSpecHandler, LocalFileSystem, PyFileSystem, SubTreeFileSystem

from kgp.errors import LakeError
from kgp.io.azure import learn_from_spark, locate
from kgp.io.urls import is_local, place_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class LakePlace:
    """The directory of a lake's tables.

    Args:
        uri: local, or in a storage that delta-rs and Hadoop know: ``az://``, ``abfss://``, ``wasbs://`` and the like.
    """

    uri: str

    @property
    def local_root(self) -> Path | None:
        """The directory where it lies on a local disk, else None."""
        if not is_local(self.uri):
            return None
        return Path(self.uri.removeprefix("file://").removeprefix("local://")).absolute()

    def table(self, name: str) -> str:
        """Where a table lies, as `kgp.io.storage` and messages take it."""
        return f"{self.local_root or self.uri.rstrip('/')}/{name}"

    def delta(self, name: str) -> tuple[str, dict[str, str] | None]:
        """Where a table lies, and the storage options, as `deltalake` takes them."""
        if (place := locate(self.uri)) is None:
            return self.table(name), None
        account, blob = place
        return blob.child(name).for_delta, account.delta_options()

    def open(self, name: str) -> DeltaTable:
        """A table's log.

        Raises:
            deltalake.exceptions.TableNotFoundError: there is none.
        """
        uri, options = self.delta(name)
        with self._explained():
            return DeltaTable(uri, storage_options=options)

    def exists(self, name: str) -> bool:
        """Whether there is a table of that name."""
        uri, options = self.delta(name)
        with self._explained():
            return bool(DeltaTable.is_deltatable(uri, options))

    def hadoop(self, name: str) -> str:
        """Where a table lies, as Spark takes it."""
        if (place := locate(self.uri)) is None:
            return self.table(name)
        account, blob = place
        return blob.child(name).for_hadoop(account)

    def arrow(self, name: str) -> SubTreeFileSystem | None:
        """A table's directory as Arrow takes it; None where it can be had from delta-rs only.

        On Azure it is adlfs: Arrow's own file system for Azure ends the process where the network fails. Scans of it
        must be read to their end, or by `kgp.io.streamed`.
        """
        if self.local_root is not None:
            return SubTreeFileSystem(self.table(name), LocalFileSystem())
        if (place := locate(self.uri)) is None:
            return None
        account, blob = place
        files = PyFileSystem(FSSpecHandler(account.file_system()))
        return SubTreeFileSystem(blob.child(name).for_fsspec, files)

    def prepare(self, spark: SparkSession) -> None:
        """Tell a session's Hadoop how to reach the lake, where its configuration does not say so already.

        The settings go to Hadoop's configuration and not to Spark's, which its web page and event log show.
        """
        if (place := locate(self.uri)) is None:
            return
        account, blob = place
        try:
            hadoop = spark.sparkContext._jsc.hadoopConfiguration()
        except Exception:  # a Spark Connect session has its storage from its workspace
            return
        for setting, value in account.hadoop_settings(blob.container).items():
            if hadoop.get(setting) is None:
                hadoop.set(setting, value)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TableNotFoundError:
            raise
        except (OSError, DeltaError) as problem:
            raise (explain_storage(problem, self.uri) or problem) from None


def explain_storage(problem: Exception, uri: str) -> LakeError | None:
    """What a remote storage's failure means for a person; None where it is no such failure.

    Args:
        problem: what delta-rs, Arrow or the SDK raised; its text may quote a signed URL and is not repeated.
        uri: of the lake.
    """
    text = str(problem)
    if isinstance(problem, OSError) and re.search("No space left|Disk quota", text, re.I):
        return LakeError(
            "There is no room left for what was to be written.",
            where=place_of(uri),
            mend="Make room, then run it again: what is finished is kept.",
        )
    if is_local(uri) or not re.search(
        r"MicrosoftAzure|Azure|object.store|Error performing|Connect", text, re.I
    ):
        return None
    reason = re.search(r"<Code>(\w+)</Code>", text) or re.search(r"\b([45]\d\d [A-Z][A-Za-z ]+)", text)
    return LakeError(
        f"Its storage did not give what was asked for ({reason[1].strip() if reason else type(problem).__name__}).",
        where=place_of(uri),
        mend="Check URI, network and credentials (AZURE_STORAGE_CONNECTION_STRING and the like; see the README).",
    )


def learn_credentials() -> None:
    """Take what the configuration of spark-submit, or of the session that is there, says of Azure's accounts."""
    is_submitted = "PYSPARK_GATEWAY_PORT" in os.environ
    if not is_submitted and "pyspark.sql" not in sys.modules:
        return  # nobody can have made a session; to import Spark would take longer than a small job
    from pyspark import SparkConf
    from pyspark.sql import SparkSession

    if is_submitted:
        learn_from_spark(SparkConf().getAll())
    session = SparkSession.getActiveSession()
    if session is None:
        return
    try:
        settings = session._jsparkSession.conf()  # the context's, and what was set in a notebook
        # All names at once: to ask for each pair on its own would take longer than a ledger takes to be read.
        names = settings.getAll().keys().mkString("\n").split("\n")
        learn_from_spark((name, settings.get(name)) for name in names if "fs.azure" in name)
    except Exception:  # a Spark Connect session shows neither
        return
