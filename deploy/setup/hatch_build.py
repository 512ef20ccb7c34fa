"""Puts the defaults, `conf/`, into the wheel as `kgp/conf`.

A static `force-include` would copy them into editable installs as well, where they would go stale.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ConfHook(BuildHookInterface):  # type: ignore[type-arg]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "editable":
            build_data["force_include"]["conf"] = "kgp/conf"
