from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from page_reader import read
from shop_bench import QUICK, TABLE

from mlframe.commands.measures import _span


def line(out: str, start: str) -> str:
    found = [" ".join(line.split()) for line in out.splitlines() if line.strip().startswith(start)]
    assert found, f"no line begins with {start}\n{out}"
    return found[0].removeprefix(start).strip()


def test_measures_come_from_the_store(shop):
    assert shop("promote", "shop/1").code == 0
    failed = shop(*TABLE, *QUICK, "goal.task=regression")
    assert failed.code == 2, failed.out
    again = shop(
        *TABLE,
        *QUICK,
        "model=linear",
        "reporters=[html,card]",
        "seed=3",
        "goal.owner=ada",
        "resources.price_per_hour=36",
    )
    assert again.code == 0, again.err
    Path("new.csv").write_text("age,income,city\n30,2000,rome\n70,1000,oslo\n")
    assert shop("predict", *TABLE, "input=new.csv", "output=scores.csv").code == 0
    assert shop("promote", "shop/3").code == 0
    out = shop("measures", "shop", "--html", "page.html", "--price-per-hour", "3.6").out
    assert line(out, "runs until then") == "2"
    assert line(out, "of these failed or interrupted") == "0"
    assert line(out, "runs since") == "2"
    assert "of these failed or interrupted 1" in " ".join(out.split())
    assert line(out, "retrainings since (versions registered)") == "1"
    assert line(out, "promotions since") == "1"
    assert line(out, "rows scored by them") == "2"
    assert (price := float(line(out, "price of that computing"))) > 0
    asked = float(line(shop("measures", "shop").out, "price of that computing"))
    assert asked == pytest.approx(10 * price, rel=0.05), "the price that the champion's run names"
    assert line(out, "owner") == "ada"
    assert line(out, "review") == "not stated: goal.review"
    assert line(out, "document: card").endswith("card.html")
    assert line(out, "document: dossier") == "was not written"
    assert int(line(out, "runs that have read its holdout")) >= 1
    page = read(Path("page.html"))
    assert page.addresses == []
    assert "script" not in page.tags
    assert "roc_auc over versions" in page.words
    for word in ("shop/1", "shop/3", "champion", "was not written", "no evaluator measured latency"):
        assert word in page.words


def test_without_promotion_price_or_use_it_says_so(shop):
    out = shop("measures", "shop").out
    assert line(out, "time from the first run to the first promotion") == "no version has been promoted yet"
    assert line(out, "price of that computing").startswith("not stated")
    assert line(out, "price of scoring 1,000 rows").startswith("not stated")
    assert line(out, "worth") == "not stated: goal.value"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.34, "0.3 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (50 * 3600, "2 days 2 h")],
)
def test_durations(seconds, words):
    assert _span(timedelta(seconds=seconds)) == words
