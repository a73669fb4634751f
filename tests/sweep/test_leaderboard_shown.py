from __future__ import annotations

from xml.etree import ElementTree

import pytest
from made_sweep import job, many, sweep

from mlframe.errors import UnknownNameError
from mlframe.sweep.leaderboard import build
from mlframe.sweep.shown import charts, render_html, render_text


class Kept:
    """The two methods of the store that the command asks."""

    def __init__(self, sweeps, jobs):
        self.sweeps, self.jobs = sweeps, jobs

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None

    def sweep(self, text):
        found = self.sweeps[-1:] if text == "last" else [item for item in self.sweeps if item["id"].startswith(text)]
        if len(found) != 1:
            raise UnknownNameError.from_name("sweep", text, [item["id"] for item in self.sweeps], where="command line")
        return found[0]

    def sweep_jobs(self, sweep_id):
        return self.jobs[sweep_id]


@pytest.fixture
def kept(monkeypatch):
    def keep(jobs, **changes):
        record = sweep(**changes)
        store = Kept([record], {record["id"]: jobs})
        monkeypatch.setattr("mlframe.door.Door.open_store", lambda door: store)

    return keep


def test_the_terminal_shows_order_ties_costs_and_the_command():
    board = build(sweep(), many())
    text = render_text(board)
    lines = text.splitlines()
    first = next(line for line in lines if line.lstrip().startswith("1 ★"))
    for words in (board.rows[0].label, f"{board.rows[0].mean:.4f}", "ms", " s "):
        assert words in first
    assert "20 of 40 are shown" in text
    assert f"proposed: trial {board.proposed.trial}" in text
    assert board.command(board.proposed) in text
    assert "40 candidates with a score, sweep finished" in text


def test_columns_that_no_candidate_fills_are_left_out():
    jobs = [{**item, "latency_ms": None, "size_bytes": None} for item in many(6)]
    text = render_text(build(sweep(), jobs))
    assert "latency" not in text
    assert "size" not in text
    assert "trained" in text


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (60, ["to the best"], ["std", "latency", " to 0."]),
        (100, ["latency"], ["std", " to 0."]),
        (150, ["std", " to 0."], []),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns(width, there, gone, monkeypatch):
    """Numbers stay whole; only the candidate's words fold."""
    monkeypatch.setattr("mlframe.commands.shown.terminal_width", lambda: width)
    board = build(sweep(), many(6))
    table = render_text(board).partition("★ best")[0]
    assert max(len(line) for line in table.splitlines()) <= width
    assert all(word in table for word in there)
    assert not any(word in table for word in gone)
    assert all(f"{row.mean:.4f}" in table for row in board.rows)


def test_the_page_is_self_contained_and_escaped():
    jobs = many()
    jobs[3] = job(3, {"model": "<script>alert(1)</script>"}, None, error="ValueError: <b>no</b>")
    jobs[4] = job(4, {"model": "<img src=x>"}, [0.9, 0.91, 0.92, 0.9, 0.91])
    board = build(sweep(name="<i>churn</i>", closing={"run": "r1", "version": "churn/3"}), jobs)
    page = render_html(board, charts(board))
    for word in ("<script", "<img", "<b>", "<i>", "http://", "https://", "url("):
        assert word not in page.replace('xmlns="http://www.w3.org/2000/svg"', ""), word
    assert "ValueError: &lt;b&gt;no" in page
    assert "Trained for good in run r1, registered as churn/3" in page
    assert page.count("<svg") == 3
    assert page.count("<tr") == len(board.rows) + 1
    assert "→ proposed" in page


def test_the_command_shows_the_board_and_writes_the_page(kept, run_cli, tmp_path):
    kept(many(8))
    done = run_cli("leaderboard", "last", "--html", str(tmp_path / "board.html"))
    assert (done.code, done.err) == (0, "")
    assert "1 ★" in done.out
    page = (tmp_path / "board.html").read_text(encoding="utf-8")
    assert "<h2>Candidates</h2>" in page
    assert run_cli("leaderboard", "sweep-2026").out in done.out


def test_an_unknown_sweep(kept, run_cli):
    kept(many(3))
    done = run_cli("leaderboard", "sweep-20261124-225502-1f")
    assert done.code == 2
    assert "did you mean 'sweep-20261124-225501-1f'" in done.err
    assert "Traceback" not in done.err


def test_a_page_that_cannot_be_written(kept, run_cli):
    kept(many(3))
    done = run_cli("leaderboard", "last", "--html", "nowhere/board.html")
    assert done.code == 2
    assert "nowhere/board.html" in done.err
    assert "--html" in done.err


def test_a_sweep_without_a_score_lists_its_failures(kept, run_cli):
    kept([job(0, {"model": "svm"}, None, error="ValueError: it broke\n  do:    mend it")], status="failed")
    done = run_cli("leaderboard", "last", "--html", "board.html")
    assert done.code == 0
    assert "no candidate has a score (1 failed, sweep failed)" in done.out
    assert "FAILED: job 0: model=svm" in done.out
    assert "    do:    mend it" in done.out
    assert "proposed" not in done.out


@pytest.mark.parametrize("cost", ["latency_ms", "fit_seconds"])
def test_pictures_take_the_cost_that_is_known(cost):
    jobs = many(6) if cost == "latency_ms" else [{**item, "latency_ms": None} for item in many(6)]
    drawn = charts(build(sweep(), jobs))
    assert [item.name for item in drawn] == ["pareto", "history", "parallel"]
    assert ("milliseconds" if cost == "latency_ms" else "seconds of training") in drawn[0].title
    for item in drawn:
        ElementTree.fromstring(item.svg)
