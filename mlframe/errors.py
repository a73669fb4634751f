"""One tree of errors. A text says what failed, the value, where it came from and what to do.

MlframeError                    anything that mlframe itself raises
├── UserError                   the user can mend it: exit 2, no traceback
│   ├── ConfigError             (ValueError)     the config says something impossible
│   │   ├── UnknownNameError    (LookupError)    no such component, group, key, run or version
│   │   └── ParameterError      (TypeError)      a parameter a component does not take, or of the wrong type
│   ├── DataError               (ValueError)     the data cannot be used as declared
│   ├── PluginError             (ImportError)    a plugin cannot be loaded, or clashes with another
│   ├── StoreError              (OSError)        the store cannot be opened, written or trusted
│   │   └── MovedError                           somebody else moved an alias meanwhile
│   ├── BundleError             (ValueError)     a bundle is damaged, unsafe or made by something else
│   └── Problems                                 several of the above, shown together
├── StepError                   (RuntimeError)   a component failed: exit 1, original chained, traceback in the run's log
│   └── LimitError              (TimeoutError)   a step passed its limit of time or memory
└── Pruned                                       a job of a sweep was ended early: no error, but an end
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

__all__ = [
    "BundleError",
    "ConfigError",
    "DataError",
    "LimitError",
    "MlframeError",
    "MovedError",
    "ParameterError",
    "PluginError",
    "Problems",
    "Pruned",
    "StepError",
    "StoreError",
    "UnknownNameError",
    "UserError",
    "near_matches",
]

_ABSENT = object()


def near_matches(name: str, available: Iterable[str], limit: int = 3, cutoff: float = 0.6) -> list[str]:
    """Return the names of `available` that a person who typed `name` may have meant, best first."""
    names = sorted({str(item) for item in available})
    folded = {item.lower(): item for item in names}
    found = difflib.get_close_matches(name.lower(), folded, n=limit, cutoff=cutoff)
    return [folded[item] for item in found]


class MlframeError(Exception):
    """Base of every error of mlframe.

    Args:
        what: what failed, one sentence without a full stop.
        value: the offending value; left out when there is none.
        where: where the value came from: config key, file and line, step, plugin.
        hint: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, value: Any = _ABSENT, where: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.value = None if value is _ABSENT else value
        self.where = where
        self.hint = hint
        lines = [what]
        if value is not _ABSENT:
            lines.append(f"  value: {_short(value)}")
        if where:
            lines.append(f"  from:  {where}")
        if hint:
            lines.append(f"  do:    {hint}")
        super().__init__("\n".join(lines))

    def at(self, where: str) -> Self:
        """Return the same error with another origin, for a caller who knows better where the value came from."""
        copy = type(self).__new__(type(self))
        value = {"value": self.value} if "\n  value: " in str(self) else {}
        MlframeError.__init__(copy, self.what, **value, where=where, hint=self.hint)
        copy.__cause__ = self.__cause__
        return copy

    def record(self) -> dict[str, Any]:
        """Return plain values that `from_record` makes an error with the same text of, in another process."""
        value = {"value": self.value} if "\n  value: " in str(self) else {}
        kind = next(base.__name__ for base in type(self).__mro__ if base.__module__ == __name__)
        return {"kind": kind, "what": self.what, **value, "where": self.where, "hint": self.hint}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> MlframeError:
        """Rebuild from `record`."""
        fields = {name: value for name, value in record.items() if name != "kind"}
        made: MlframeError = globals()[record["kind"]](fields.pop("what"), **fields)
        return made


class UserError(MlframeError):
    """A mistake that the user can mend; ends with exit code 2 and no traceback."""

    exit_code = 2


class ConfigError(UserError, ValueError):
    """The config says something that cannot be."""


class UnknownNameError(ConfigError, LookupError):
    """A name that nothing answers to."""

    @classmethod
    def from_name(
        cls, kind: str, name: str, available: Iterable[str], *, where: str | None = None, remedy: str | None = None
    ) -> UnknownNameError:
        """Build the text with near matches and, where the list is short, every available name."""
        # Numbers by size, behind words: 2 stands before 10.
        names = sorted({str(item) for item in available}, key=lambda one: (len(one) if one.isdigit() else 0, one))
        near = near_matches(name, names)
        parts = []
        if near:
            parts.append(f"did you mean {_either(near)}?")
        if names and len(names) <= 40:
            parts.append(f"available: {', '.join(names)}")
        if remedy:
            parts.append(remedy)
        return cls(f"There is no {kind} {name!r}", where=where, hint="; ".join(parts) or None)

    def __str__(self) -> str:  # LookupError would show the repr of the text
        return str(self.args[0])


class ParameterError(ConfigError, TypeError):
    """A parameter that a component does not take, or a value of the wrong type."""

    @classmethod
    def unknown(cls, component: str, name: str, available: Iterable[str], *, where: str) -> ParameterError:
        """Name the unknown parameter, its near matches and all that the component takes."""
        names = sorted(available)
        near = near_matches(name, names)
        hint = f"did you mean {_either(near)}? " if near else ""
        return cls(f"{component} has no parameter {name!r}", where=where, hint=f"{hint}it takes: {', '.join(names)}")

    @classmethod
    def wrong_type(cls, component: str, name: str, value: Any, expected: str, *, where: str) -> ParameterError:
        """Say which type or word the parameter wants and what came."""
        if expected.startswith("one of "):
            near = near_matches(str(value), re.findall(r"'([^']+)'", expected))
            hint = f"did you mean {_either(near)}?" if near else None
            return cls(f"{component}: {name} must be {expected}", value=value, where=where, hint=hint)
        return cls(
            f"{component}: {name} must be {expected}, got {type(value).__name__}",
            value=value,
            where=where,
            hint=f"give {name} a value of type {expected}",
        )


class DataError(UserError, ValueError):
    """The data cannot be used as the config declares it."""


class PluginError(UserError, ImportError):
    """A plugin cannot be loaded, or two plugins claim one name."""


class StoreError(UserError, OSError):
    """The store cannot be opened, written or trusted."""

    def __str__(self) -> str:  # OSError formats its own arguments
        return str(self.args[0])


class MovedError(StoreError):
    """An alias does not point any more at what the decision to move it was based on."""


class BundleError(UserError, ValueError):
    """A bundle is damaged, holds an untrusted type, or was made by something else."""


class Problems(UserError):
    """Several mistakes, shown together.

    Args:
        errors: the single mistakes, in the order in which they are shown.
    """

    def __init__(self, errors: Sequence[MlframeError]) -> None:
        self.errors = list(errors)
        count = len(self.errors)
        head = f"{count} problem{'s' if count != 1 else ''} found before anything was read:"
        super().__init__("\n".join([head, *(_numbered(i, error) for i, error in enumerate(self.errors, 1))]))


class StepError(MlframeError, RuntimeError):
    """A component failed inside a step."""


class LimitError(StepError, TimeoutError):
    """A step passed its limit of time or memory."""

    def __str__(self) -> str:  # TimeoutError is an OSError, which formats its own arguments
        return str(self.args[0])


class Pruned(MlframeError):
    """A job of a sweep was ended early because others are ahead of it."""


def _numbered(number: int, error: MlframeError) -> str:
    first, *rest = str(error).splitlines()
    return "\n".join([f"{number:>3}. {first}", *(f"     {line.strip()}" for line in rest)])


def _either(names: Sequence[str]) -> str:
    return " or ".join(repr(name) for name in names)


def _short(value: Any, limit: int = 300) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
