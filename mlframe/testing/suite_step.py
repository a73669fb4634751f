"""Conformance of a step (hook `mlframe_steps`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import pytest

from mlframe.contracts import Step
from mlframe.registry import Registered, Registry
from mlframe.testing.suite import Suite

__all__ = ["StepSuite"]

KINDS = ("table", "frame", "arrays", "pipeline", "json", "files", "value")


class StepSuite(Suite):
    """A step says what it needs and gives, and keeps to it.

    Override `component` and `scene`, with which the step is run.
    """

    group = "step"

    @pytest.fixture
    def scene(self) -> tuple[Any, Mapping[str, Any]]:
        """Return a context and the inputs by name to run the step with."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'scene'")

    @pytest.fixture
    def step(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Step:
        """Give the step."""
        made = registry.create(self.group, node)
        assert isinstance(made, Step)
        return made

    def test_declarations(self, step: Step) -> None:
        assert step.summary.strip()
        assert "\n" not in step.summary
        for names in (step.reads, step.needs, step.needs_if_present):
            assert isinstance(names, tuple), "a text alone would be read letter by letter"
            assert all(isinstance(name, str) and name for name in names)
            assert len(set(names)) == len(names)
        assert set(step.gives.values()) <= set(KINDS), f"kinds of artifacts are {', '.join(KINDS)}"

    def test_it_does_not_need_what_it_gives(self, step: Step) -> None:
        needed = {*step.needs, *step.needs_if_present}
        assert not needed & set(step.gives), "such a step waits for itself"
        assert not set(step.needs) & set(step.needs_if_present), "needed, or needed if present: not both"

    def test_run_takes_its_inputs_by_name(self, step: Step) -> None:
        signature = inspect.signature(step.run)
        signature.bind(None, **dict.fromkeys((*step.needs, *step.needs_if_present)))

    def test_run_gives_what_it_says(self, step: Step, scene: tuple[Any, Mapping[str, Any]]) -> None:
        context, inputs = scene
        assert set(inputs) == {*step.needs, *step.needs_if_present}, "the fixture 'scene' must give every input"
        given = step.run(context, **inputs)
        assert set(given) == set(step.gives)
