"""The pictures of sweeps: score against a cost, parallel coordinates, best score so far."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from mlframe.charts.svg import WIDTH, Board, key_places, number, ticks
from mlframe.contracts import Chart

__all__ = ["Axis", "Candidate", "history", "parallel", "pareto"]

Better = Literal["higher", "lower"]

MANY_LINES = 100
MANY_AXES = 9
EMPHASISED = 5
APART = 26
LOG_SPREAD = 30.0
"""Positive numbers whose largest is so many times the smallest get a logarithmic axis."""
PLAIN, GREY, MARKED = 0, 5, 3  # styles of the board: circle and line, square in grey, rhombus


@dataclass(frozen=True)
class Candidate:
    """A point of a picture.

    Args:
        name: what the picture writes beside it, such as the trial's number.
        score: mean score.
        low: lower end of its interval, None for none.
        high: upper end.
        cost: what it costs, such as milliseconds a prediction; positive.
        marked: whether it gets a marker of its own: the one that is proposed.
    """

    name: str
    score: float
    low: float | None = None
    high: float | None = None
    cost: float = 1.0
    marked: bool = False


@dataclass(frozen=True)
class Axis:
    """One axis of parallel coordinates.

    Args:
        name: what varied.
        values: one a candidate; None where the candidate has no such value. All numbers make a numeric axis, linear or
            logarithmic; anything else is a category.
    """

    name: str
    values: Sequence[Any]


def front(candidates: Sequence[Candidate], better: Better) -> list[int]:
    """Return the positions of those that no other beats in score and cost at once, the cheapest first."""
    sign = 1 if better == "higher" else -1
    order = sorted(range(len(candidates)), key=lambda i: (candidates[i].cost, -sign * candidates[i].score))
    kept: list[int] = []
    for i in order:
        if not kept or sign * candidates[i].score > sign * candidates[kept[-1]].score:
            kept.append(i)
    return kept


def pareto(candidates: Sequence[Candidate], *, metric: str, better: Better, cost: str) -> Chart:
    """Draw scores with their intervals against a cost, and the front: those that no other beats in both.

    Candidates that are far worse than the median are left out and counted.

    Args:
        candidates: at least one.
        metric: name of the score.
        better: which way is better.
        cost: what the cost is, with its unit.
    """
    seen, left_out = _readable(candidates, better)
    best = front(seen, better)
    log = _is_log([item.cost for item in seen])
    at = [math.log10(item.cost) if log else item.cost for item in seen]
    ends = [end for i in best for end in (seen[i].low, seen[i].high) if end is not None]
    names = ["no other is better and cheaper", "other", *(["proposed"] if any(item.marked for item in seen) else [])]
    y_range = _room([*(item.score for item in seen), *ends])
    board = Board(_room(at, 0.08), y_range, left=66, top=key_places(names, 80, WIDTH)[1])
    board.y_axis(f"{metric} ({better} is better)")
    board.x_axis(f"{cost}{' (logarithmic)' if log else ''}", _log_ticks(board.x) if log else None)
    for i, item in enumerate(seen):
        if i not in best and not item.marked:
            board.dot(at[i], item.score, GREY)
    board.line([at[i] for i in best], [seen[i].score for i in best], PLAIN)
    named: list[int] = []
    order = [i for i, item in enumerate(seen) if item.marked] + best[::-1]
    for i in dict.fromkeys(order):
        item, x = seen[i], board.px(at[i])
        # Intervals and numbers need room: of neighbours the better one has them, and the proposed one always.
        if all(abs(x - board.px(at[j])) >= APART for j in named):
            named.append(i)
            if item.low is not None and item.high is not None:
                board.whisker(max(item.low, board.y[0]), min(item.high, board.y[1]), at[i], upright=True)
            left = x > board.width - 60
            place = x + (-8 if left else 8), board.py(item.score) - 6
            board.words(*place, item.name, anchor="end" if left else "start", bold=item.marked)
    for i in dict.fromkeys(order[::-1]):
        board.dot(at[i], seen[i].score, MARKED if seen[i].marked else PLAIN)
    _key(board, names, (PLAIN, GREY, MARKED)[: len(names)])
    told = "; ".join(f"{seen[i].name}: {number(seen[i].cost)}, {seen[i].score:.4f}" for i in best[:8])
    proposed = next((item.name for item in seen if item.marked), None)
    alt = (
        f"{metric} of {len(seen)} candidates by {cost}. {len(best)} are on the front ({told})."
        f"{f' The rhombus is the one proposed, {proposed}.' if proposed else ''} Numbers are trials.{left_out}"
    )
    title = f"{metric} against {cost}"
    return Chart("pareto", title, alt, board.text(title, alt))


def parallel(axes: Sequence[Axis], scores: Sequence[float], *, metric: str, better: Better) -> Chart:
    """Draw one line a candidate over what varied, ending at its score; the best are emphasised.

    At most a hundred lines are drawn, spread evenly over the ranks, and the nine axes that most candidates have. A line
    has a gap where its candidate has no such value; that of a best one is dotted there.

    Args:
        axes: what varied, one value a candidate.
        scores: one a candidate.
        metric: name of the score.
        better: which way is better; the better end of the last axis is on top.
    """
    ranked = sorted(range(len(scores)), key=lambda i: scores[i], reverse=better == "higher")
    picked = sorted({round(float(i)) for i in np.linspace(0, len(ranked) - 1, min(len(ranked), MANY_LINES))})
    drawn = [ranked[i] for i in picked]
    common = sorted(axes, key=lambda axis: sum(value is None for value in axis.values))[:MANY_AXES]
    kept = [axis for axis in axes if axis in common]
    scales = [_Scale([axis.values[i] for i in drawn]) for axis in kept]
    scales.append(_Scale([scores[i] for i in drawn], flipped=better == "lower", log=False))
    names = [*(axis.name for axis in kept), metric]
    count = len(names)
    board = Board(
        (0, count - 1), (0, 1), width=max(WIDTH, 96 * count), height=330, left=46, right=86, top=52, bottom=16
    )
    columns = [[*(axis.values[i] for axis in kept), scores[i]] for i in drawn]
    strong = min(EMPHASISED, max(1, len(drawn) // 4))
    for place in range(len(columns) - 1, -1, -1):
        heights = [scale.place(value) for scale, value in zip(scales, columns[place], strict=True)]
        runs = _runs(heights)
        for start, part in runs:
            board.line(list(range(start, start + len(part))), part, PLAIN, width=2.4 if place < strong else 0.6)
        if place < strong:
            for (start, part), (end, rest) in pairwise(runs):
                board.rule(start + len(part) - 1, part[-1], end, rest[0])
    for i, (name, scale) in enumerate(zip(names, scales, strict=True)):
        board.whisker(0, 1, i, upright=True)
        # Names stand in two rows, so that neighbours do not touch.
        board.words(board.px(i), 16 if i % 2 else 34, _cut(name, 24), anchor="middle", bold=i == count - 1)
        for height, text in scale.ticks():
            board.words(board.px(i) + 7, board.py(height) + 4, _cut(text, 11))
    best = "; ".join(
        f"{name} {_tell(value)}" for name, value in zip(names, columns[0], strict=True) if value is not None
    )
    fewer = f" {len(drawn)} of {len(scores)} candidates are drawn." if len(drawn) < len(scores) else ""
    hidden = ", ".join(axis.name for axis in axes if axis not in kept)
    alt = (
        f"One line a candidate, over {', '.join(names[:-1]) or 'nothing that varied'} and the score. The thick lines are "
        f"the best {strong}. Best: {best}.{fewer}{f' Not drawn: {hidden}.' if hidden else ''}"
    )
    title = f"What varied, and the {metric} it gave"
    return Chart("parallel", title, alt, board.text(title, alt))


def history(trials: Sequence[int], scores: Sequence[float], *, metric: str, better: Better) -> Chart:
    """Draw the score of each trial and the best so far.

    Args:
        trials: numbers of the trials.
        scores: one a trial.
        metric: name of the score.
        better: which way is better.
    """
    points = sorted(zip(trials, scores, strict=True))
    pick = max if better == "higher" else min
    best = [pick(score for _, score in points[: i + 1]) for i in range(len(points))]
    seen, left_out = _readable([Candidate(str(trial), score, cost=trial) for trial, score in points], better)
    names = ["best so far", "trials"]
    board = Board(
        _room([trial for trial, _ in points]),
        _room([item.score for item in seen]),
        left=66,
        top=key_places(names, 80, WIDTH)[1],
    )
    board.y_axis(f"{metric} ({better} is better)")
    board.x_axis("trial", [(tick, number(tick)) for tick in ticks(*board.x) if tick == int(tick) and tick >= 0])
    for item in seen:
        board.dot(item.cost, item.score, GREY)
    xs: list[float] = []
    ys: list[float] = []
    for (trial, _), score in zip(points, best, strict=True):
        if board.y[0] <= score <= board.y[1]:
            xs += [trial, trial] if ys else [trial]
            ys += [ys[-1], score] if ys else [score]
    board.line(xs, ys, PLAIN)
    _key(board, names, (PLAIN, GREY))
    last = next(trial for (trial, _), score in zip(points, best, strict=True) if score == best[-1])
    alt = (
        f"{metric} of {len(points)} trials in the order of their numbers. The best so far goes from {best[0]:.4f} to "
        f"{best[-1]:.4f}, which trial {last} reached.{left_out}"
    )
    title = f"Best {metric} so far"
    return Chart("history", title, alt, board.text(title, alt))


class _Scale:
    """Places of one axis's values between 0 and 1."""

    def __init__(self, values: Sequence[Any], *, flipped: bool = False, log: bool | None = None) -> None:
        known = [value for value in values if value is not None]
        self.numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
        self.flipped = flipped
        self.names = list(dict.fromkeys(sorted(_tell(value) for value in known)))
        self.log = self.numeric and (_is_log(known) if log is None else log)
        if self.numeric:
            self.low, self.high = (self._raw(end(known, default=0)) for end in (min, max))

    def _raw(self, value: float) -> float:
        return math.log10(value) if self.log else float(value)

    def place(self, value: Any) -> float | None:
        """Return the height of a value, None where there is none."""
        if value is None:
            return None
        if not self.numeric:
            return (self.names.index(_tell(value)) + 0.5) / len(self.names)
        height = (self._raw(value) - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return 1 - height if self.flipped else height

    def ticks(self) -> list[tuple[float, str]]:
        """Return heights and texts: every category, or the ends and the middle of the numbers."""
        if not self.numeric:
            step = max(1, -(-len(self.names) // 12))
            return [((i + 0.5) / len(self.names), self.names[i]) for i in range(0, len(self.names), step)]
        if self.high <= self.low:
            return [(0.5, number(10**self.low if self.log else self.low))]
        heights = (0.0, 0.5, 1.0)
        raw = [self.low + (self.high - self.low) * (1 - h if self.flipped else h) for h in heights]
        return [(h, number(10**value if self.log else value)) for h, value in zip(heights, raw, strict=True)]


def _runs(heights: Sequence[float | None]) -> list[tuple[int, list[float]]]:
    """Return where each unbroken run of values begins, and its values."""
    runs: list[tuple[int, list[float]]] = []
    for i, height in enumerate(heights):
        if height is None:
            continue
        if i and heights[i - 1] is not None:
            runs[-1][1].append(height)
        else:
            runs.append((i, [height]))
    return runs


def _readable(candidates: Sequence[Candidate], better: Better) -> tuple[list[Candidate], str]:
    """Leave out candidates so bad that the others would lie in one line, and say how many."""
    scores = [item.score for item in candidates]
    best = max(scores) if better == "higher" else min(scores)
    reach = 3 * abs(best - statistics.median(scores))
    kept = [item for item in candidates if abs(item.score - best) <= reach or item.marked] or list(candidates)
    gone = len(candidates) - len(kept)
    return kept, f" {gone} far worse {'one is' if gone == 1 else 'ones are'} not drawn." if gone else ""


def _is_log(values: Sequence[float]) -> bool:
    return bool(values) and min(values) > 0 and max(values) / min(values) >= LOG_SPREAD


def _log_ticks(ends: tuple[float, float]) -> list[tuple[float, str]]:
    marks = [f * 10.0**p for p in range(math.floor(ends[0]), math.ceil(ends[1]) + 1) for f in (1, 3)]
    inside = [mark for mark in marks if ends[0] <= math.log10(mark) <= ends[1]]
    return [(math.log10(mark), number(mark)) for mark in inside[:: max(1, -(-len(inside) // 7))]]


def _room(values: Sequence[float], share: float = 0.05) -> tuple[float, float]:
    low, high = min(values), max(values)
    return low - (high - low) * share, high + (high - low) * share


def _key(board: Board, names: Sequence[str], styles: Sequence[int]) -> None:
    """Write what the marks mean above the axes."""
    places, _ = key_places(names, board.left, board.width)
    for name, style, (px, py) in zip(names, styles, places, strict=True):
        share = (px + 8 - board.left) / (board.width - board.left - board.right)
        height = (board.height - board.bottom - (py - 4)) / (board.height - board.top - board.bottom)
        board.dot(
            board.x[0] + share * (board.x[1] - board.x[0]), board.y[0] + height * (board.y[1] - board.y[0]), style
        )
        board.words(px + 18, py, name)


def _tell(value: Any) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
