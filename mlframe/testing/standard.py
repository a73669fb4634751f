"""The standard tests of a version: schema, parity, invariance, direction, slices, cost, robustness.

Collected by `pytest --mlframe-bundle VERSION` (`mlframe.testing.bundles`). A failure is a sentence that names the figure,
the row and the column; it has no traceback, since the code is not what is tested. After M. T. Ribeiro et al. (2020),
Beyond Accuracy: Behavioral Testing of NLP Models with CheckList; E. Breck et al. (2017), The ML Test Score.
"""

# ruff: noqa: D103 (a test's name is its documentation)

from __future__ import annotations

import operator
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import polars as pl
import pytest

from mlframe.config.goal import WAYS
from mlframe.contracts import Judged, Predictions
from mlframe.errors import BundleError, DataError, MlframeError
from mlframe.pipeline.scorer import Scorer, prove, told
from mlframe.testing.bundles import OPENED, Bundle

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlframe.loading import LoadedModel

ALIKE = 1e-9
"""Largest difference of a score that has no cause, relative to values above 1."""
STEPS = 7
"""Values along a column at which a direction is looked at."""
CALLS = 200
WARM = 5
LONG = 20_000
ODD_TEXTS = (
    "",
    " ",
    "\t\n\r",
    "NULL",
    "nan",
    "-1e309",
    "a" * LONG,
    "Ünïcödé 東京 🙂🏳️‍🌈",
    "\u202eright to left\u202c",
    "e\u0301\u0301\u0301",
    "\x00\x07\x1b[31m",
    "'; DROP TABLE models; --",
    "<script>alert(1)</script>",
)
ODD_NUMBERS = (0.0, -0.0, -1.0, 1e-300, 1e300, -1e300)
NONE = {
    "column": "the version has no columns",
    "nullable": "the schema lets no column be missing",
    "category": "there is no categorical column that is open to new values",
    "text": "there is no column of text",
    "number": "there is no column of numbers",
    "invariant": "no invariance is asked: tests.invariant names columns",
    "rising_or_falling": "no direction is asked: tests.direction names columns",
    "figure": "goal.targets is empty",
    "slice_column": "nothing is asked of groups: tests.slices names columns and figures",
}
"""Why a test has no case."""
UNSEEN = "a value that nobody has seen"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test a column (or figure) of the version, so that a failure names it."""
    bundle = metafunc.config.stash.get(OPENED, None)
    if bundle is None:
        return
    cases = {
        "column": [column["name"] for column in bundle.columns],
        "nullable": [c["name"] for c in bundle.columns if bundle.rules.get(c["name"], {}).get("nullable", True)],
        "category": [c["name"] for c in bundle.columns if c["kind"] == "categorical" and _open(bundle, c, pl.String)],
        "text": [c["name"] for c in bundle.columns if c["kind"] == "text" and _open(bundle, c, pl.String)],
        "number": [c["name"] for c in bundle.columns if c["kind"] == "numeric"],
        "invariant": list(bundle.expectations.invariant),
        "rising_or_falling": list(bundle.expectations.direction),
        "figure": list(bundle.expectations.targets),
        "slice_column": list(bundle.expectations.slices["columns"]),
    }
    for name in metafunc.fixturenames:
        if name in cases:
            none = pytest.param(None, id="none", marks=pytest.mark.skip(reason=NONE[name]))
            metafunc.parametrize(name, cases[name] or [none])


# ------------------------------------------------------------------------------------------------ schema


def test_schema_is_that_of_the_examples(bundle: Bundle) -> None:
    wanted = [column["name"] for column in bundle.manifest["inputs"]]
    if bundle.pipeline.inputs != wanted:
        fail(f"the manifest lists the columns {wanted}, the pipeline takes {bundle.pipeline.inputs}")
    if bundle.examples.columns != wanted:
        fail(f"the manifest lists the columns {wanted}, the examples have {bundle.examples.columns}")
    for column in bundle.columns:
        found = str(bundle.examples.schema[column["name"]])
        if found != column["dtype"]:
            fail(f"column {column['name']!r}: the schema says {column['dtype']}, the examples hold {found}")


def test_schema_takes_the_examples(bundle: Bundle) -> None:
    """A server asks the same of each request."""
    from mlframe.serving.messages import RequestError
    from mlframe.serving.schema import Schema

    if not len(bundle.examples):
        pytest.skip("the bundle has no examples")
    try:
        Schema.load(bundle.folder, bundle.columns).frame(bundle.examples)
    except RequestError as error:
        faults = "; ".join(
            f"row {fault['row']}, {fault['field']}: expected {fault['expected']}, found {fault['found']}"
            for fault in error.details[:5]
        )
        fail(f"a server would refuse the bundle's own examples: {faults or error.title}")


def test_schema_names_an_absent_column(bundle: Bundle, model: LoadedModel, column: str) -> None:
    try:
        model.predict(_examples(bundle).drop(column))
    except DataError as error:
        if column not in str(error):
            fail(f"column {column!r} was left out, and the error does not name it: {error.what}")
        return
    fail(f"rows without the column {column!r} were predicted, though the schema lists it")


# ------------------------------------------------------------------------------------------------ parity


def test_parity_examples(bundle: Bundle) -> None:
    _examples(bundle)
    try:
        bundle.opened.check_examples()
    except BundleError as error:
        fail(error.what)
    found = bundle.pipeline.predict(bundle.examples)["y_pred"]
    wanted = bundle.expected["y_pred"]
    if not wanted.dtype.is_numeric():
        off = [row for row, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other]
        if off:
            fail(
                f"example {off[0]} is called {found[off[0]]!r}, where it was made {wanted[off[0]]!r} ({len(off)} differ)"
            )


def test_parity_fast_path(bundle: Bundle) -> None:
    """What a server answers is what the pipeline says."""
    said = bundle.manifest.get("fast")
    if not (said or {}).get("proven"):
        pytest.skip(f"a server does not use the fast path of this version: {told(said)}")
    found = prove(bundle.pipeline, _examples(bundle), bundle.expected)
    if not found["proven"]:
        fail(f"the fast path was proven when the version was made and is not here: {found['why']}")


def test_parity_one_by_one(bundle: Bundle) -> None:
    examples = _examples(bundle).head(30)
    together = bundle.score(examples)
    single = np.concatenate([bundle.score(examples.slice(row, 1)) for row in range(len(examples))])
    _alike(bundle, together, single, "alone", "with others")


# ------------------------------------------------------------------------------------------------ invariance


def test_invariance_to_the_order_of_rows(bundle: Bundle) -> None:
    examples = _examples(bundle)
    order = np.random.default_rng(0).permutation(len(examples))
    _alike(bundle, bundle.score(examples)[order], bundle.score(examples[order]), "in another order", "in this one")


def test_invariance_to_the_order_of_columns(bundle: Bundle, model: LoadedModel) -> None:
    examples = _examples(bundle)
    _same(model.predict(examples), model.predict(examples[:, ::-1]), "when the columns come in another order")


def test_invariance_to_other_columns(bundle: Bundle, model: LoadedModel) -> None:
    """Ids, times, ignored columns and the target itself change nothing: only features reach a model."""
    examples = _examples(bundle)
    declared = (bundle.config.get("data") or {}).get("columns") or {}
    others = [name for name in declared if name not in examples.columns] or ["some_id"]
    rng = np.random.default_rng(0)
    noise = examples.with_columns(
        pl.Series(name, rng.integers(0, 1 << 30, len(examples))).cast(pl.String) for name in others
    )
    _same(model.predict(examples), model.predict(noise), f"when {', '.join(others)} hold something else")


def test_invariance(bundle: Bundle, invariant: str) -> None:
    """The answer stays when only this column changes: each example gets other examples' values."""
    examples = _examples(bundle)
    values = examples[invariant].unique(maintain_order=True).sort()
    if len(values) < 2:
        pytest.skip(f"{invariant} has one value in the examples")
    picks = values.gather(np.unique(np.linspace(0, len(values) - 1, STEPS).astype(int)))
    before = _answers(bundle, examples)
    changed = np.zeros(len(examples), dtype=bool)
    worst: tuple[int, Any, Any] | None = None
    for value in picks:
        after = _answers(bundle, _with(examples, invariant, value))
        moved = after != before if bundle.pipeline.learning.classes else ~_near(before, after)
        if moved.any() and worst is None:
            row = int(np.flatnonzero(moved)[0])
            worst = (row, value, after[row])
        changed |= moved
    share = 1.0 - changed.mean()
    if share < bundle.expectations.agree and worst is not None:
        row, value, answer = worst
        fail(
            f"{invariant} must not change an answer, and does in {changed.sum()} of {len(examples)} examples "
            f"({share:.1%} keep theirs; wanted {bundle.expectations.agree:.1%}). Example {row}: {invariant} "
            f"{examples[invariant][row]!r} -> {value!r} turns {before[row]!r} into {answer!r}"
        )


