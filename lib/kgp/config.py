"""From `conf/*.yml`, the environment and the command line to params.

The order is fixed: `conf/base.yml`, then the file given with ``--conf``, then ``KGP_<SECTION>_<OPTION>``, then the
command line. What is left without a value is a usage error that names the option.

Where one option chooses a preset (`kgp eqtl build --profile`), the preset's section, made up in the same order, lies
below the section of the job: whatever is said of an option itself counts.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import yaml

from kgp.errors import EnvironmentProblem, UsageError

P = TypeVar("P")


@dataclass(frozen=True)
class Config:
    """The merged configuration.

    Args:
        values: section → option → value; top-level options stand under the empty section.
    """

    values: Mapping[str, Mapping[str, Any]]

    @property
    def lake(self) -> str:
        """URI of the lake."""
        return str(self.values[""]["lake"])

    def params(self, kind: type[P], given: Mapping[str, Any] | None = None) -> P:
        """Params of that kind from the configuration, overridden by what is given.

        Raises:
            UsageError: an option has no value, or a value of the wrong kind.
        """
        section = str(kind.section)  # type: ignore[attr-defined]
        values = {**self._preset(kind, given or {}), **self.values.get(section, {})}
        values.update({k: v for k, v in (given or {}).items() if v is not None})
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)  # type: ignore[arg-type]
        if strangers := sorted(set(values) - {f.name for f in fields}):
            raise UsageError(
                f"There is no option '{strangers[0]}'.", where=f"section {section}", mend="See --help."
            )
        missing = [f for f in fields if f.name not in values]
        if missing:
            flags = ", ".join(
                str(f.metadata.get("metavar"))
                if f.metadata.get("positional")
                else "--" + f.name.replace("_", "-")
                for f in missing
            )
            raise UsageError(f"Not given: {flags}.", mend="See --help.")
        known: dict[str, Any] = {
            f.name: _cast(values[f.name], hints[f.name], f"{section}.{f.name}") for f in fields
        }
        if "asked" in inspect.signature(kind).parameters:
            # Without presets the section holds the defaults, which nobody asked for.
            said = self.values.get(section, {}) if getattr(kind, "preset", None) is not None else {}
            known["asked"] = frozenset({*said, *(k for k, v in (given or {}).items() if v is not None)})
        return kind(**known)

    def _preset(self, kind: type[Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the option that chooses a preset brings, below all that is given for the section itself.

        Raises:
            UsageError: there is no such preset, or it says something of other options.
        """
        chooser = getattr(kind, "preset", None)
        if chooser is None:
            return {}
        chosen = given.get(chooser) or self.values.get(kind.section, {}).get(chooser)
        name = _cast(chosen, typing.get_type_hints(kind)[chooser], f"{kind.section}.{chooser}")
        section = f"eqtl_{chooser}_{name}".replace("-", "_")
        preset = self.values.get(section, {})
        own = {f.name for f in dataclasses.fields(kind) if f.metadata.get("preset")}
        if strangers := sorted(set(preset) - own):
            raise UsageError(
                f"'{strangers[0]}' is no option that a {chooser} decides.",
                where=f"section {section}",
                mend=f"Give it in section {kind.section}, or see conf/base.yml.",
            )
        return preset


def find_conf_dir() -> Traversable:
    """The directory with base.yml: inside the package (a wheel, a --py-files zip), else at the checkout's top.

    Raises:
        EnvironmentProblem: neither has it.
    """
    candidates: tuple[Traversable, ...] = (files("kgp") / "conf", Path(__file__).parents[2] / "conf")
    for candidate in candidates:
        if (candidate / "base.yml").is_file():
            return candidate
    raise EnvironmentProblem("conf/base.yml is missing from the installation.", mend="Install kgp again.")


def load_config(
    conf: str | None = None, *, lake: str | None = None, environ: Mapping[str, str] | None = None
) -> Config:
    """Read base.yml, the file or name given as `conf`, and the environment.

    Args:
        conf: a path, or the name of a file in conf/ without its suffix (``azure``).
        lake: the lake's URI where the command line gives one.
        environ: instead of the process's environment.
    """
    base = _read(find_conf_dir() / "base.yml")
    merged: dict[str, dict[str, Any]] = {"": {k: v for k, v in base.items() if not isinstance(v, dict)}}
    merged.update({k: dict(v) for k, v in base.items() if isinstance(v, dict)})
    # Options without a default are unknown to base.yml; the sections are not.
    if conf is not None:
        _merge(merged, _read(_find(conf)), conf)
    variables = os.environ if environ is None else environ
    for name, text in variables.items():
        if not name.startswith("KGP_"):
            continue
        if name == "KGP_LAKE":
            merged[""]["lake"] = text
        for section, options in merged.items():
            prefix = f"KGP_{section.upper()}_"
            if section and name.startswith(prefix):
                options[name.removeprefix(prefix).lower()] = yaml.safe_load(text)
    if lake is not None:
        merged[""]["lake"] = lake
    return Config(merged)


def _find(conf: str) -> Traversable:
    candidates: tuple[Traversable, ...] = (Path(conf), find_conf_dir() / f"{conf}.yml")
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    names = ", ".join(sorted(p.name.removesuffix(".yml") for p in find_conf_dir().iterdir()))
    raise UsageError(
        f"There is no configuration '{conf}'.", where="--conf", mend=f"Give a path or one of {names}."
    )


def _read(path: Traversable) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as problem:
        raise UsageError(f"It is no YAML: {problem}.", where=str(path), mend="Mend the file.") from problem
    if not isinstance(content, dict):
        raise UsageError(
            "It holds no options.", where=str(path), mend="Write it as conf/base.yml is written."
        )
    return content


def _merge(merged: dict[str, dict[str, Any]], new: Mapping[str, Any], where: str) -> None:
    for key, value in new.items():
        if isinstance(value, dict) and key in merged:
            merged[key].update(value)
        elif not isinstance(value, dict) and key in merged[""]:
            merged[""][key] = value
        else:
            raise UsageError(f"'{key}' is no option or section.", where=where, mend="See conf/base.yml.")


def _cast(value: Any, hint: Any, where: str) -> Any:
    """The value as the field's type; numbers and lists only, nothing is guessed."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        items = () if value is None else value if isinstance(value, list | tuple) else (value,)
        return tuple(str(item) for item in items)
    if origin is typing.Literal:
        if value not in args:
            raise UsageError(f"'{value}' is not among {', '.join(args)}.", where=where, mend="See --help.")
        return value
    if type(None) in args:
        if value is None:
            return None
        (hint,) = (a for a in args if a is not type(None))
        return _cast(value, hint, where)
    try:
        if hint is bool:
            if not isinstance(value, bool):
                raise ValueError
            return value
        if value is None or isinstance(value, bool):
            raise ValueError
        if hint is int and isinstance(value, float) and not value.is_integer():
            raise ValueError
        return hint(value)
    except (TypeError, ValueError):
        raise UsageError(f"'{value}' is no {hint.__name__}.", where=where, mend="See --help.") from None
