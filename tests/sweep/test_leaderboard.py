from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from made_sweep import job, many, sweep

from mlframe.stats import corrected_mean
from mlframe.sweep.leaderboard import build
from mlframe.sweep.shown import frame

GOOD = [0.80, 0.82, 0.81, 0.83, 0.79]


def shifted(by: float, wobble: float = 0.001) -> list[float]:
    return [score + by + wobble * (-1) ** i for i, score in enumerate(GOOD)]


def two(second: list[float], **costs) -> list[dict]:
    first = job(0, {"model": "lgbm"}, GOOD, latency_ms=3.0, fit_seconds=5.0, size_bytes=900)
    return [first, job(1, {"model": "linear"}, second, **costs)]


def test_best_first_in_either_direction():
    jobs = many(12)
    losses = [{**item, "metric": "log_loss", "better": "lower"} for item in jobs]
    higher, lower = build(sweep(), jobs), build(sweep(), losses)
    assert [row.trial for row in higher.rows] == [row.trial for row in lower.rows][::-1]
    means = [row.mean for row in higher.rows]
    assert means == sorted(means, reverse=True)
    assert [row.rank for row in higher.rows] == list(range(1, 13))


def test_a_trial_that_lost_a_seed_is_no_candidate():
    for status in ("pruned", "failed", "killed"):
        jobs = two(shifted(0.1), repeat=1)
        jobs.append(job(2, {"model": "linear"}, None, trial=1, status=status))
        assert [row.trial for row in build(sweep(), jobs).rows] == [0], status


def test_scores_of_other_figures_are_not_ranked_with_the_first():
    jobs = two([9.0, 9.1, 9.2, 9.3, 9.4], metric="rmse", better="lower")
    board = build(sweep(), jobs)
    assert [row.trial for row in board.rows] == [0]
    assert "scored by rmse, and the others by roc_auc" in board.failed[0].error


def test_repeats_of_a_trial_are_one_candidate():
    jobs = many(4, repeats=3)
    board = build(sweep(), jobs)
    assert len(board.rows) == 4
    row = next(row for row in board.rows if row.trial == 2)
    of_it = [item for item in jobs if item["trial"] == 2]
    assert row.mean == pytest.approx(np.mean([item["score"] for item in of_it]))
    assert row.std == pytest.approx(np.std([score for item in of_it for score in item["per_fold"]], ddof=1))
    assert row.runs == tuple(item["run"] for item in of_it)
    every = corrected_mean([score for item in of_it for score in item["per_fold"]], 0.2)
    assert (row.low, row.high) == pytest.approx((every.low, every.high))


def test_repeats_on_the_same_cut_bring_no_new_folds():
    """Seeds that leave the folds alone judge the same rows again; they must not pass for more evidence."""
    plain = [job(t, {"model": m}, s) for t, m, s in ((0, "lgbm", GOOD), (1, "linear", shifted(-0.004, 0.003)))]
    copies = [
        {**item, "repeat": r, "number": 2 * r + item["number"], "split": "cut"} for r in range(4) for item in plain
    ]
    once, again = build(sweep(), plain).rows[1], build(sweep(), copies).rows[1]
    assert (again.low, again.high, again.p_value) == pytest.approx((once.low, once.high, once.p_value))


def test_the_quickest_of_a_tie_is_proposed():
    board = build(sweep(), two(shifted(-0.0005), latency_ms=0.5, fit_seconds=9.0, size_bytes=5000))
    assert board.rows[1].tied
    assert board.rows[1].sign == "≈"
    assert board.proposed == board.rows[1]
    assert "tied with the best, trial 0 (-0.0003" in board.reason
    assert "0.5 ms instead of 3 ms" in board.reason


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ({"latency_ms": 2.9, "fit_seconds": 1.0, "size_bytes": 5000}, "trains in 1 s instead of 5 s"),
        ({"latency_ms": 2.9, "fit_seconds": 5.2, "size_bytes": 100}, "takes 100 B instead of 900 B"),
        ({"latency_ms": None, "fit_seconds": 1.0}, "trains in 1 s instead of 5 s"),
    ],
)
def test_costs_within_a_quarter_are_equal(costs, words):
    board = build(sweep(), two(shifted(-0.0005), **costs))
    assert board.proposed == board.rows[1]
    assert words in board.reason


def test_a_tie_that_saves_nothing_is_left_alone():
    board = build(sweep(), two(shifted(-0.0005), latency_ms=2.95, fit_seconds=5.0, size_bytes=900))
    assert board.proposed == board.rows[0]
    assert "1 other candidate comes within its standard error, and it is not cheaper" in board.reason


def test_times_that_only_the_clock_tells_apart_save_nothing():
    """The first job of a process also pays for loading its library; nobody should get a worse score for that."""
    jobs = two(shifted(-0.0005), latency_ms=2.1, fit_seconds=0.02, size_bytes=900)
    jobs[0] |= {"fit_seconds": 0.4}
    board = build(sweep(), jobs)
    assert board.rows[1].train_seconds * 10 < board.rows[0].train_seconds
    assert board.proposed == board.rows[0]