# ------------------------------------------------------------------------------------------------ direction


def test_direction(bundle: Bundle, rising_or_falling: str) -> None:
    """The score goes one way when only this column grows, from the examples' low values to their high ones."""
    column, examples = rising_or_falling, _examples(bundle)
    way, learning = bundle.expectations.direction[rising_or_falling], bundle.pipeline.learning
    known = examples[column].drop_nulls()
    if learning.task == "multiclass":
        pytest.skip("a direction is that of one score; this model has a score for each class")
    if not known.dtype.is_numeric() or known.n_unique() < 2:
        fail(f"{column} has no direction: it is {known.dtype} with {known.n_unique()} values in the examples")
    grid = known.unique().sort()
    grid = grid.gather(np.unique(np.linspace(0, len(grid) - 1, STEPS).astype(int)))
    scores = np.column_stack([bundle.score(_with(examples, column, value))[:, -1] for value in grid])
    steps = np.diff(scores, axis=1) * (1.0 if way == WAYS[0] else -1.0)
    size = np.maximum(1.0, np.abs(scores[:, :-1])) * ALIKE
    wrong = (steps < -size).any(axis=1)
    share = 1.0 - wrong.mean()
    if share < bundle.expectations.agree:
        row, step = np.unravel_index(int(steps.argmin()), steps.shape)
        what = f"p_{learning.classes[-1]}" if learning.classes else "the value"
        fail(
            f"{what} must be {way} in {column}, and is not in {wrong.sum()} of {len(examples)} examples ({share:.1%} keep "
            f"to it; wanted {bundle.expectations.agree:.1%}). Example {row}: {column} {grid[int(step)]:g} -> "
            f"{grid[int(step) + 1]:g} takes it from {scores[row, step]:.4g} to {scores[row, step + 1]:.4g}"
        )


