"""Libraries that are there by chance look absent; one that is needed is let in."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlframe.serving.lean import Absent, with_needed


@pytest.fixture
def keeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Absent]:
    """Give a finder that keeps the module `by_chance` out, which is installed."""
    (tmp_path / "by_chance.py").write_text("value = 7")
    monkeypatch.syspath_prepend(str(tmp_path))
    keeper = Absent(("by_chance",)).install()
    yield keeper
    sys.meta_path.remove(keeper)  # type: ignore[arg-type]
    sys.modules.pop("by_chance", None)


def test_it_looks_absent(keeper: Absent):
    with pytest.raises(ModuleNotFoundError, match="by_chance"):
        importlib.import_module("by_chance")


def test_what_is_needed_is_let_in(keeper: Absent):
    assert with_needed(lambda: importlib.import_module("by_chance")).value == 7


def test_a_need_that_is_wrapped_is_seen(keeper: Absent):
    def load() -> int:
        try:
            return int(importlib.import_module("by_chance").value)
        except ImportError as error:
            raise ValueError("the model cannot be read") from error

    assert with_needed(load) == 7


@pytest.mark.parametrize("error", [ValueError("other"), ModuleNotFoundError("no", name="never_there")])
def test_other_failures_stay_what_they_are(keeper: Absent, error: Exception):
    def load() -> None:
        raise error

    with pytest.raises(type(error)):
        with_needed(load)