def test_a_worse_candidate_is_not_proposed_however_cheap():
    board = build(sweep(), two(shifted(-0.02), latency_ms=0.01))
    assert not board.rows[1].tied
    assert board.rows[1].sign == "✗"
    assert board.rows[1].difference_high < 0
    assert board.proposed == board.rows[0]


def test_many_candidates_make_worse_only_likely():
    """What one comparison calls worse may be luck among thirty; it is not proposed either."""
    jobs = two(shifted(-0.004, 0.001), latency_ms=0.01)
    assert build(sweep(), jobs).rows[1].sign == "✗"
    jobs += [job(i, {"model": "lgbm", "model.num_leaves": i}, shifted(-0.001, 0.005)) for i in range(2, 32)]
    board = build(sweep(), jobs)
    row = next(row for row in board.rows if row.trial == 1)
    assert (row.sign, row.tied) == ("↓", False)
    assert board.proposed != row


@pytest.mark.parametrize("share", [0.2, None])
def test_without_folds_to_compare_the_best_is_proposed(share):
    scores = ([0.8], [0.79]) if share else (GOOD, shifted(-0.0001))
    jobs = [job(i, {"model": f"m{i}"}, s, test_share=share, latency_ms=2.0 - i) for i, s in enumerate(scores)]
    board = build(sweep(), jobs)
    assert [row.sign for row in board.rows] == ["★", "?"]
    assert (board.rows[0].low, board.rows[1].tied) == (None, False)
    assert board.proposed == board.rows[0]
    assert "so few folds" in board.reason


def test_candidates_on_different_cuts_are_not_compared():
    jobs = [job(0, {"splitter": "kfold"}, GOOD, split="a"), job(1, {"splitter": "time"}, shifted(-0.001), split="b")]
    row = build(sweep(), jobs).rows[1]
    assert (row.sign, row.difference, row.p_value) == ("?", None, None)


def test_failures_and_the_rest_are_counted():
    jobs = [
        *many(3),
        job(3, {"model": "svm"}, None),
        job(4, {"model": "svm"}, None, status="killed", error="LimitError: the job passed 60 s"),
        job(5, {"model": "svm"}, None, status="finished", score=float("nan"), error=None),
        job(6, {"model": "svm"}, None, status="pruned", error=None),
        job(7, {"model": "svm"}, None, status="running", error=None),
        job(8, {"model": "svm"}, None, status="waiting", error=None),
    ]
    board = build(sweep(status="running"), jobs)
    assert [item.number for item in board.failed] == [3, 4, 5]
    assert board.failed[2].error == "it gave no score"
    assert (len(board.rows), board.pruned, board.unfinished) == (3, 1, 2)


def test_without_a_score_nothing_is_proposed():
    board = build(sweep(status="failed"), [job(0, {"model": "svm"}, None)])
    assert (board.rows, board.proposed) == ((), None)
    assert frame(board).height == 0
    assert build(sweep(), []).failed == ()


def test_labels_name_what_varied_only():
    jobs = [
        job(0, {"model": "lgbm", "data": "churn", "model.depth": 3, "fit.depth": 1, "model.rate": 0.123456}, GOOD),
        job(1, {"model": "linear", "data": "churn"}, shifted(-0.01)),
    ]
    board = build(sweep(), jobs)
    assert board.varied == ("model", "model.depth", "fit.depth", "model.rate")
    assert board.rows[0].label == "lgbm, model.depth=3, fit.depth=1, rate=0.1235"
    assert board.rows[1].label == "linear"
    assert build(sweep(), jobs[:1]).rows[0].label == "as configured"


def test_the_command_trains_the_candidate_and_sweeps_no_more():
    command = ["-m", "model=lgbm,linear", "data=churn", "goal.problem='who, and why'", "sweep=bayes", "sweep.trials=4"]
    command += ["model.num_leaves=choice(7,15)", "hydra.verbose=true"]
    jobs = [job(0, {"model": "linear"}, GOOD, overrides=["model=linear", "sweep=bayes", "+note=x"])]
    board = build(sweep(command=command), jobs)
    wanted = "python -m mlframe data=churn 'goal.problem='\"'\"'who, and why'\"'\"'' model=linear +note=x"
    assert board.command(board.rows[0]) == wanted


def test_the_frame_has_a_row_a_candidate_and_the_swept_values():
    board = build(sweep(), many(12))
    made = frame(board)
    assert made.height == 12
    assert made["model"].dtype == pl.String
    assert made["model.num_leaves"].dtype == pl.Float64
    assert made["model.num_leaves"].null_count() == sum("model.num_leaves" not in row.values for row in board.rows)
    assert made.filter("proposed")["trial"].to_list() == [board.proposed.trial]
