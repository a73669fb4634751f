from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from page_reader import read
from shop_bench import QUICK, TABLE, make_csv

from mlframe.commands.pairing import Pair, _measured
from mlframe.stats import Scores, paired_bootstrap


def test_versions_are_compared_on_the_same_rows(shop):
    done = shop("compare", "shop/1", "shop/2", "--html", "both.html")
    assert done.code == 0, done.err
    assert "roc_auc of shop/1 minus shop/2 on the same 80 holdout rows: -0." in done.out
    assert "higher is better: shop/2 is better" in done.out
    page = read(Path("both.html"))
    assert {"script", "link", "img"} & set(page.tags) == set()
    assert page.addresses == []
    words = page.words
    for word in ("shop/1 and shop/2", "shop/2 is better", "model.name", "dummy", "linear", "holdout roc_auc", "Equal."):
        assert word in words
    assert words.index("Metrics") < words.index("model.name")


def test_runs_by_their_beginning_and_an_alias(shop):
    first = shop("versions").out.split("shop/1")[1].split()[2]
    assert shop("promote", "shop/2").code == 0
    done = shop("compare", first, "shop@champion")
    assert done.code == 0, done.err
    assert f"roc_auc of {first} minus shop/2" in done.out


def test_jobs_without_a_holdout_are_compared_fold_by_fold(shop):
    done = shop("-m", *TABLE, *QUICK, "model=dummy,linear", "splitter=stratified", "splitter.folds=4")
    assert done.code == 0, done.err
    lines = [line.split() for line in shop("runs").out.splitlines()]
    jobs = [words[0] for words in lines if words and words[0].startswith("2")][:2]
    out = shop("compare", *jobs).out
    assert "on the same 320 out-of-fold rows" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "shop/1", "shop/9"), "There is no version 'shop/9'"),
        (("compare", "shop/1", "shup/1"), "did you mean"),
        (("compare", "shop/1", "1999"), "There is no run '1999'"),
        (("compare", "shop/1", "shop/2", "--html", "no/such/page.html"), "The page cannot be written"),
        (("measures", "shup"), "There is no model 'shup'"),
        (("measures", "shop", "--price-per-hour", "-1"), "cannot be negative"),
        (("measures", "shop", "--html", "."), "The page cannot be written"),
    ],
)
def test_mistakes_are_told_without_a_traceback(shop, words, said):
    done = shop(*words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_other_rows_are_not_compared(shop):
    Path("my.csv").write_text(make_csv(300))
    assert shop(*TABLE, *QUICK, "model=dummy").code == 0
    done = shop("compare", "shop/1", "shop/3")
    assert done.code == 0
    assert "not compared on the same rows: they did not read the same rows" in done.out


def regression(fold: int, rows: int, shift: int) -> pl.DataFrame:
    draw = np.random.default_rng(fold)
    truth = draw.normal(size=rows)
    frame = {
        "row_id": np.arange(rows, dtype=np.uint32) + shift,
        "fold": np.full(rows, fold, dtype=np.int32),
        "y": truth,
        "y_pred": truth + draw.normal(size=rows),
        "weight": np.ones(rows),
        "y_pred b": truth + draw.normal(size=rows) * 0.5,
    }
    return pl.DataFrame(frame)


def test_folds_are_measured_apart_and_repeats_are_no_new_evidence():
    learning = {"task": "regression", "classes": []}
    wanted = {"metric": "rmse", "better": "lower"}
    one = regression(0, 200, 0)
    truth = one["y"].to_numpy()
    direct = paired_bootstrap("rmse", truth, Scores(one["y_pred"].to_numpy()), Scores(one["y_pred b"].to_numpy()))
    single = _measured([one], learning, wanted, "holdout")
    assert direct is not None
    assert (single.value, single.low, single.high) == pytest.approx((direct.value, direct.low, direct.high))
    again = _measured([one, one], learning, wanted, "out-of-fold")
    assert (again.rows, again.low, again.high) == (200, pytest.approx(single.low), pytest.approx(single.high))
    more = _measured([one, regression(1, 200, 200)], learning, wanted, "out-of-fold")
    assert more.rows == 400
    assert more.high - more.low < 0.9 * (single.high - single.low)
    assert "second is better" in more.lines("first", "second")[0]


def test_a_tie_is_called_one():
    assert "do not tell them apart" in Pair("", "rmse", "lower", "holdout", 9, -0.1, -0.3, 0.1).lines("a", "b")[0]
    assert "a is better" in Pair("", "rmse", "lower", "holdout", 9, -0.2, -0.3, -0.1).lines("a", "b")[0]
