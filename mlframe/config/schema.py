"""The root keys that the core reads, their types, and how plain values are taken from a config."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mlframe.errors import ConfigError

__all__ = ["CHOICES", "OPEN", "Config", "entries", "from_environment", "pick", "plain", "recorded"]

OPEN = (
    "data.columns",
    "data.schema",
    "data.source.types",
    "data.source.times",
    "ensembler.members",
    "ensembler.weights",
    "goal.targets",
    "goal.value",
    "model.params",
    "sweep.space",
    "simulate.changes",
    "simulate.strategies",
    "tests.direction",
    "tests.slices.targets",
    "update.triggers",
)
"""Mappings that take new keys without a plus sign."""

ENVIRONMENT = "${oc.env:"
"""How a value that comes from an environment variable begins."""

CACHE_MODES = ("none", "read", "refresh")


@dataclass
class Goal:
    """Types of `goal`."""

    problem: str | None = None
    pain_points: list[str] = field(default_factory=list)
    stakeholders: list[str] = field(default_factory=list)
    owner: str | None = None
    systems: list[str] = field(default_factory=list)
    process: str | None = None
    process_cost: float | None = None
    volume: float | None = None
    integration: str | None = None
    task: str | None = None
    positive: Any = None
    metric: str | None = None
    targets: dict[str, float] = field(default_factory=dict)
    baseline: Any = None
    value: dict[str, float] = field(default_factory=dict)
    currency: str | None = None
    deadline: str | None = None
    review: str | None = None


@dataclass
class Assess:
    """Types of `assess`."""

    accept: list[str] = field(default_factory=list)


@dataclass
class Fit:
    """Types of `fit`."""

    refit: str = "full"
    early_stopping: str = "auto"
    stop_share: float = 0.15
    stop_rounds: int = 50
    calibration: str = "none"
    threshold: Any = "none"
    warm: str | None = None
    warm_by: str = "continue"


@dataclass
class Gate:
    """Types of `gate`."""

    strict: bool = False
    tolerance: float = 0.0
    margin: float | None = None


@dataclass
class Slices:
    """Types of `tests.slices`."""

    columns: list[str] = field(default_factory=list)
    targets: dict[str, float] = field(default_factory=dict)
    least: int = 30


@dataclass
class EndpointLimits:
    """Types of `tests.endpoint`."""

    latency_ms: float | None = 100.0
    throughput: float | None = 100.0


@dataclass
class Tests:
    """Types of `tests`."""

    invariant: list[str] = field(default_factory=list)
    direction: dict[str, str] = field(default_factory=dict)
    agree: float = 0.95
    slices: Slices = field(default_factory=Slices)
    latency_ms: float | None = None
    size_mb: float | None = None
    endpoint: EndpointLimits = field(default_factory=EndpointLimits)
    paths: list[str] = field(default_factory=list)


@dataclass
class Resources:
    """Types of `resources`."""

    threads: int = 1
    gpu: Any = None
    memory: str | None = None
    step_seconds: float | None = None
    price_per_hour: float | None = None


@dataclass
class Monitoring:
    """Types of `monitor`."""

    window: Any = "1d"
    since: str | None = None
    until: str | None = None
    maturity: str | None = "0d"
    rows: str = "log"


@dataclass
class StoreConfig:
    """Types of `store`."""

    root: str | None = None
    url: str | None = None
    cache_size: str = "20GB"


@dataclass
class Sweep:
    """Types of `sweep`."""

    name: str = "list"
    trials: int | None = None
    timeout: str | None = None
    repeats: int = 1
    workers: int = 1
    job_timeout: str | None = None
    job_memory: str | None = None
    fail_fast: bool = False
    prune: str = "none"
    prune_after: int = 5
    resume: str | None = None
    warm_start: str | None = None
    winner: str = "best"
    ensemble: str = "none"
    ensemble_size: int = 8
    close: bool = False
    space: dict[str, Any] = field(default_factory=dict)


@dataclass
class Simulate:
    """Types of `simulate`; what its words and durations must be is checked by `mlframe.config.simulate`."""

    start: str = "90d"
    delay: str | None = None
    look: str = "1d"
    rows: int | None = None
    shuffle: bool = False
    delta: float = 0.002
    drift_rows: int = 500
    changes: dict[str, Any] = field(default_factory=dict)
    strategies: dict[str, Any] = field(default_factory=dict)


@dataclass
class Update:
    """Types of `update`; what its words and durations must be is checked by `mlframe.config.update`."""

    name: str = "manual"
    triggers: dict[str, Any] = field(default_factory=dict)
    combine: str = "any"
    cooldown: str | None = None
    window: str = "all"
    sliding: Any = None
    rows: str = "data"
    test: float = 0.3
    test_rows: int = 200
    margin: float = 0.0
    tests: str = "standard"
    how: str = "scratch"
    tune_every: int | None = None
    tune: list[str] = field(default_factory=list)
    after: str = "promote"
    alias: str = "challenger"
    trial: str = "1d"
    watch: str | None = None
    health: dict[str, Any] = field(default_factory=dict)
    monitor: str | None = None
    poll: str = "1m"
    timeout: str | None = None
    memory: str | None = None
    backoff: str = "10m"
    lease: str = "2m"
    once: bool = False


@dataclass
class Config:
    """Types of the root keys that the core reads; components' nodes are checked against their signatures."""

    name: str | None = None
    seed: int = 0
    goal: Goal = field(default_factory=Goal)
    assess: Assess = field(default_factory=Assess)
    fit: Fit = field(default_factory=Fit)
    gate: Gate = field(default_factory=Gate)
    tests: Tests = field(default_factory=Tests)
    resources: Resources = field(default_factory=Resources)
    store: StoreConfig = field(default_factory=StoreConfig)
    sweep: Sweep = field(default_factory=Sweep)
    monitor: Monitoring = field(default_factory=Monitoring)
    simulate: Simulate = field(default_factory=Simulate)
    update: Update = field(default_factory=Update)
    cache: str = "read"
    group: str | None = None
    input: str | None = None
    output: str | None = None
    version: str | None = None
    explain: int | None = None


