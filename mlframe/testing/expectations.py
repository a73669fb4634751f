"""What a version must keep to: the section `tests` of its config, with a file's words over it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from mlframe.config.goal import WAYS
from mlframe.errors import ConfigError, ParameterError, UnknownNameError

__all__ = ["Expectations", "read_expectations"]


@dataclass(frozen=True)
class Expectations:
    """Limits and expectations of a version; `conf/mlframe_root.yaml` says what each is.

    Args:
        targets: figure to the least (or most) it must be on the holdout; from `goal.targets` unless a file says other ones.
        invariant: feature columns whose value must not change an answer.
        direction: feature column to `rising` or `falling`.
        agree: share of the examples that must keep to an invariance or a direction.
        slices: `columns`, `targets` and `least`.
        latency_ms: most milliseconds of a single row, None for no limit.
        size_mb: most megabytes of the bundle, None for no limit.
        endpoint: `latency_ms` and `throughput` of the version behind a server, None for no limit.
        paths: tests of one's own.
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    invariant: tuple[str, ...] = ()
    direction: Mapping[str, str] = field(default_factory=dict)
    agree: float = 0.95
    slices: Mapping[str, Any] = field(default_factory=dict)
    latency_ms: float | None = None
    size_mb: float | None = None
    endpoint: Mapping[str, float | None] = field(default_factory=dict)
    paths: tuple[str, ...] = ()


def read_expectations(config: Mapping[str, Any], columns: Iterable[str], file: Path | None = None) -> Expectations:
    """Read the section `tests` of a bundle's config; what a YAML file says stands over it.

    Args:
        config: the bundle's config; one of an older version has no such section.
        columns: the model's input columns.
        file: a YAML file with the same keys, and `targets`.

    Raises:
        ConfigError: a key, a column or a word that is not known, or a number out of its range.
    """
    goal = config.get("goal") or {}
    targets = dict(goal.get("targets") or {})
    words: dict[str, Any] = {"targets": targets, **(config.get("tests") or {})}
    for limit in ("latency_ms", "size_mb"):  # a target of the judge `service` is a limit here too
        if words.get(limit) is None:
            words[limit] = targets.get(limit)
    where = "tests"
    if file is not None:
        where = str(file)
        words |= _file(file)
    slices = {"columns": [], "targets": {}, "least": 30, **(words.get("slices") or {})}
    made = Expectations(
        {str(name): float(value) for name, value in (words["targets"] or {}).items()},
        tuple(words.get("invariant") or ()),
        dict(words.get("direction") or {}),
        float(words.get("agree", 0.95)),
        slices,
        words.get("latency_ms"),
        words.get("size_mb"),
        {"latency_ms": None, "throughput": None, **(words.get("endpoint") or {})},
        tuple(words.get("paths") or ()),
    )
    known = list(columns)
    for key, names in (
        ("invariant", made.invariant),
        ("direction", made.direction),
        ("slices.columns", slices["columns"]),
    ):
        for name in names:
            if name not in known:
                raise UnknownNameError.from_name("input column", str(name), known, where=f"{where}: {key}")
    for name, way in made.direction.items():
        if way not in WAYS:
            raise UnknownNameError.from_name("direction", str(way), WAYS, where=f"{where}: direction.{name}")
    if not 0 < made.agree <= 1:
        raise ParameterError(
            "agree is a share of the examples", value=made.agree, where=f"{where}: agree", hint="above 0, at most 1"
        )
    limits: dict[str, Any] = {"latency_ms": made.latency_ms, "size_mb": made.size_mb}
    limits |= {f"endpoint.{name}": limit for name, limit in made.endpoint.items()}
    for name, limit in limits.items():
        if limit is not None and not (isinstance(limit, int | float) and limit > 0 and math.isfinite(limit)):
            raise ParameterError(
                f"{name} must be above 0", value=limit, where=f"{where}: {name}", hint="null for no limit"
            )
    return made


def _file(path: Path) -> dict[str, Any]:
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:  # numbers are spelled as in every other file: plain YAML takes 1e-3 for a text
        words = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, OmegaConfBaseException) as error:
        raise ConfigError(
            f"The file of expectations cannot be read ({type(error).__name__}: {str(error).splitlines()[0]})",
            where=f"--mlframe-checks {path}",
            hint="it is YAML with the keys of the section tests: invariant, direction, …",
        ) from error
    known = [item.name for item in fields(Expectations)]
    if not isinstance(words, dict):
        raise ConfigError(
            "The file of expectations holds no mapping",
            value=words,
            where=str(path),
            hint="give keys of the section tests, one a line, such as 'invariant: [id]'",
        )
    for key, value in words.items():
        if key not in known:
            raise UnknownNameError.from_name("expectation", str(key), known, where=str(path))
        wanted = {
            "invariant": list,
            "paths": list,
            "direction": dict,
            "slices": dict,
            "targets": dict,
            "endpoint": dict,
        }.get(key)
        if wanted is not None and value is not None and not isinstance(value, wanted):
            raise ParameterError.wrong_type("tests", key, value, f"a {wanted.__name__}", where=str(path))
    return {str(key): value for key, value in words.items()}
