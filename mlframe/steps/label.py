"""Gives rows their target, and finds out what there is to learn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from mlframe.contracts import TASKS, Labels, Step
from mlframe.errors import ConfigError, DataError, UnknownNameError
from mlframe.pipeline import Learning
from mlframe.table import Table

MOST_CLASSES = 20
CLASS_LIMIT = 1000


class Label(Step):
    """Gives `labelled` (the rows with a target), `labels` (target, source, weight) and `learning` (task, classes)."""

    summary = "gives rows their target"
    reads = ("labeler", "goal.task", "goal.positive")
    needs = ("verified",)
    gives = {"labelled": "table", "labels": "frame", "learning": "json"}

    def run(self, context: Any, **inputs: Any) -> Mapping[str, Any]:
        """Ask the labeler, then infer task and classes."""
        table: Table = inputs["verified"]
        labels: Labels = context.component("labeler").label(table)
        known = labels.frame["target"].is_not_null()
        if not known.all():
            context.say(f"{(~known).sum():,} rows have no target and are left out")
            table = table.with_frame(table.frame.filter(known))
        frame = labels.frame.filter(known)
        goal = context.config["goal"]
        name = table.one("target") or "target"
        learning = learn_what(frame["target"], name, goal.get("task"), goal.get("positive"))
        how = "goal.task" if goal.get("task") else "inferred"
        context.say(f"task {learning.task} ({how}), target {name}{describe(learning)}")
        return {"labelled": table, "labels": frame, "learning": learning.record()}


def describe(learning: Learning) -> str:
    """Return the classes in words."""
    if learning.task == "binary":
        return f", positive class {learning.classes[1]!r}, other {learning.classes[0]!r}"
    return f", {len(learning.classes)} classes" if learning.classes else ""


def learn_what(target: pl.Series, name: str, task: str | None, positive: Any) -> Learning:
    """Infer the learning task, and put the classes in order: sorted, the positive one last when there are two.

    Without `goal.task`: truth values and words are classes; whole numbers with at most 20 different values too; any other
    number is regression.

    Raises:
        DataError: the target is constant, or its kind does not suit the task.
        ConfigError: `goal.positive` names no class.
    """
    where = f"data.columns.{name}"
    if task is not None and task not in TASKS:
        raise UnknownNameError.from_name("learning task", task, TASKS, where="goal.task")
    distinct = target.unique().sort()
    if len(distinct) < 2:
        raise DataError(
            f"The target {name!r} is constant: every row has one value",
            value=distinct[0] if len(distinct) else None,
            where=where,
            hint="there is nothing to learn; look for another target, or for rows that a filter or the schema left out",
        )
    numeric = target.dtype.is_numeric()
    if task is None:
        few = target.dtype.is_integer() and len(distinct) <= MOST_CLASSES
        task = "regression" if numeric and not few else "binary" if len(distinct) == 2 else "multiclass"
    if task == "regression":
        if not numeric:
            raise DataError(
                f"goal.task=regression needs a number as target, {name!r} is {target.dtype}",
                where=where,
                hint="set goal.task=binary or multiclass, give the column a number type in the source, or pick another target",
            )
        if positive is not None:
            raise ConfigError(
                "A regression has no positive class",
                value=positive,
                where="goal.positive",
                hint="leave it out: goal.positive=null; or set goal.task=binary",
            )
        return Learning("regression", name)
    if target.dtype.is_temporal() or target.dtype.is_nested():
        raise DataError(f"A target of type {target.dtype} cannot be a class", where=where, hint="pick another target")
    if target.dtype.is_float() and (distinct != distinct.round(0)).any():
        raise DataError(
            f"goal.task={task} needs classes, {name!r} holds fractions",
            value=distinct.head(5).to_list(),
            where=where,
            hint="set goal.task=regression, or cut the numbers into classes",
        )
    if task == "binary" and len(distinct) != 2:
        raise DataError(
            f"goal.task=binary needs two classes, {name!r} has {len(distinct):,}",
            value=distinct.head(10).to_list(),
            where=where,
            hint="set goal.task=multiclass, or declare the target you mean",
        )
    if len(distinct) > CLASS_LIMIT:
        raise DataError(
            f"The target {name!r} has {len(distinct):,} classes, more than {CLASS_LIMIT:,}",
            where=where,
            hint="an id or a free text is no target; numbers can be learned with goal.task=regression",
        )
    if target.dtype.is_float():
        distinct = distinct.cast(pl.Int64)
    values = distinct.cast(pl.String).to_list() if target.dtype in (pl.Categorical, pl.Enum) else distinct.to_list()
    names = distinct.cast(pl.String).to_list()
    if positive is not None:
        wanted = str(positive).lower() if isinstance(positive, bool) else str(positive)
        if wanted not in names:
            raise UnknownNameError.from_name("class", wanted, names, where="goal.positive")
        if task == "binary" and names[0] == wanted:
            values, names = values[::-1], names[::-1]
    return Learning(task, name, tuple(names), tuple(values))
