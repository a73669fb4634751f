"""Conformance of a model (hook `mlframe_models`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import scipy.sparse as sp

from mlframe.contracts import TASKS, Adapter, Features, Stop, Wants
from mlframe.errors import MlframeError
from mlframe.pipeline import fit_estimator, wants_of
from mlframe.registry import Registered, Registry, family_of
from mlframe.testing.suite import Suite

__all__ = ["ModelSuite"]

Array = npt.NDArray[Any]

LOAD = """
import sys
import numpy as np
from pathlib import Path
from mlframe.plugins import load_plugins
group, name, root, own, project = sys.argv[1:]
registry = load_plugins(project=Path(project) if project else None).registry
for folder in Path(root).iterdir():
    data = folder.joinpath("estimator").read_bytes()
    if own == "own":
        estimator = registry.adapter(group, name).load(data)
    else:
        import skops.io
        unknown = set(skops.io.get_untrusted_types(data=data)) - registry.trusted_types()
        assert not unknown, f"name these in Component(trusted=...): {sorted(unknown)}"
        estimator = skops.io.loads(data, trusted=sorted(registry.trusted_types()))
    matrix = np.load(folder / "matrix.npy")
    ask = estimator.predict_proba if hasattr(estimator, "classes_") else estimator.predict
    np.save(folder / "answer.npy", np.asarray(ask(matrix)))
