"""What deployers write beside a server: Prometheus' configuration, rules for alerts, a Grafana dashboard."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from mlframe.errors import ConfigError, ParameterError

__all__ = ["ALERTS", "alert_values", "megabytes", "operate_words", "write_observing", "writer"]

ALERTS = {"errors": 0.01, "latency_ms": 250.0, "silence": "1h", "stale": "2d"}
"""Limits from which somebody is told, unless the config has others."""
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def alert_values(alerts: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the rules' template says of the limits.

    Raises:
        ParameterError: there is no such limit.
        ConfigError: a limit is none.
    """
    given = {**ALERTS, **(alerts or {})}
    for name in given:
        if name not in ALERTS:
            raise ParameterError.unknown("deployer.alerts", name, ALERTS, where=f"deployer.alerts.{name}")
    for name, most in (("errors", 1.0), ("latency_ms", float("inf"))):
        if isinstance(given[name], bool) or not isinstance(given[name], int | float) or not 0 < given[name] < most:
            hint = "a share such as 0.01" if name == "errors" else "milliseconds, such as 250"
            raise ConfigError("This is no limit", value=given[name], where=f"deployer.alerts.{name}", hint=hint)
    seconds = {name: _seconds(given[name], f"deployer.alerts.{name}") for name in ("silence", "stale")}
    return {
        "errors": f"{given['errors']:g}",
        "latency_seconds": f"{given['latency_ms'] / 1000:g}",
        "silence": f"{seconds['silence']}s",
        "stale_seconds": seconds["stale"],
    }


def _seconds(text: Any, where: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw])", str(text))
    if not found or int(found[1]) == 0:
        raise ConfigError("This is no span of time", value=text, where=where, hint="such as 30m, 1h or 2d")
    return int(found[1]) * UNITS[found[2]]


def megabytes(text: str, where: str) -> int:
    """Return an amount of memory in megabytes.

    Raises:
        ConfigError: it is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(MB|GB)\s*", str(text), re.IGNORECASE)
    if not found or float(found[1]) <= 0:
        raise ConfigError("This is no amount of memory", value=text, where=where, hint="such as 512MB or 2GB")
    return round(float(found[1]) * (1024 if found[2].upper() == "GB" else 1))


def writer() -> Any:
    """Return a Jinja environment of this folder's templates, which knows `quoted` for words of a shell."""
    import jinja2

    loader = jinja2.FunctionLoader(lambda name: (resources.files(__package__) / "templates" / name).read_text("utf-8"))
    made = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    made.globals["quoted"] = shlex.quote
    return made


def write_observing(folder: Path, values: Mapping[str, Any]) -> None:
    """Write the files into a folder, which is made.

    Args:
        folder: where they go.
        values: `name`, `slug`, the limits of `alert_values`, `target` (host and port of the server), `key_file` (file with
            an API key, None where keys are off), `prometheus` (its address as Grafana sees it), `dashboards` (the folder
            of dashboards as Grafana sees it).
    """
    folder.mkdir(parents=True)
    templates = writer()
    for template, target in (
        ("prometheus.yaml", "prometheus.yaml"),
        ("prometheus-rules.yaml", "rules.yaml"),
        ("grafana-datasource.yaml", "grafana/datasources/prometheus.yaml"),
        ("grafana-provider.yaml", "grafana/dashboards/mlframe.yaml"),
    ):
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(templates.get_template(template).render(values), encoding="utf-8")
    dashboard = resources.files(__package__) / "templates" / "grafana-dashboard.json"
    (folder / "grafana" / "mlframe.json").write_text(dashboard.read_text("utf-8"), encoding="utf-8")


def operate_words(command: tuple[str, ...], more: list[str]) -> list[str]:
    """Return the words after `python -m mlframe` that operate what a training's command made.

    Changes of the training's task mean nothing to another task and are left out.
    """
    kept = [word for word in command if not word.lstrip("+~").startswith("task") and word != "train"]
    return ["operate", *kept, *more]
