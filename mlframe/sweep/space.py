"""What a sweep varies: axes from the command line, from the models' search spaces and from the config."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlframe.errors import ConfigError, MlframeError, ParameterError, Problems, UnknownNameError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

__all__ = ["Axis", "Space", "axes_of", "axis_of_override", "axis_of_value", "spell", "unquoted"]

WORDS = ("low", "high", "log", "step", "points")
POINTS = 3
FAMILIES = {"classification": ("binary", "multiclass"), "regression": ("regression",)}


@dataclass(frozen=True)
class Axis:
    """One thing that is varied.

    Args:
        key: config group or dotted key, as an override spells it.
        choices: values; empty for a range.
        low: lower end of a range.
        high: upper end.
        log: whether the range is spread by factors.
        step: distance of allowed values; None for any.
        points: how many values of the range a grid takes.
        owner: the choice that the axis belongs to, such as (`model`, `lgbm`); None for always.
        where: where the axis comes from, for error texts.
    """

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    points: int = POINTS
    owner: tuple[str, str] | None = None
    where: str = ""

    @property
    def name(self) -> str:
        """A name that no other axis has: keys of two models may be spelled alike."""
        return f"{self.owner[1]}: {self.key}" if self.owner else self.key

    @property
    def whole(self) -> bool:
        """Whether the range holds whole numbers."""
        return not self.choices and isinstance(self.low, int) and isinstance(self.high, int)

    def text(self) -> str:
        """Return its values in a few words."""
        if self.choices:
            return ", ".join(spell(value) for value in self.choices)
        by = ", spread by factors" if self.log else ""
        return f"{self.low:g} to {self.high:g}{f' by {self.step:g}' if self.step else ''}{by}"

    def grid(self) -> list[Any]:
        """Return the values that a grid takes: all choices, or `points` values of a range, its middle for one."""
        if self.choices:
            return list(self.choices)
        shares = [0.5] if self.points == 1 else [index / (self.points - 1) for index in range(self.points)]
        values: list[Any] = []
        for share in shares:
            value: float
            if self.log:
                value = math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low)))
            else:
                value = self.low + share * (self.high - self.low)
            if self.step:
                value = self.low + round((value - self.low) / self.step) * self.step
            rounded: Any = round(value) if self.whole else float(f"{value:.6g}")
            if rounded not in values:
                values.append(rounded)
        return values


@dataclass(frozen=True)
class Space:
    """Everything that a sweep varies.

    Args:
        axes: in the order in which a grid runs through them, the last one fastest.
    """

    axes: tuple[Axis, ...] = field(default_factory=tuple)

    def __iter__(self) -> Iterator[Axis]:
        return iter(self.axes)

    def active(self, values: Mapping[str, Any], fixed: Mapping[str, Any]) -> Iterator[Axis]:
        """Give the axes that hold for what is chosen, owners first; `values` may grow meanwhile."""
        for axis in sorted(self.axes, key=lambda item: item.owner is not None):
            if axis.owner is None or {**fixed, **values}.get(axis.owner[0]) == axis.owner[1]:
                yield axis

    def combinations(self, fixed: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Give every combination of the axes' grid values; axes of an option stand for that option only."""
        free = [axis for axis in self.axes if axis.owner is None]
        owned = [axis for axis in self.axes if axis.owner is not None]

        def run(axes: Sequence[Axis], chosen: dict[str, Any]) -> Iterator[dict[str, Any]]:
            if not axes:
                yield chosen
                return
            for value in axes[0].grid():
                yield from run(axes[1:], {**chosen, axes[0].key: value})

        for outer in run(free, {}):
            picked = {**fixed, **outer}
            yield from run([axis for axis in owned if axis.owner and picked.get(axis.owner[0]) == axis.owner[1]], outer)


def axes_of(node: Any, *, where: str, owner: tuple[str, str] | None = None, task: str | None = None) -> list[Axis]:
    """Read the axes of a search space that is spelled like the config.

    Args:
        node: nested mappings whose leaves are a list of values or a mapping with `low` and `high`.
        where: where it comes from, for error texts.
        owner: the choice that it belongs to.
        task: learning task; axes of the other family are left out. None keeps all.

    Raises:
        Problems: every axis that is none.
    """
    axes: list[Axis] = []
    errors: list[MlframeError] = []
    for key, leaf in _leaves(node, ""):
        family = next((name for name in FAMILIES if name in key.split(".")), None)
        if family and task and task not in FAMILIES[family]:
            continue
        try:
            axes.append(axis_of_value(key, leaf, where=where, owner=owner))
        except MlframeError as error:
            errors.append(error)
    if errors:
        raise Problems(errors)
    return axes


