"""Tables of commands, printed the same way everywhere."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlframe.charts.document import Document


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """Print rows under column names; long values fold on a terminal and stay whole elsewhere."""
    print(table_text(columns, rows, title=title), end="")


def table_text(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None, whole: Collection[str] = ()
) -> str:
    """Return what `print_table` prints; columns named in `whole` do not fold while others can."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=terminal_width())
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def terminal_width() -> int:
    """Return the columns of the terminal, 200 when the output goes elsewhere."""
    import shutil
    import sys

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 200


def when(value: Any) -> str:
    """Return a moment in the reader's time zone, to the second."""
    if not value:
        return ""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment.tzinfo else moment.strftime("%Y-%m-%d %H:%M:%S")


def figure_text(record: Any, name: str | None) -> str:
    """Return a holdout figure of a version or run, or the out-of-fold one."""
    if not isinstance(record, dict) or not name:
        return ""
    for part in ("holdout", "folds"):
        found = (record.get(part) or {}).get(name)
        if found:
            return f"{found['value']:.4f} ({part})"
    return ""


def size_text(size: float) -> str:
    """Return a number of bytes as people say it."""
    if size < 1000:
        return f"{size:.0f} bytes"
    power = min(int(math.log10(size) / 3), 4)
    return f"{size / 1000**power:.1f} {('kB', 'MB', 'GB', 'TB')[power - 1]}"


def flatten(node: Any, prefix: str = "") -> dict[str, Any]:
    """Return dotted keys and values of nested mappings."""
    if isinstance(node, dict) and node:
        return {
            key: value
            for name, inner in node.items()
            for key, value in flatten(inner, f"{prefix}.{name}" if prefix else str(name)).items()
        }
    return {prefix: node}


def save_page(document: Document, file: str, where: str = "--html") -> None:
    """Write a document as an HTML page and say where it is.

    Raises:
        UserError: the file cannot be written.
        StepError: a part could not be written; the page is there and says which.
    """
    from mlframe.errors import StepError, UserError

    page = document.html()
    try:
        Path(file).write_text(page.text, encoding="utf-8")
    except OSError as error:
        hint = "name a file in a folder that exists and may be written"
        raise UserError(f"The page cannot be written: {error.strerror}", value=file, where=where, hint=hint) from error
    print(f"page: {file}")
    if page.missing:
        title, cause = page.missing[0]
        raise StepError(f"A part of '{title}' is missing in {file}: {type(cause).__name__}: {cause}") from cause
