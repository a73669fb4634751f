"""What a person sees of a run: a line a step, progress on a terminal, one summary at the end."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from mlframe.config.price import price_text

__all__ = ["Display", "summary_table"]


class Display:
    """Shows a run on standard output; on a terminal with a moving line, elsewhere with finished lines only.

    Args:
        quiet: show nothing (jobs of a multirun have one line each instead).
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self._status: Any = None
        self._lines: list[str] = []
        self._console: Any = None

    @property
    def console(self) -> Any:
        """The rich console, made when first used."""
        if self._console is None:
            from rich.console import Console

            width = None if sys.stdout.isatty() else 120
            self._console = Console(highlight=False, soft_wrap=True, width=width)
        return self._console

    def header(self, text: str) -> None:
        """Show a line before the first step."""
        if not self.quiet:
            self.console.print(text, markup=False)

    def step(self, name: str, summary: str) -> None:
        """A step begins."""
        self._lines = []
        if not self.quiet and self.console.is_terminal:
            self._status = self.console.status(f"{name}: {summary}")
            self._status.start()

    def say(self, text: str) -> None:
        """Keep a line about the running step; it is shown when the step is done."""
        self._lines.append(text)

    def progress(self, done: int | None, total: int | None, text: str) -> None:
        """Show how far a long step has come (terminals only)."""
        if self._status is not None:
            self._status.update(f"{text}" if total is None else f"{text}  [{done}/{total} done]")

    def done(self, name: str, seconds: float, cached: bool) -> None:
        """A step gave its artifacts."""
        self._stop()
        if self.quiet:
            return
        took = "cached" if cached else f"{seconds:.1f} s"
        first, *rest = self._lines or [""]
        self.console.print(f"  {name:<9} {took:>7}  {first}", markup=False)
        for line in rest:
            self.console.print(f"{'':<21}{line}", markup=False)
        self._lines = []

    def failed(self, name: str) -> None:
        """A step failed; what it said so far may explain why."""
        self._stop()
        if not self.quiet:
            self.console.print(f"  {name:<9}  failed", markup=False)
            for line in self._lines:
                self.console.print(f"{'':<21}{line}", markup=False)
        self._lines = []

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


def summary_table(rows: Sequence[tuple[str, str]], title: str) -> Any:
    """Return the end-of-run table: what, and the outcome."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=SIMPLE_HEAD, show_header=False, title_justify="left", pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def summary_rows(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the end-of-run table from a run's summary."""
    rows: list[tuple[str, str]] = [(name, text) for name, text in summary.get("lines") or ()]
    figures: Mapping[str, Mapping[str, Any]] = summary.get("figures") or {}
    metric = summary.get("metric")
    for part in ("folds", "holdout"):
        for name, found in sorted((figures.get(part) or {}).items(), key=lambda item: (item[0] != metric, item[0])):
            rows.append((f"{part} {name}", interval_text(found) + ("   <- decides" if name == metric else "")))
    gate = summary.get("gate")
    if gate:
        rows.append(("gate", "yes" if gate["passed"] else "no"))
        marks = {True: "met", False: "NOT met", None: "not judged"}
        rows.extend(
            (f"  {check['name']}", f"{marks[check['passed']]}: {check['evidence']}") for check in gate["checks"]
        )
        if gate.get("value"):
            rows.append(("value", gate["value"]["text"]))
    for name, files in (summary.get("report") or {}).items():
        rows.append((f"report ({name})", files[0] if files else "nothing written"))
    rows.extend((f"tracker ({name})", str(address)) for name, address in (summary.get("trackers") or {}).items())
    if summary.get("scored"):
        rows.append(("predictions", f"{summary['scored']['rows']:,} rows in {summary['scored']['output']}"))
    if summary.get("version"):
        rows.append(("version", summary["version"] + ("  (champion)" if summary.get("promoted") else "")))
    if summary.get("fast"):
        rows.append(("fast path", summary["fast"]))
    if summary.get("promote"):
        rows.append(("to promote it", summary["promote"]))
    if "seconds" in summary:
        took = [f"{summary['seconds']:.1f} s", price_text(summary)]
        took.append(f"peak memory {summary['peak_memory'] / (1 << 20):,.0f} MB")
        rows.append(("took", ", ".join(filter(None, took))))
    return rows


def interval_text(found: Mapping[str, Any]) -> str:
    """Return a figure with its interval."""
    value = f"{found['value']:.4f}" if abs(found["value"]) < 1000 else f"{found['value']:,.1f}"
    if found.get("low") is None or found.get("high") is None:
        return value
    edges = [f"{found[key]:.4f}" if abs(found[key]) < 1000 else f"{found[key]:,.1f}" for key in ("low", "high")]
    return f"{value}  ({edges[0]} to {edges[1]})"
