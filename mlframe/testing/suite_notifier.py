"""Conformance of a notifier (hook `mlframe_notifiers`)."""

# ruff: noqa: D102 (a test's name is its documentation)

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mlframe.contracts import Notice, Notifier
from mlframe.errors import MlframeError
from mlframe.registry import Registered, Registry
from mlframe.testing.suite import Suite

__all__ = ["NotifierSuite", "make_notice"]


def make_notice(title: str = "made: 12 % of amount is missing", **changes: Any) -> Notice:
    """Make a notice; `changes` replace single fields."""
    fields: dict[str, Any] = {
        "name": "made",
        "version": "made/1",
        "kind": "alarm",
        "severity": "warning",
        "title": title,
        "text": "WARNING quality/missing/amount (made/1)\nsince: 2026-11-24 00:00 UTC\ndo: ask who fills amount",
        "record": {"id": 3, "key": "quality/missing/amount", "evidence": {"share": 0.12, "rows": 1204}},
    }
    return Notice(**{**fields, **changes})


class NotifierSuite(Suite):
    """A notifier tells all of what it is given, or raises an error that tells no secret.

    Override `component`, with parameters that reach a real server of the test's own, and `received`. Where there can be
    nobody, override `unreachable`; name what must not be told in `secrets`.
    """

    group = "notifiers"

    @pytest.fixture
    def received(self) -> Callable[[], str]:
        """Return a function that gives all that has arrived, decoded, as one text."""
        raise NotImplementedError(f"{type(self).__name__} must override the fixture 'received'")

    @pytest.fixture
    def unreachable(self) -> Mapping[str, Any] | None:
        """Return parameters with which nobody is reached, None where that cannot be."""
        return None

    @pytest.fixture
    def secrets(self) -> tuple[str, ...]:
        """Return texts that no error may hold."""
        return ()

    @pytest.fixture
    def notifier(self, registry: Registry, item: Registered, node: dict[str, Any]) -> Notifier:
        """Give the notifier."""
        made = registry.create(self.group, node)
        assert isinstance(made, Notifier)
        return made

    def test_what_is_told_arrives(self, notifier: Notifier, received: Callable[[], str]) -> None:
        notifier.notify([make_notice("12 percent of amount is missing")])
        assert "12 percent of amount is missing" in received()

    def test_all_of_many_arrive(self, notifier: Notifier, received: Callable[[], str]) -> None:
        notifier.notify([make_notice(f"column number {number:03} has moved") for number in range(45)])
        arrived = received()
        # A way of telling with short messages may count the rest, and then says how many there are.
        assert "column number 000 has moved" in arrived
        assert all(f"number {number:03}" in arrived for number in range(45)) or "45" in arrived

    @pytest.mark.parametrize("kind", ["alarm", "over", "decision"])
    @pytest.mark.parametrize("severity", ["info", "warning", "problem"])
    def test_every_kind_can_be_told(
        self, notifier: Notifier, received: Callable[[], str], kind: str, severity: str
    ) -> None:
        notifier.notify([make_notice("told of this", kind=kind, severity=severity, version=None, record={})])
        assert "told of this" in received()

    def test_hard_texts_do_not_break_it(self, notifier: Notifier, received: Callable[[], str]) -> None:
        title = "Zoë's column <b>名前</b> & more\nBcc: somebody@example.com"
        notifier.notify([make_notice(title, text="x" * 20_000 + "\n.\n\x07", record={"value": float("inf")})])
        assert "Zoë's column" in received()

    def test_a_notice_is_left_alone(self, notifier: Notifier, received: Callable[[], str]) -> None:
        notice = make_notice()
        before = copy.deepcopy(dict(notice.record))
        notifier.notify([notice])
        assert dict(notice.record) == before
        assert received()

    def test_where_nobody_is_reached_an_error_says_so(
        self, registry: Registry, item: Registered, unreachable: Mapping[str, Any] | None, secrets: tuple[str, ...]
    ) -> None:
        if unreachable is None:
            pytest.skip("somebody is always reached")
        notifier = registry.create(self.group, {"name": item.component.name, **unreachable})
        with pytest.raises(MlframeError) as caught:
            notifier.notify([make_notice()])
        assert not [secret for secret in secrets if secret in str(caught.value)]
