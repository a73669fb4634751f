from __future__ import annotations

import polars as pl
import pytest

from mlframe.datasets import DATASETS, Dataset
from mlframe.errors import DataError, UnknownNameError
from mlframe.sources.bundled import BundledSource


@pytest.mark.parametrize(
    ("name", "shape", "kept"),
    [
        ("churn", (7043, 20), 7021),
        ("diamonds", (53940, 10), 53794),
        ("electricity", (45312, 10), 45312),
        ("email", (5920, 15), 5920),
        ("sms_spam", (5574, 2), 5171),
        ("spambase", (4601, 58), 4210),
    ],
)
def test_every_table_is_read_whole_and_without_repeats(name: str, shape: tuple[int, int], kept: int) -> None:
    assert BundledSource(name).read().shape == shape
    assert BundledSource(name, deduplicate=True).read().height == kept


def test_e_mails_are_in_order_of_time() -> None:
    received = BundledSource("email").read()["received"]
    assert received.dtype == pl.Datetime("us")
    assert received.is_sorted()


def test_an_unknown_table_shows_near_names() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'diamonds'"):
        BundledSource("diamond")


def test_fingerprints_differ_and_stay() -> None:
    prints = {BundledSource(name).fingerprint() for name in DATASETS}
    assert len(prints) == len(DATASETS)


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    real = DATASETS["churn"]
    monkeypatch.setitem(DATASETS, "churn", Dataset(real.name, real.summary, real.file, "0" * 64))  # type: ignore[misc]
    with pytest.raises(DataError, match="changed or damaged"):
        BundledSource("churn").read()
