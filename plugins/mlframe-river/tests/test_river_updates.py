"""A served model learns from feedback: each label once, in order of time, late ones too; without labels nothing happens."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mlframe.pipeline import Pipeline
from mlframe.plugins import load_plugins
from mlframe.store.store import Store

NAME = "shop"
WORDS = ("data=csv", "data.source.path=rows.csv", "data.source.times={when: '%Y-%m-%dT%H:%M:%S%.6f'}",
         "data.columns={when: {role: time, kind: datetime}, label: {role: target}}", f"name={NAME}", "model=online_linear",
         "featurizer=linear", "experiment=quick", "splitter=time", "splitter.folds=1", "fit.refit=full", "goal.task=binary",
         "goal.metric=accuracy", "evaluators=[classification]", "reporters=[]", "trackers=[]")  # fmt: skip
OPERATE = ("update.once=true", "update.rows=feedback", "update.how=warm", "update.window=since_last", "update.test_rows=60",
           "update.triggers={labels: {count: 100}}", "update.monitor=null", "update.cooldown=null", "update.tests=none")  # fmt: skip
TIME = pl.Datetime("us", "UTC")


def rows(count: int, turned: bool, seed: int) -> pl.DataFrame:
    """Make rows with few different values: the same row comes again and again, when turned with the other label."""
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 4, (2, count))
    sells = (a >= 2) ^ turned ^ (rng.random(count) < 0.1)
    return pl.DataFrame({"a": a, "b": b, "label": np.where(sells, "yes", "no")})


class Shop:
    """A folder with a champion and its log."""

    def __init__(self, folder: Path, run_cli: Callable[..., Any]) -> None:
        self.folder, self.run_cli, self.asked = folder, run_cli, 0
        when = [datetime(2026, 1, 1) + timedelta(minutes=place) for place in range(400)]
        self.known = rows(400, False, 0).with_columns(when=pl.Series(when, dtype=pl.Datetime("us")))
        self.known.write_csv(folder / "rows.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6f")
        self.run("train")
        self.run("promote", f"{NAME}/1", "--force")

    def run(self, task: str, *words: str) -> str:
        """Run a command line."""
        done = self.run_cli(task, *(words if task == "promote" else (*WORDS, *words)))
        assert done.code == 0, done.out + done.err
        return str(done.out)

    def answer(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Log rows as answered now; return them with their request."""
        first = datetime.now(UTC)
        times = [first + timedelta(microseconds=place) for place in range(len(frame))]
        asked = frame.with_columns(
            pl.Series("request_id", [f"r{self.asked + place}" for place in range(len(frame))]),
            pl.Series("row", [0] * len(frame), dtype=pl.UInt32),
            pl.Series("time", times, dtype=TIME),
            version=pl.lit(f"{NAME}/1"), role=pl.lit("champion"), caller=pl.lit("test"), latency_ms=pl.lit(1.0, pl.Float32),
            y_pred=pl.lit("no"), p_no=pl.lit(0.6), p_yes=pl.lit(0.4),
        )  # fmt: skip
        self._log("predictions", asked.drop("label"))
        self.asked += len(frame)
        return asked

    def tell(self, asked: pl.DataFrame) -> None:
        """Tell the truth of answered rows."""
        told = asked.select("request_id", "row", time=pl.lit(datetime.now(UTC), TIME), label="label")
        self._log("feedback", told.with_columns(outcome=pl.lit(None, pl.String), caller=pl.lit("test")))
        when = asked.select("a", "b", "label", when=pl.col("time").dt.replace_time_zone(None))
        self.known = pl.concat([self.known, when]).sort("when")

    def _log(self, kind: str, frame: pl.DataFrame) -> None:
        day = datetime.now(UTC).date().isoformat()
        folder = self.folder / ".mlframe" / kind / NAME / day
        folder.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(folder / f"{day}-test-{'0' * 12}-{len(list(folder.iterdir()))}.parquet")

    def champion(self) -> tuple[str, Pipeline, list[str]]:
        """Return who it is, what it is, and the kinds of the decisions."""
        with Store.open(str(self.folder / ".mlframe"), create=False) as store:
            holder = store.holder(NAME)
            assert holder is not None
            pipeline = Pipeline.load(store.open_bundle(holder) / "pipeline", load_plugins().registry)
            return holder, pipeline, [row["kind"] for row in reversed(store.decisions.many(NAME))]

    def taught(self, before: Pipeline, fresh: pl.DataFrame) -> Any:
        """Return the estimator that the one before becomes when it is taught these rows, one by one."""
        member: Any = before.root
        matrix = member.featurizer.transform(fresh.with_row_index("__row__")).matrix
        more = member.adapter.load(member.adapter.save(member.estimator))
        for row, label in zip(matrix, fresh["label"] == "yes", strict=True):
            more.partial_fit(row[None], [int(label)])
        return member.adapter.save(more)


def saved(pipeline: Pipeline) -> bytes:
    """Return the estimator's whole state."""
    member: Any = pipeline.root
    return bytes(member.adapter.save(member.estimator))


@pytest.fixture
def shop(tmp_path: Path, run_cli: Callable[..., Any]) -> Shop:
    return Shop(tmp_path / "work", run_cli)


@pytest.mark.slow
def test_each_label_is_learned_once_as_it_came_and_late_ones_later(shop: Shop) -> None:
    """The world has turned: updates by labels make a champion that has learned exactly what it should have."""
    shop.run("operate", *OPERATE)
    _, first, decisions = shop.champion()
    assert decisions == []  # no label, no update
    asked = shop.answer(rows(400, True, 1))
    late = asked[::4]
    shop.tell(asked.join(late, on="request_id", how="anti"))
    shop.run("operate", *OPERATE)
    name, second, decisions = shop.champion()
    assert (name, decisions) == (f"{NAME}/2", ["trigger", "promote"])
    # 320 of the first 400 rows were learned at first. 300 labels have come, the newest 30 % of which judge.
    assert saved(second) == shop.taught(first, shop.known[320:-90])
    taught = shop.known[:-90]
    shop.tell(late)
    shop.run("operate", *OPERATE, "update.margin=10")
    assert shop.champion()[2][2:] == ["trigger", "keep"]
    shop.run("update", *OPERATE, "update.margin=-1")  # what was kept out has lost nothing
    name, third, decisions = shop.champion()
    assert decisions[4:] == ["trigger", "promote"]
    news = shop.known.join(taught, on=["when", "a", "b", "label"], how="anti")
    assert len(news) == 90 + 100
    assert saved(third) == shop.taught(second, news[:-60])