# ------------------------------------------------------------------------------------------------ figures


def test_targets(bundle: Bundle, figure: str) -> None:
    """The figures that the version was registered with meet the targets."""
    part = "holdout" if bundle.figures.get("holdout") else "folds"
    found = (bundle.figures.get(part) or {}).get(figure)
    declared = _declared(bundle, figure)
    wanted = bundle.expectations.targets[figure]
    if found is None:
        fail(f"{figure} has a target ({wanted:g}) and was not measured on the {part}")
    _judge(f"{part} {figure}", found["value"], wanted, declared[1].better)


def test_slices(bundle: Bundle, slice_column: str) -> None:
    """Every group of rows, by this column's value, reaches the figures that are asked of groups."""
    wanted, least = bundle.expectations.slices["targets"], int(bundle.expectations.slices["least"])
    try:
        known = bundle.rows()
    except MlframeError as error:
        fail(str(error))
    if known is None or not len(known[0]):
        pytest.skip("the bundle has no examples with their truth: give some with --mlframe-rows FILE")
    rows, truth = known
    groups = _groups(rows[slice_column])
    sizes = {value: int((groups == value).sum()) for value in groups.unique(maintain_order=True)}
    large = [value for value, size in sizes.items() if size >= least]
    if not large:
        pytest.skip(f"no group of {slice_column} has {least} rows here: give more with --mlframe-rows FILE")
    said = _predictions(bundle, rows, truth)
    told_of = []
    for figure, bound in wanted.items():
        evaluator, declared = _declared(bundle, figure)
        for value in large:
            inside = np.flatnonzero((groups == value).to_numpy())
            part = Predictions(said.frame[inside], said.task, said.classes, "live")
            found = evaluator.evaluate(Judged(part, pictures=False, intervals=False)).figures.get(figure)
            if found is None:
                continue  # one class only, say: the figure has no value there
            good = found.value >= bound if declared.better == "higher" else found.value <= bound
            if not good:
                told_of.append(
                    f"{figure} {found.value:.4g} where {slice_column} is {value} ({len(inside)} rows); wanted "
                    f"{_word(declared.better)} {bound:g}"
                )
    if told_of:
        fail("; ".join(told_of))