def axis_of_value(key: str, leaf: Any, *, where: str, owner: tuple[str, str] | None = None) -> Axis:
    """Read one axis: a list of values, or a mapping with `low` and `high`.

    Raises:
        ConfigError: it is neither.
        ParameterError: an empty range or list, or a number that cannot be.
    """
    place = f"{where}, {key}"
    if isinstance(leaf, list):
        if not leaf:
            raise ParameterError(
                f"The axis {key} has no values", value=leaf, where=place, hint="list at least one value"
            )
        return Axis(key, tuple(leaf), owner=owner, where=where)
    if not isinstance(leaf, Mapping) or not {"low", "high"} <= set(leaf):
        hint = "write a list of values, or {low: 1, high: 100, log: true}"
        raise ConfigError(f"The axis {key} is no list and no range", value=leaf, where=place, hint=hint)
    for name in leaf:
        if name not in WORDS:
            raise UnknownNameError.from_name("word for a range", str(name), WORDS, where=place)
    low, high, step, points = leaf["low"], leaf["high"], leaf.get("step"), leaf.get("points", POINTS)
    for name, value in (("low", low), ("high", high), ("step", step)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ParameterError(
                f"The axis {key}: {name} must be a number",
                value=value,
                where=place,
                hint="such as {low: 0.01, high: 1, log: true}",
            )
    if low is None or high is None or not low < high:
        text = f"The range of {key} is empty: low {low} must be below high {high}"
        raise ParameterError(text, value=dict(leaf), where=place, hint="swap them, or fix the value with an override")
    if leaf.get("log") and low <= 0:
        raise ParameterError(f"The range of {key} cannot be logarithmic from {low}", value=dict(leaf), where=place,
                             hint="begin above 0, or leave log out")  # fmt: skip
    if step is not None and (step <= 0 or leaf.get("log")):
        raise ParameterError(
            f"The axis {key}: step must be above 0, and goes without log",
            value=step,
            where=place,
            hint="such as {low: 1, high: 9, step: 2}",
        )
    if isinstance(points, bool) or not isinstance(points, int) or points < 1:
        raise ParameterError(
            f"The axis {key}: points must be 1 or more",
            value=points,
            where=place,
            hint="so many values of the range are tried by a grid",
        )
    return Axis(key, (), low, high, bool(leaf.get("log")), step, points, owner, where)


def axis_of_override(override: Override) -> Axis:
    """Turn a swept override of Hydra's grammar into an axis; `interval(…)` gives a range, all else choices.

    Raises:
        ParameterError: an empty interval.
    """
    from hydra.core.override_parser.types import IntervalSweep

    from mlframe.config.compose import parse

    prefix = "++" if override.is_force_add() else "+" if override.is_add() else ""
    package = f"@{override.package}" if override.package else ""
    key = f"{prefix}{override.key_or_group}{package}"
    swept = override.value()
    where = f"command line: {override.input_line}"
    if isinstance(swept, IntervalSweep):
        whole = swept.is_int if hasattr(swept, "is_int") else False
        low, high = (int(swept.start), int(swept.end)) if whole else (swept.start, swept.end)
        return axis_of_value(key, {"low": low, "high": high, "log": "log" in swept.tags}, where=where)
    texts = list(override.sweep_string_iterator())
    parsed, errors = parse([f"{override.key_or_group}={text}" for text in texts])
    if errors:
        raise Problems(errors)
    values = [unquoted(item.value()) for item in parsed]
    if not values:
        raise ParameterError(
            f"The axis {key} has no values", value=str(override.input_line), where=where, hint=f"list them: {key}=1,2,3"
        )
    return Axis(key, tuple(values), where=where)


def spell(value: Any) -> str:
    """Return a value as Hydra's grammar reads it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{','.join(spell(item) for item in value)}]"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{spell(item)}" for key, item in value.items()) + "}"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    plain = re.fullmatch(r"[A-Za-z_][\w./-]*", text) and text.lower() not in ("null", "true", "false", "nan", "inf")
    if plain:
        return text
    from hydra.core.override_parser.types import Quote, QuotedString

    return str(QuotedString(text, Quote.single).with_quotes())


def unquoted(value: Any) -> Any:
    """Return plain values for what Hydra's parser gives."""
    if hasattr(value, "text") and hasattr(value, "quote"):
        return value.text
    if isinstance(value, list):
        return [unquoted(item) for item in value]
    if isinstance(value, dict):
        return {unquoted(key): unquoted(item) for key, item in value.items()}
    return value


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Give dotted keys and leaves; an empty mapping holds none."""
    if isinstance(node, Mapping) and not (set(node) & {"low", "high"}):
        for name, inner in node.items():
            yield from _leaves(inner, f"{path}.{name}" if path else str(name))
    else:
        yield path, node
