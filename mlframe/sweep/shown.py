"""The leaderboard for people and trackers: text for a terminal, a page, pictures, a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlframe.sweep.leaderboard import SIGNS, Board, Row, is_number, short_names, size_text, tell

if TYPE_CHECKING:
    import polars as pl

    from mlframe.contracts import Chart

__all__ = ["charts", "frame", "render_html", "render_text"]

READING = (
    "Each candidate is compared with the best on the same folds by the corrected resampled t-test (Nadeau and Bengio 2003). "
    "Tied (≈): the comparison does not find it worse. Likely worse (↓): it does. Worse (✗): it still does with the number "
    "of candidates taken into account (Holm 1979). Open (?): too few folds to compare. A tie is no proof that two are "
    "equal; more folds or repeats tell more.",
    "Proposed (→): of the best and those tied and within one standard error of it, the one of least latency, then "
    "training time, then size. Costs within a quarter, a millisecond or a second count as equal.",
    "Std is the standard deviation over folds and repeats. In brackets are 95 % intervals, those of differences not "
    "corrected for the number of candidates.",
    "The best of many is partly lucky: expect a little less on new rows. The holdout, which no job of a sweep sees, tells "
    "how much.",
)
SHOWN = 20
"""Candidates that a terminal shows; the page has all."""
MIDDLE, NARROW = 120, 80
"""Columns of a terminal below which the table leaves out intervals, std and size, and then costs."""


def render_text(board: Board) -> str:
    """Return the leaderboard as text for a terminal: table, failures once more, proposal and commands."""
    from mlframe.commands.shown import table_text, terminal_width

    parts = []
    if board.rows:
        width = terminal_width()
        columns = {
            "": [f"{row.rank} {row.sign}" for row in board.rows],
            "trial": [str(row.trial) for row in board.rows],
            "candidate": [row.label for row in board.rows],
            board.metric: [score_text(row.mean) for row in board.rows],
            "to the best": [_difference(row, interval=width >= MIDDLE) for row in board.rows],
        }
        if width >= MIDDLE:
            columns["std"] = [score_text(row.std) for row in board.rows]
            columns["size"] = ["" if row.size_bytes is None else size_text(row.size_bytes) for row in board.rows]
        if width >= NARROW:
            columns["trained"] = [
                "" if row.train_seconds is None else f"{row.train_seconds:.3g} s" for row in board.rows
            ]
            columns["latency"] = ["" if row.latency_ms is None else f"{row.latency_ms:.3g} ms" for row in board.rows]
        kept = {name: cells for name, cells in columns.items() if any(cells)}
        whole = [name for name in kept if name != "candidate"]
        rows = list(zip(*kept.values(), strict=True))[:SHOWN]
        title = f"{board.sweep}  {board.name}: {summary(board)}"
        parts.append(table_text(list(kept), rows, title=title, whole=whole).rstrip("\n"))
        if len(board.rows) > SHOWN:
            page = f"python -m mlframe leaderboard {board.sweep} --html leaderboard.html"
            parts.append(f"{SHOWN} of {len(board.rows)} are shown; for all of them:\n  {page}")
        parts.append("   ".join(f"{sign} {word}" for sign, word in SIGNS.items()))
    else:
        parts.append(f"{board.sweep}  {board.name}: no candidate has a score ({summary(board)})")
    parts += [
        f"FAILED: job {item.number}: {' '.join(item.overrides)}{f' (run {item.run})' if item.run else ''}\n"
        + "\n".join(f"  {line}" for line in item.error.splitlines())
        for item in board.failed
    ]
    if board.proposed:
        parts.append(f"proposed: trial {board.proposed.trial} ({board.proposed.label}): {board.reason}")
    if closing := _closing(board):
        parts.append(closing)
    parts += [f"{words}:\n  {command}" for words, command in _commands(board)]
    return "\n".join(parts)


def render_html(board: Board, charts: Sequence[Chart]) -> str:
    """Return the leaderboard as one self-contained page.

    Args:
        board: the leaderboard.
        charts: pictures to show, such as those of `charts`.
    """
    from mlframe.charts.document import Code, Document, Heading, Pictures, Section

    def failures() -> Iterator[Any]:
        for item in board.failed:
            yield Heading(f"Job {item.number}: {item.status}{f' (run {item.run})' if item.run else ''}")
            yield Code(f"{' '.join(item.overrides)}\n{item.error}")

    sections = [
        Section("proposal", "Proposal", lambda: _proposal(board)),
        *([Section("candidates", "Candidates", lambda: [_candidates(board)])] if board.rows else []),
        *([Section("pictures", "Pictures", lambda: [Pictures(charts)])] if charts else []),
        *([Section("failures", "Failures", failures)] if board.failed else []),
        Section("reading", "How to read it", lambda: READING),
    ]
    title = board.name or board.sweep
    return Document(title, f"mlframe leaderboard: {board.sweep}", sections, f"{summary(board)}.").html().text


def _proposal(board: Board) -> Iterator[Any]:
    """Give the candidate to train for good, why this one, and the commands."""
    from mlframe.charts.document import Answer, Code
    from mlframe.contracts import Interval

    closing = _closing(board)
    told = [f"{closing[:1].upper()}{closing[1:]}."] if closing else []
    if board.proposed is None:
        yield Answer("bad", "Nothing to propose", "No candidate has a score.", notes=told)
        return
    row = board.proposed
    ends = ", with its 95 % interval" if row.low is not None else ""
    notes = [f"Mean over folds{ends}; {board.better} is better.", f"Why this one: {board.reason}.", *told]
    yield Answer(
        "good", f"Train trial {row.trial}", row.label, board.metric, Interval(row.mean, row.low, row.high), notes
    )
    for words, command in _commands(board):
        yield f"{words[:1].upper()}{words[1:]}:"
        yield Code(command)


def _candidates(board: Board) -> Any:
    """Return the table of candidates; what no candidate has takes no column."""
    from mlframe.charts.document import Table
    from mlframe.contracts import Interval

    def place(row: Row) -> str:
        return f"{row.rank} {row.sign} {SIGNS[row.sign]}{', → proposed' if row == board.proposed else ''}"

    def behind(row: Row) -> Any:
        known = row.difference is not None and row.rank > 1
        return Interval(row.difference, row.difference_low, row.difference_high) if known else None  # type: ignore[arg-type]

    columns: dict[str, list[Any]] = {
        "Place": [place(row) for row in board.rows],
        "Trial": [row.trial for row in board.rows],
        "Candidate": [row.label for row in board.rows],
        board.metric: [Interval(row.mean, row.low, row.high) for row in board.rows],
        "Std": [row.std for row in board.rows],
        "To the best": [behind(row) for row in board.rows],
        "Training (s)": [row.train_seconds for row in board.rows],
        "Latency (ms)": [row.latency_ms for row in board.rows],
        "Size (kB)": [None if row.size_bytes is None else row.size_bytes / 1000 for row in board.rows],
        "Runs": [", ".join(row.runs) for row in board.rows],
    }
    kept = {name: cells for name, cells in columns.items() if any(cell is not None for cell in cells)}
    return Table(list(kept), list(zip(*kept.values(), strict=True)))


def charts(board: Board) -> list[Chart]:
    """Return the pictures: score against latency (else training time), best so far, parallel coordinates."""
    from mlframe.charts.sweeps import Axis, Candidate, history, parallel, pareto

    if not board.rows:
        return []
    drawn = []
    for cost, words in (("latency_ms", "milliseconds a prediction"), ("train_seconds", "seconds of training")):
        known = [row for row in board.rows if (getattr(row, cost) or 0) > 0]
        if known:
            points = [
                Candidate(str(row.trial), row.mean, row.low, row.high, getattr(row, cost), row == board.proposed)
                for row in known
            ]
            drawn.append(pareto(points, metric=board.metric, better=board.better, cost=words))
            break
    axes = [Axis(name, [row.values.get(key) for row in board.rows]) for key, name in short_names(board.varied).items()]
    scores = [row.mean for row in board.rows]
    drawn.append(history([row.trial for row in board.rows], scores, metric=board.metric, better=board.better))
    drawn.append(parallel(axes, scores, metric=board.metric, better=board.better))
    return drawn


def frame(board: Board) -> pl.DataFrame:
    """Return the candidates as a frame, one row each, the swept values in columns under their own keys."""
    import polars as pl

    fields = {
        "rank": pl.Int64,
        "trial": pl.Int64,
        "label": pl.String,
        "mean": pl.Float64,
        "std": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "difference": pl.Float64,
        "difference_low": pl.Float64,
        "difference_high": pl.Float64,
        "p_value": pl.Float64,
        "tied": pl.Boolean,
        "train_seconds": pl.Float64,
        "latency_ms": pl.Float64,
        "size_bytes": pl.Float64,
    }
    columns = [pl.Series(name, [getattr(row, name) for row in board.rows], kind) for name, kind in fields.items()]
    columns.append(pl.Series("proposed", [row == board.proposed for row in board.rows], pl.Boolean))
    for key in board.varied:
        values = [row.values.get(key) for row in board.rows]
        if all(value is None or is_number(value) for value in values):
            columns.append(pl.Series(key, values, pl.Float64, strict=False))
        else:
            columns.append(pl.Series(key, [None if value is None else tell(value) for value in values], pl.String))
    return pl.DataFrame(columns)


def summary(board: Board) -> str:
    """Return what came of the jobs, in words."""
    counts = [
        (len(board.rows), "candidate with a score", "candidates with a score"),
        (board.pruned, "pruned", "pruned"),
        (len(board.failed), "failed", "failed"),
        (board.unfinished, "unfinished", "unfinished"),
    ]
    told = [f"{count} {one if count == 1 else many}" for count, one, many in counts if count]
    return ", ".join([*(told or ["no jobs"]), f"sweep {board.status}"])


def score_text(value: float | None) -> str:
    """Return a score with the digits that commands show."""
    if value is None:
        return ""
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _difference(row: Row, *, interval: bool) -> str:
    if row.difference is None or row.rank == 1:
        return ""
    text = f"{row.difference:+.4f}" if abs(row.difference) < 1000 else f"{row.difference:+,.1f}"
    if not interval or row.difference_low is None or row.difference_high is None:
        return text
    return f"{text} ({score_text(row.difference_low)} to {score_text(row.difference_high)})"


def _closing(board: Board) -> str | None:
    if not board.closing:
        return None
    version = board.closing.get("version")
    return f"trained for good in run {board.closing['run']}" + (
        f", registered as {version}" if version else ", nothing was registered"
    )


def _commands(board: Board) -> list[tuple[str, str]]:
    """Return what each command does, and the command."""
    if board.proposed is None:
        return []
    best = board.rows[0]
    if board.proposed == best:
        return [("to train the best for good", board.command(best))]
    return [
        ("to train the proposed one for good", board.command(board.proposed)),
        ("to train the best for good", board.command(best)),
    ]