# ------------------------------------------------------------------------------------------------ cost


def test_latency(bundle: Bundle) -> None:
    """The median time of a single row, asked as a server asks."""
    limit = bundle.expectations.latency_ms
    if limit is None:
        pytest.skip("there is no limit: tests.latency_ms or goal.targets.latency_ms sets one")
    from mlframe.pipeline.inputs import plain_columns

    examples = _examples(bundle)
    scorer = Scorer(bundle.pipeline, fast=bool((bundle.manifest.get("fast") or {}).get("proven")))
    rows = [
        {name: values[row : row + 1] for name, values in plain_columns(examples, bundle.columns).items()}
        for row in range(min(50, len(examples)))
    ]
    took = []
    for call in range(CALLS + WARM):
        began = time.perf_counter()
        scorer.outputs(rows[call % len(rows)], 1)
        took.append((time.perf_counter() - began) * 1000)
    found = float(np.median(took[WARM:]))
    if found > limit:
        fail(
            f"latency_ms {found:.3g} (median of {CALLS} single rows, 99 of 100 below {np.percentile(took[WARM:], 99):.3g}); "
            f"wanted at most {limit:g}"
        )


def test_size(bundle: Bundle) -> None:
    limit = bundle.expectations.size_mb
    if limit is None:
        pytest.skip("there is no limit: tests.size_mb or goal.targets.size_mb sets one")
    if bundle.size_mb > limit:
        largest = max(bundle.manifest["files"].items(), key=lambda item: item[1]["size"])
        fail(
            f"size_mb {bundle.size_mb:.3g}; wanted at most {limit:g}; the largest file is {largest[0]} with "
            f"{largest[1]['size'] / 1e6:.3g} MB"
        )


# ------------------------------------------------------------------------------------------------ robustness


def test_robust_to_missing_values(bundle: Bundle, nullable: str) -> None:
    examples = _examples(bundle)
    _sound(bundle, _with(examples, nullable, None), f"{nullable} is missing")


def test_robust_to_rows_with_nothing(bundle: Bundle) -> None:
    gone = [c["name"] for c in bundle.columns if bundle.rules.get(c["name"], {}).get("nullable", True)]
    frame = _examples(bundle).head(5)
    for name in gone:
        frame = _with(frame, name, None)
    _sound(bundle, frame, f"all of {', '.join(gone) or 'nothing'} is missing")


def test_robust_to_unseen_categories(bundle: Bundle, category: str) -> None:
    _sound(bundle, _with(_examples(bundle).head(20), category, UNSEEN), f"{category} is {UNSEEN!r}")


