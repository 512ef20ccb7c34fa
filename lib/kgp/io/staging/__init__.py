"""Files from the archives' doors to a directory or a container of one's own, whole or not at all."""

from kgp.io.staging.engine import stage
from kgp.io.staging.model import Staged, TargetFile
from kgp.io.staging.targets import Target, open_target

__all__ = ["Staged", "Target", "TargetFile", "open_target", "stage"]