"""


@dataclass(frozen=True)
class Case:
    """One learning problem.

    Args:
        task: one of `TASKS`.
        features: shape (rows, 6); the last two columns hold categories when the model takes them.
        target: codes or values.
    """

    task: str
    features: Features
    target: Array

    @property
    def matrix(self) -> Any:
        """The features, shape (rows, 6)."""
        return self.features.matrix


# A suite cannot know how many rounds a model needs; that one has not converged breaks no contract.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
class ModelSuite(Suite):
    """A model keeps scikit-learn's contract and says through its adapter what that cannot say. Override `component`."""

    group = "model"
    tasks: ClassVar[tuple[str, ...] | None] = None
    """Learning tasks that the model is for; None takes the families that its registration names."""

    @pytest.fixture
    def adapter(self, registry: Registry, item: Registered) -> Any:
        """Give the model's adapter, None when it has none."""
        return registry.adapter(self.group, item.component.name)

    @pytest.fixture
    def make(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Callable[[str], Any]:
        """Give a function that builds the estimator for a task."""
        return lambda task: registry.create(self.group, node, task=task)

    @pytest.fixture
    def cases(self, item: Registered, make: Callable[[str], Any], adapter: Any) -> list[Case]:
        """Give one learning problem for each task that the model is for."""
        target = item.component.target
        named = TASKS if isinstance(target, str) else tuple(task for task in TASKS if family_of(task) in target)
        return [_case(task, wants_of(make(task), adapter)) for task in self.tasks or named]

    def test_other_tasks_are_refused(self, registry: Registry, item: Registered, node: dict[str, Any]) -> None:
        target = item.component.target
        families = {"classification", "regression"} - (set() if isinstance(target, str) else set(target))
        if isinstance(target, str):
            families = {family_of(task) for task in TASKS} - {family_of(task) for task in self.tasks or TASKS}
        for family in families:
            task = "regression" if family == "regression" else "binary"
            errors: list[MlframeError] = registry.bind(self.group, node, where="model", task=task)
            assert errors, f"{family} must be refused before data is read: give one target for each family, or a check"

    def test_predictions_have_the_right_form(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        for case, estimator in _fitted(cases, make, adapter):
            matrix = case.matrix
            predicted = np.asarray(estimator.predict(matrix))
            assert predicted.shape == case.target.shape, case.task
            answer = _answer(estimator, matrix)
            assert np.isfinite(answer).all(), case.task
            if case.task != "regression":
                classes = len(np.unique(case.target))
                np.testing.assert_array_equal(estimator.classes_, np.arange(classes))
                assert answer.shape == (len(case.target), classes)
                np.testing.assert_allclose(answer.sum(axis=1), 1.0, atol=1e-5)
                assert (answer >= -1e-9).all()

    def test_equal_runs_give_equal_predictions(
        self, cases: list[Case], make: Callable[[str], Any], adapter: Any
    ) -> None:
        for case in cases:
            first, second = (_fit(make(case.task), adapter, case) for _ in range(2))
            np.testing.assert_array_equal(_answer(first, case.matrix), _answer(second, case.matrix))

    def test_a_row_does_not_depend_on_its_neighbours(
        self, cases: list[Case], make: Callable[[str], Any], adapter: Any
    ) -> None:
        for case, estimator in _fitted(cases, make, adapter):
            matrix = case.matrix
            single = np.concatenate([_answer(estimator, matrix[row : row + 1]) for row in range(5)])
            np.testing.assert_allclose(single, _answer(estimator, matrix)[:5], rtol=1e-5, atol=1e-7)

    def test_inputs_are_not_changed(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        for case in cases:
            matrix, target = case.matrix.copy(), case.target.copy()
            weight = np.linspace(0.5, 1.5, len(target)) if _takes_weight(make(case.task), adapter) else None
            # Memory-mapped matrices of the step cache are read-only.
            for array in (case.matrix, case.target, *([] if weight is None else [weight])):
                array.flags.writeable = False
            estimator = _fit(make(case.task), adapter, case, weight=weight)
            _answer(estimator, case.matrix)
            np.testing.assert_array_equal(case.matrix, matrix)
            np.testing.assert_array_equal(case.target, target)

    def test_weights_are_used_or_refused(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        for case in cases:
            if not _takes_weight(make(case.task), adapter):
                continue
            middle = np.median(case.target)
            fresh = _case(case.task, wants_of(make(case.task), adapter), seed=4).matrix
            answers = []
            for low, high in ((1.0, 20.0), (20.0, 1.0)):
                weight = np.where(case.target > middle, high, low)
                answers.append(_answer(_fit(make(case.task), adapter, case, weight=weight), fresh))
                assert np.isfinite(answers[-1]).all()
            assert not np.array_equal(answers[0], answers[1]), f"{case.task}: weights are taken and have no effect"

    def test_clones(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        from sklearn.base import clone

        for case in cases:
            original = make(case.task)
            copy = clone(original)
            assert copy is not original
            assert repr(copy.get_params()) == repr(original.get_params())
            left, right = _fit(original, adapter, case), _fit(copy, adapter, case)
            np.testing.assert_array_equal(_answer(left, case.matrix), _answer(right, case.matrix))

    def test_thin_targets(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        for case in cases:
            if case.task == "regression":
                target = np.full(len(case.target), 3.0)
            else:
                target = np.zeros(len(case.target), dtype=np.intp)
                target[: 6 * case.target.max()] = np.repeat(np.arange(1, case.target.max() + 1), 6)
            thin = replace(case, target=target)
            assert np.isfinite(_answer(_fit(make(case.task), adapter, thin), case.matrix)).all()

    def test_a_class_that_the_train_rows_lack(
        self, cases: list[Case], make: Callable[[str], Any], adapter: Any
    ) -> None:
        for case in (case for case in cases if case.task == "multiclass"):  # as in an early fold along time
            gap = replace(case, target=np.where(case.target == 1, 2, case.target))
            estimator = _fit(make(case.task), adapter, gap)
            assert estimator.classes_.tolist() == [0, 2]
            assert _answer(estimator, case.matrix).shape == (len(case.target), 2)
            assert set(estimator.predict(case.matrix)) <= {0, 2}

    def test_sparse_and_missing_as_the_tags_say(
        self, cases: list[Case], make: Callable[[str], Any], adapter: Any
    ) -> None:
        for case in cases:
            wants = wants_of(make(case.task), adapter)
            plain = replace(case.features, categorical=())
            forms = []
            if wants.sparse:
                forms.append(sp.csr_matrix(case.matrix))
            if wants.missing:
                holes = case.matrix.copy()
                holes[::7, 0] = np.nan
                forms.append(holes)
            for matrix in forms:
                other = replace(case, features=replace(plain, matrix=matrix))
                assert np.isfinite(_answer(_fit(make(case.task), adapter, other), matrix)).all(), case.task

    def test_unseen_categories(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        for case, estimator in _fitted(cases, make, adapter):
            unseen = case.matrix[:4].copy()
            unseen[:, list(case.features.categorical)] = np.nan  # the featurizer writes unseen categories as missing
            assert np.isfinite(_answer(estimator, unseen)).all()

    def test_loads_in_a_fresh_process(
        self,
        cases: list[Case],
        make: Callable[[str], Any],
        adapter: Any,
        item: Registered,
        project_folder: Path | None,
        tmp_path: Path,
    ) -> None:
        own = hasattr(adapter, "save")
        assert own == hasattr(adapter, "load"), "an adapter has both of save and load, or none"
        root = tmp_path / "saved"
        fitted = list(_fitted(cases, make, adapter))
        for case, estimator in fitted:
            folder = root / case.task
            folder.mkdir(parents=True)
            if own:
                saved = adapter.save(estimator)
            else:
                import skops.io

                saved = skops.io.dumps(estimator)
            assert isinstance(saved, bytes)
            folder.joinpath("estimator").write_bytes(saved)
            np.save(folder / "matrix.npy", case.matrix)
        argv = [self.group, item.component.name, str(root), "own" if own else "skops", str(project_folder or "")]
        done = subprocess.run([sys.executable, "-c", LOAD, *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        for case, estimator in fitted:
            np.testing.assert_array_equal(np.load(root / case.task / "answer.npy"), _answer(estimator, case.matrix))

    def test_early_stopping(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        if not hasattr(adapter, "rounds"):
            assert not hasattr(adapter, "with_rounds"), "with_rounds needs rounds"
            return
        for case in cases:
            matrix, target = case.matrix, case.target
            stop = Stop(matrix[::4], target[::4], None, rounds=5)
            estimator = make(case.task)
            adapter.fit(estimator, case.features, target, stop=stop)
            rounds = adapter.rounds(estimator)
            assert rounds >= 1
            again = adapter.with_rounds(make(case.task), rounds)
            adapter.fit(again, case.features, target)
            assert adapter.rounds(again) <= rounds
            np.testing.assert_array_equal(_answer(estimator, matrix), _answer(again, matrix))

    def test_explanations_fit_the_features(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        for case, estimator in _fitted(cases, make, adapter):
            width = len(case.features.names)
            if hasattr(adapter, "gain"):
                gain = np.asarray(adapter.gain(estimator))
                assert gain.shape == (width,)
                assert np.isfinite(gain).all()
                assert (gain >= 0).all()
            if hasattr(adapter, "contributions"):
                parts = np.asarray(adapter.contributions(estimator, case.matrix[:3]))
                shape = (3, 3, width + 1) if case.task == "multiclass" else (3, width + 1)
                assert parts.shape == shape
                assert np.isfinite(parts).all()

    def test_the_fast_way_gives_the_same(self, cases: list[Case], make: Callable[[str], Any], adapter: Any) -> None:
        if not hasattr(adapter, "fast"):
            return
        for case in cases:
            wants = wants_of(make(case.task), adapter)
            for stop in (None, Stop(case.matrix[::4], case.target[::4], None, rounds=5)):
                estimator = make(case.task)
                if stop is not None and not hasattr(adapter, "rounds"):
                    continue
                fit_estimator(estimator, adapter, case.features, case.target, None, stop, "model")
                _same_fast(adapter, estimator, case, wants)
                if hasattr(adapter, "load"):
                    _same_fast(adapter, adapter.load(adapter.save(estimator)), case, wants)
            if case.task == "multiclass":
                gap = np.where(case.target == 1, 2, case.target)
                _same_fast(adapter, _fit(make(case.task), adapter, replace(case, target=gap)), case, wants)

    def test_adapter_is_an_adapter(self, adapter: Any) -> None:
        assert adapter is None or isinstance(adapter, Adapter)


def _case(task: str, wants: Wants, rows: int = 150, seed: int = 3) -> Case:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(rows, 6))
    matrix[:, 4:] = rng.integers(0, 4, (rows, 2))
    signal = matrix[:, 0] + 0.8 * (matrix[:, 4] == 2) + 0.3 * rng.normal(size=rows)
    if wants.nonnegative:
        matrix = np.abs(matrix)
    cuts = np.quantile(signal, [0.6] if task == "binary" else [0.33, 0.66])
    target = signal * 10 if task == "regression" else np.digitize(signal, cuts).astype(np.intp)
    names = tuple(f"f{index}" for index in range(6))
    return Case(task, Features(matrix, names, names, (4, 5) if wants.categories else ()), target)


def _fit(estimator: Any, adapter: Any, case: Case, weight: Array | None = None) -> Any:
    fit_estimator(estimator, adapter, case.features, case.target, weight, None, "model")
    return estimator


def _takes_weight(estimator: Any, adapter: Any) -> bool:
    return hasattr(adapter, "fit") or "sample_weight" in inspect.signature(estimator.fit).parameters


def _fitted(cases: list[Case], make: Callable[[str], Any], adapter: Any) -> Iterator[tuple[Case, Any]]:
    for case in cases:
        yield case, _fit(make(case.task), adapter, case)


def _same_fast(adapter: Any, estimator: Any, case: Case, wants: Wants) -> None:
    ask = adapter.fast(estimator)
    if ask is None:  # this estimator has no fast way
        return
    rng = np.random.default_rng(7)
    drawn = case.matrix[rng.integers(0, len(case.matrix), (300, 1)), np.arange(case.matrix.shape[1])]
    forms = [drawn, np.asfortranarray(drawn), drawn.astype(np.float32)]
    if wants.missing:
        forms.append(np.where(rng.random(drawn.shape) < 0.3, np.nan, drawn))
    if wants.categories:
        forms.append(np.where(np.isin(np.arange(6), case.features.categorical), 7.0, drawn))  # a code never seen
    if wants.sparse:
        forms.append(sp.csr_matrix(np.where(rng.random(drawn.shape) < 0.5, 0.0, drawn)))
    for matrix in forms:
        wanted = _answer(estimator, matrix)
        given = [ask(matrix), *(ask(matrix[start : start + 1]) for start in range(3)), ask(matrix[:32])]
        for found, part in zip(given, (slice(None), *(slice(n, n + 1) for n in range(3)), slice(32)), strict=True):
            assert np.shape(found) == wanted[part].shape, case.task
            np.testing.assert_allclose(found, wanted[part], rtol=1e-10, atol=1e-10 * np.abs(wanted).mean())


def _answer(estimator: Any, matrix: Any) -> Array:
    return np.asarray(estimator.predict_proba(matrix) if hasattr(estimator, "classes_") else estimator.predict(matrix))