def test_robust_to_odd_text(bundle: Bundle, text: str) -> None:
    for odd in ODD_TEXTS:
        _sound(bundle, _with(_examples(bundle).head(2), text, odd), f"{text} is {odd[:40]!r} ({len(odd)} characters)")


def test_robust_to_extreme_numbers(bundle: Bundle, number: str) -> None:
    """The largest and smallest numbers that the column's rules and type allow."""
    for value in _allowed(bundle, number):
        _sound(bundle, _with(_examples(bundle).head(2), number, value), f"{number} is {value!r}")


def test_robust_to_a_single_row_and_to_none(bundle: Bundle) -> None:
    examples = _examples(bundle)
    _sound(bundle, examples.head(1), "there is one row")
    found = bundle.pipeline.predict(examples.head(0))
    if len(found):
        fail(f"no rows were asked, and {len(found)} answers came")


# ------------------------------------------------------------------------------------------------ helpers


def fail(text: str) -> NoReturn:
    """Fail with a sentence and without a traceback."""
    raise pytest.fail.Exception(text, pytrace=False) from None


def _examples(bundle: Bundle) -> pl.DataFrame:
    if not len(bundle.examples):
        pytest.skip("the bundle has no examples: it was made without a holdout")
    return bundle.examples


def _with(frame: pl.DataFrame, column: str, value: Any) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value, dtype=frame.schema[column]).alias(column))


def _open(bundle: Bundle, column: Any, dtype: Any) -> bool:
    """Whether a column may hold a text that nobody has thought of."""
    rule = bundle.rules.get(column["name"], {})
    closed = ("allowed", "pattern", "max_length", "min_length")
    return str(column["dtype"]) == str(dtype) and not any(rule.get(word) is not None for word in closed)


def _allowed(bundle: Bundle, column: str) -> list[Any]:
    """Return extreme values that the column's rules and type allow; of closed sets every value."""
    rule = bundle.rules.get(column, {})
    dtype = bundle.examples.schema[column]
    if rule.get("allowed") is not None:
        return list(rule["allowed"])
    low, high = _range(dtype)
    if dtype.is_integer():
        candidates: list[Any] = [0, -1, low, high]
    else:
        candidates = [*ODD_NUMBERS] if dtype == pl.Float64 else [0.0, -1.0, 3e38, -3e38]
    candidates += [rule[word] for word in ("min", "max") if rule.get(word) is not None]
    if dtype.is_integer():
        candidates = [value for value in candidates if low <= value <= high]
    tests: dict[str, Callable[[Any, Any], bool]] = {
        "min": operator.ge,
        "above": operator.gt,
        "max": operator.le,
        "below": operator.lt,
        "forbidden": lambda value, bound: value not in bound,
    }
    return [
        value
        for value in candidates
        if all(test(value, rule[word]) for word, test in tests.items() if rule.get(word) is not None)
    ]


def _range(dtype: Any) -> tuple[Any, Any]:
    """Return the least and the most that a type of numbers holds."""
    found = pl.select(low=dtype.min(), high=dtype.max()).row(0)
    return found[0], found[1]


def _sound(bundle: Bundle, frame: pl.DataFrame, when: str) -> None:
    """Check that rows are answered, with numbers, and with probabilities that are some."""
    try:
        scores = bundle.score(frame)
        answers = bundle.pipeline.predict(frame)["y_pred"]
    except Exception as error:
        fail(f"when {when}, the model fails: {type(error).__name__}: {str(error).splitlines()[0]}")
    if scores.shape[0] != len(frame) or len(answers) != len(frame):
        fail(f"when {when}, {len(frame)} rows get {len(answers)} answers")
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0]
        fail(f"when {when}, the score of row {row} is {scores[row, column]}")
    if bundle.pipeline.learning.classes and not np.allclose(scores.sum(axis=1), 1.0, atol=1e-6):
        row = int(np.abs(scores.sum(axis=1) - 1.0).argmax())
        fail(f"when {when}, the probabilities of row {row} add up to {scores[row].sum():.6g}")
    if answers.null_count():
        fail(f"when {when}, {answers.null_count()} of {len(frame)} rows have no answer")