CHOICES = {
    "cache": CACHE_MODES,
    "fit.refit": ("full", "folds", "auto"),
    "fit.early_stopping": ("auto", "none", "required"),
    "fit.warm_by": ("continue", "leaves"),
    "fit.calibration": ("none", "sigmoid", "isotonic"),
    "level.promote": ("person", "gate", "challenger"),
    "level.tests": ("none", "standard", "staged"),
    "monitor.rows": ("log", "source"),
    "goal.task": ("binary", "multiclass", "regression"),
    "sweep.name": ("list", "grid", "random", "bayes"),
    "sweep.prune": ("none", "median"),
    "sweep.winner": ("best", "proposed"),
    "sweep.ensemble": ("none", "greedy", "voting", "stacking"),
}
"""Keys that take one of a few words."""


def available_cpus() -> int:
    """Return how many processors this process may use; `OMP_NUM_THREADS`, which the libraries obey too, lowers it."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(count, int(limit)) if limit.isdecimal() and int(limit) > 0 else count


def device(gpu: Any, without: Any, some: Any, numbered: Any) -> Any:
    """Return what a model's library calls the device that `resources.gpu` names.

    Args:
        gpu: the value of `resources.gpu`: null or false, true, or a number.
        without: the library's word for no GPU.
        some: its word for any GPU.
        numbered: its word for a certain one, with `N` in place of the number; `N` alone gives the number itself.
    """
    if gpu is None or gpu is False:
        return without
    if gpu is True or not isinstance(gpu, int):
        return some
    return gpu if numbered == "N" else str(numbered).replace("N", str(gpu))


OmegaConf.register_new_resolver("mlframe.cpus", available_cpus, replace=True)
OmegaConf.register_new_resolver("mlframe.device", device, replace=True)


def plain(config: DictConfig | Any, *, resolve: bool = True) -> Any:
    """Turn a config node into plain dictionaries, lists and values.

    Raises:
        ConfigError: an interpolation that leads nowhere, or a value that is still missing (`???`).
    """
    try:
        return OmegaConf.to_container(config, resolve=resolve, throw_on_missing=resolve)
    except OmegaConfBaseException as error:
        key = str(getattr(error, "full_key", None) or "")
        message = str(error).splitlines()[0]
        lost = re.fullmatch(r"Interpolation key '(.+)' not found", message)
        if "issing" in message:
            hint = f"give it a value: {key}=…"
        elif lost:
            hint = f"it is read from '{lost[1]}', which is not there: add that key (null where there is nothing to say)"
        else:
            hint = "mend the interpolation ${…} in that value"
        raise ConfigError(f"The config has no value for {key!r}: {message}", where=key, hint=hint) from error


def entries(node: Mapping[str, Any] | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give the keyed entries of a plural group; an entry set to null is off."""
    return ((key, entry) for key, entry in (node or {}).items() if entry is not None)


def recorded(config: DictConfig) -> Any:
    """Return plain values with everything resolved but environment variables, which stay `${oc.env:NAME}`.

    This is what runs and bundles keep: it can be composed again, and it holds no secret.
    """
    copy = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    _escape(copy)
    return plain(copy)


def from_environment(node: Any) -> bool:
    """Whether any of the plain, unresolved values comes from an environment variable."""
    if isinstance(node, str):
        return ENVIRONMENT in node
    if isinstance(node, Mapping):
        return any(from_environment(inner) for inner in node.values())
    return isinstance(node, list) and any(from_environment(inner) for inner in node)


def _escape(node: Any) -> None:
    keys = node.keys() if isinstance(node, DictConfig) else range(len(node))
    for key in keys:
        child = node._get_node(key)
        if OmegaConf.is_config(child) and not (child._is_none() or child._is_interpolation()):
            _escape(child)
        elif child is not None and isinstance(child._value(), str) and ENVIRONMENT in child._value():
            node[key] = child._value().replace(ENVIRONMENT, "\\" + ENVIRONMENT)


def pick(config: Mapping[str, Any], key: str) -> Any:
    """Return the value at a dotted key, None when there is none."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node