def _near(one: Any, other: Any) -> Any:
    return np.abs(one - other) <= ALIKE * np.maximum(1.0, np.abs(one))


def _alike(bundle: Bundle, wanted: Any, found: Any, here: str, there: str) -> None:
    off = np.abs(wanted - found) / np.maximum(1.0, np.abs(wanted))
    row, column = np.unravel_index(int(off.argmax()), off.shape)
    if not off[row, column] <= ALIKE:
        classes = bundle.pipeline.learning.classes
        what = f"p_{classes[int(column)]}" if classes else "y_pred"
        fail(
            f"{what} of example {row} is {found[row, column]:.9g} when it is asked {here}, {wanted[row, column]:.9g} {there}"
        )


def _same(wanted: pl.DataFrame, found: pl.DataFrame, when: str) -> None:
    for name in wanted.columns:
        if not wanted[name].equals(found[name]):
            row = next(i for i, (a, b) in enumerate(zip(wanted[name], found[name], strict=True)) if a != b)
            fail(f"{name} of example {row} is {found[name][row]!r} {when}, {wanted[name][row]!r} otherwise")


def _answers(bundle: Bundle, frame: pl.DataFrame) -> Any:
    return bundle.pipeline.predict(frame)["y_pred"].to_numpy()


def _word(better: str) -> str:
    return "at least" if better == "higher" else "at most"


def _judge(name: str, found: float, wanted: float, better: str) -> None:
    if not (found >= wanted if better == "higher" else found <= wanted):
        fail(f"{name} is {found:.4g}; wanted {_word(better)} {wanted:g}")


def _evaluators(bundle: Bundle) -> Iterator[Any]:
    """Give the evaluators of the bundle's config, then the other ones that are installed and need no parameter."""
    nodes = [node for node in (bundle.config.get("evaluators") or {}).values() if node]
    picked = {node["name"] for node in nodes}
    nodes += [{"name": name} for name in bundle.registry.names("evaluators") if name not in picked]
    for node in nodes:
        try:
            yield bundle.registry.create("evaluators", node)
        except MlframeError:  # a plugin's own that cannot be made without parameters
            continue


def _declared(bundle: Bundle, figure: str) -> tuple[Any, Any]:
    """Return the evaluator that computes a figure, and the figure."""
    known = []
    for evaluator in _evaluators(bundle):
        for declared in evaluator.declares():
            if bundle.pipeline.learning.task in declared.tasks:
                known.append(declared.name)
                if declared.name == figure:
                    return evaluator, declared
    fail(f"no evaluator gives the figure {figure!r}; there are: {', '.join(sorted(set(known)))}")


def _groups(column: pl.Series) -> pl.Series:
    """Return the name of each row's group: its value, of numbers with many values a quarter of them."""
    if column.dtype.is_float() or (column.dtype.is_integer() and column.n_unique() > 10):
        return column.qcut(4, allow_duplicates=True).cast(pl.String).fill_null("missing")
    return column.cast(pl.String).fill_null("missing")


def _predictions(bundle: Bundle, rows: pl.DataFrame, truth: pl.Series) -> Predictions:
    from mlframe.pipeline.learning import as_predictions

    pipeline = bundle.pipeline
    spelled = truth
    if pipeline.learning.classes:
        spelled = truth.cast(pl.String)
        unknown = sorted(set(spelled.unique()) - set(pipeline.learning.classes))
        if unknown:
            fail(f"the rows' truth holds {unknown[0]!r}, which is no class of the model: {pipeline.learning.classes}")
    weight = np.ones(len(rows))
    ids = np.arange(len(rows), dtype=np.uint32)
    outputs = pipeline.outputs(rows)
    return as_predictions(outputs, ids, spelled, weight, -1, pipeline.learning, "live", pipeline.threshold)
