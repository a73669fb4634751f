"""The tasks scope and assess, and the leakage checks of every training run, through the command line."""

from __future__ import annotations

import random
import re
from datetime import date, timedelta
from typing import Any

import pytest
from workbench import FAST, Bench, make_csv, refused

TRAIN = ("data=csv", "data.source.path=my.csv", "data.columns.bought.role=target", *FAST, "model=linear")
ASSESS = (
    "assess",
    "data=csv",
    "data.source.path=my.csv",
    "data.columns.bought.role=target",
    "goal.task=binary",
    "splitter=holdout",
    "trackers=[]",
    "task.steps.assess.models.booster.n_estimators=10",
)


def with_boat(rows: int = 300) -> str:
    """Return the table with a column that is filled in for those who bought."""
    lines = make_csv(rows).splitlines()
    draw = random.Random(1)
    boats = [str(draw.randint(1, 9)) if line.endswith("yes") ^ (draw.random() < 0.03) else "" for line in lines[1:]]
    return (
        "\n".join([f"boat,{lines[0]}", *(f"{boat},{line}" for boat, line in zip(boats, lines[1:], strict=True))]) + "\n"
    )


def page_of(bench: Bench, name: str) -> str:
    (run, *_) = bench.runs()
    return (bench.home / "runs" / run["id"] / name).read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------ leaks in training


def test_a_leak_is_told_and_the_gate_says_no(bench: Bench):
    bench.write(with_boat())
    result = bench(*TRAIN, "gate.strict=true")
    assert result.code == 3, result.out + result.err
    assert "problem: whether 'boat' is filled in tells the class: ROC AUC 0.9" in result.out
    assert "'assess.accept=[presence:boat]'" in result.out
    assert "no leak" in result.out
    assert "NOT met" in result.out
    (run,) = bench.runs()
    (check,) = (check for check in run["summary"]["gate"]["checks"] if check["name"] == "no leak")
    assert check["passed"] is False


@pytest.mark.parametrize(
    "line", ["assess.accept=[presence:boat]", "assess.accept=[presence]", "data.columns.boat.role=ignore"]
)
def test_a_leak_is_accepted_or_mended_by_the_line_that_is_printed(bench: Bench, line: str):
    bench.write(with_boat())
    result = bench(*TRAIN, "gate.strict=true", line)
    assert result.code == 0, result.out + result.err
    assert "problem:" not in result.out
    assert "found nothing that is not accepted" in result.out


def test_a_whole_list_is_printed_so_that_nothing_accepted_is_lost(bench: Bench):
    bench.write(with_boat())
    result = bench(*TRAIN, "assess.accept=[order]")
    assert "'assess.accept=[order,presence:boat]'" in result.out
    assert "assess.accept names 'order', which was not found" in result.out


def test_an_unknown_check_is_refused(bench: Bench):
    refused(bench(*TRAIN, "assess.accept=[presense:boat]"), "no leakage check 'presense'", "did you mean 'presence'")


def test_without_the_step_nobody_asks(bench: Bench):
    bench.write(with_boat())
    result = bench(*TRAIN, "~task.steps.assess", "gate.strict=true")
    assert result.code == 0, result.out + result.err
    assert "no leak" not in result.out


def test_honest_data_passes_and_the_second_run_remembers(bench: Bench):
    bench.write(make_csv(300))
    for _ in range(2):
        result = bench(*TRAIN, "gate.strict=true")
        assert result.code == 0, result.out + result.err
        assert "found nothing that is not accepted" in result.out


# ------------------------------------------------------------------------------------------------ assess


def test_an_assessment_is_printed_and_kept_as_a_page(bench: Bench):
    bench.write(make_csv(600))
    goal = ("goal.targets.roc_auc=0.6", "goal.value={tp: 10, fp: -1}", "goal.currency=EUR", "goal.baseline=0.55")
    result = bench(*ASSESS, *goal)
    assert result.code == 0, result.out + result.err
    for words in ("usual answer", "one question", "age at most", "linear", "tree", "booster", "doubtful labels"):
        assert words in result.out
    for words in ("smallest effect", "EUR with the model", "verdict", "something can be learned"):
        assert words in " ".join(result.out.split())
    page = page_of(bench, "assessment.html")
    for words in ("Can it work?", "What more rows would bring", "Doubtful labels", "one question", "<svg"):
        assert words in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_same_assessment_again_is_remembered(bench: Bench):
    bench.write(make_csv(300))
    first, again = (bench(*ASSESS, "task.steps.assess.parts=[leaks,baselines]") for _ in range(2))
    assert first.code == again.code == 0, first.err + again.err

    def table(out: str) -> list[str]:
        kept = ("leaks", "usual", "linear", "tree", "booster", "verdict")
        return [line.strip() for line in out.splitlines() if line.strip().startswith(kept)]

    assert table(first.out) == table(again.out) != []
    assert "Can it work?" in page_of(bench, "assessment.html")


CURVE = (
    *ASSESS, "task.steps.assess.parts=[curve]", "task.steps.assess.curve=linear", "splitter.holdout=0",
    "splitter.folds=3",
)  # fmt: skip
"""The learning curve alone; it begins with 50 rows or more."""


def test_the_learning_curve_takes_whole_groups(bench: Bench):
    draw = random.Random(1)
    lines = [f"{group},{draw.randint(0, 99)}" for group in range(27) for _ in range(13)]
    rows = "".join(
        f"{line},{'yes' if int(line.partition(',')[2]) + draw.randint(-20, 20) > 50 else 'no'}\n" for line in lines
    )
    bench.write("team,age,bought\n" + rows)
    result = bench(*CURVE, "splitter=group", "data.columns.team.role=group")
    assert result.code == 0, result.out + result.err
    # Half and a quarter of 18 groups of 13 rows; a cut through groups would take 58 rows, not 52.
    assert re.search(
        r"Measured: 0\.\d+ with 52 rows, 0\.\d+ with 117 rows, 0\.\d+ with 234 rows", page_of(bench, "assessment.html")
    )


def test_the_learning_curve_takes_the_latest_rows(bench: Bench):
    draw = random.Random(1)
    days = [date(2024, 1, 1) + timedelta(days=at) for at in range(460)]
    ages = [draw.randint(0, 99) for _ in days]
    # What the age says turned around after 120 of the 230 days that are learned from.
    says = ["yes" if (age > 50) ^ (at < 120) else "no" for at, age in enumerate(ages)]
    bench.write("day,age,bought\n" + "".join(f"{d},{a},{s}\n" for d, a, s in zip(days, ages, says, strict=True)))
    result = bench(
        *CURVE, "splitter=time", "splitter.folds=1", "data.columns.day.role=time", "data.source.times.day='%Y-%m-%d'"
    )
    assert result.code == 0, result.out + result.err
    found = re.search(
        r"Measured: (\S+) with 57 rows, (\S+) with 115 rows, (\S+) with 230 rows", page_of(bench, "assessment.html")
    )
    assert found
    assert float(found[1]) > 0.99  # rows drawn at random would say the contrary, or nothing
    assert float(found[3]) < 0.9


def test_a_target_out_of_reach_is_a_no(bench: Bench):
    draw = random.Random(0)
    rows = "".join(f"{draw.random()},{draw.choice(['yes', 'no'])}\n" for _ in range(400))
    bench.write("x,bought\n" + rows)
    result = bench(*ASSESS, "goal.targets.roc_auc=0.99")
    assert result.code == 0, result.out + result.err
    assert "no-go: " in result.out


def test_numbers_are_assessed(bench: Bench):
    draw = random.Random(0)
    lines = [(draw.random(), draw.random()) for _ in range(400)]
    bench.write("x,z,y\n" + "".join(f"{x},{z},{3 * x + draw.gauss(0, 0.3)}\n" for x, z in lines))
    result = bench(
        *ASSESS[:3],
        "data.columns.y.role=target",
        "splitter=kfold",
        "splitter.folds=3",
        *ASSESS[6:],
        "goal.value.error=2",
    )
    assert result.code == 0, result.out + result.err
    assert "one question: x at most" in result.out
    assert "by always saying the median" in " ".join(result.out.split())


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("task.steps.assess.parts=[leeks]", ("no part 'leeks'", "did you mean 'leaks'")),
        ("task.steps.assess.curve=forest", ("no model 'forest'", "booster, linear, tree")),
        ("task.steps.assess.sizes=1", ("sizes must be 2 or more",)),
        ("+task.steps.assess.models.linear.depth=3", ("no parameter 'depth'", "task.steps.assess.models.linear")),
        ("task.steps.assess.models.linear.name=linaer", ("There is no model 'linaer'", "did you mean 'linear'")),
        ("goal.targets.rmse=3", ("no figure for binary 'rmse'",)),
    ],
)
def test_options_are_checked(bench: Bench, override: str, words: tuple[str, ...]):
    refused(bench(*ASSESS, override), *words)


# ------------------------------------------------------------------------------------------------ scope


def test_the_scope_names_what_is_open(bench: Bench):
    result = bench("scope", "data=email", "trackers=[]")
    assert result.code == 0, result.out + result.err
    assert "Keep spam out of the inbox" in result.out
    assert "goal.deadline: there is no day by which it must work" in result.out
    page = page_of(bench, "scope.html")
    assert "What is open" in page
    assert "postmaster" in page
    assert 'name="viewport"' in page


def test_the_scope_reads_no_rows(bench: Bench):
    whole = (
        "goal.problem=Customers leave", "goal.pain_points=[Calls are wasted]", "goal.stakeholders=[sales]",
        "goal.owner=head of sales", "goal.systems=[the database]", "goal.process=Call everybody",
        "goal.process_cost=120000", "goal.volume=50000", "goal.integration=A list every Monday", "goal.metric=roc_auc",
        "goal.targets.roc_auc=0.8", "goal.baseline=0.7", "goal.value={tp: 80, fp: -10}", "goal.currency=EUR",
        "goal.deadline=2999-12-31", "goal.review=2999-12-31",
    )  # fmt: skip
    result = bench("scope", "data=csv", "data.source.path=absent.csv", "trackers=[]", *whole)
    assert result.code == 0, result.out + result.err
    assert "5 of 5 criteria are met" in result.out


def test_a_scope_without_a_goal_is_refused(bench: Bench):
    refused(bench("scope", "trackers=[]"), "No data is picked", "the goal comes with the data")


def test_secrets_stay_out_of_the_page(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OWNER_NAME", "hidden-name")
    result = bench("scope", "data=email", "goal.owner=${oc.env:OWNER_NAME}", "trackers=[]")
    assert result.code == 0, result.out + result.err
    assert "hidden-name" not in page_of(bench, "scope.html")


# ------------------------------------------------------------------------------------------------ money at the gate


def test_the_gate_counts_the_money_and_asks_for_more_than_today(bench: Bench):
    bench.write(make_csv(300))
    result = bench(
        *TRAIN, "goal.value={tp: 10, fp: -1}", "goal.currency=EUR", "goal.volume=5000", "goal.baseline=0.999"
    )
    assert result.code == 0, result.out + result.err
    (run,) = bench.runs()
    gate = run["summary"]["gate"]
    value = gate["value"]
    assert value["currency"] == "EUR"
    assert value["per_1000"]["low"] <= value["per_1000"]["value"] <= value["per_1000"]["high"]
    assert value["nothing"]["value"] == 0
    assert value["all"]["value"] > 0
    assert value["per_year"] == pytest.approx(5 * value["gain"]["value"])
    assert value["text"] in " ".join(result.out.split())
    (check,) = (check for check in gate["checks"] if check["name"] == "better than today")
    assert check["passed"] is False
    assert "goal.baseline is 0.999" in check["evidence"]


def worth_of(bench: Bench) -> dict[str, Any]:
    (check,) = (check for check in bench.runs()[0]["summary"]["gate"]["checks"] if check["name"] == "worth")
    return check


def test_a_sure_loss_is_a_no_and_a_doubtful_one_a_warning(bench: Bench):
    bench.write(make_csv(300))
    # A missed buyer costs a hundred times what a call does: calling all beats calling those who are likelier to buy.
    sure = bench(*TRAIN, "goal.value={fn: -100, fp: -1}", "gate.strict=true")
    assert sure.code == 3, sure.out + sure.err
    check = worth_of(bench)
    assert check["passed"] is False
    assert "over acting on all: the whole 95 % interval is a loss" in check["evidence"]
    words = " ".join(sure.out.split())
    assert "worth NOT met: holdout: 1,000 rows gain -" in words
    assert "fit.threshold=value acts where it pays" in words
    assert bench("promote", "csv/1").code == 2
    # The guess calls nobody, exactly as doing nothing does.
    doubtful = bench(*TRAIN, "model=dummy", "goal.value={tp: 1, fp: -5}", "gate.strict=true")
    assert doubtful.code == 0, doubtful.out + doubtful.err
    assert worth_of(bench)["passed"] is None
    words = " ".join(doubtful.out.split())
    assert "worth not judged" in words
    assert "the same as doing nothing, so nothing is gained and nothing lost" in words
    assert "warning: no row of the holdout is called 'yes'; probabilities of it are" in words
    assert "fit.threshold=" not in words, "who picked another threshold is not told of this one"
    careful = bench(*TRAIN, "model=dummy", "goal.value={tp: 1, fp: -5}", "fit.threshold=value", "splitter=stratified")
    assert "it pays to act from 0.8333 on: fit.threshold=0.8333" in " ".join(careful.out.split())
    paying = bench(*TRAIN, "goal.value={tp: 10, fp: -10}", "gate.strict=true")
    assert paying.code == 0, paying.out + paying.err
    assert worth_of(bench)["passed"] is True
    assert "warning" not in worth_of(bench)["evidence"]


def test_values_that_err_more_than_the_median_are_a_sure_loss(bench: Bench):
    draw = random.Random(3)
    rows = "".join(f"{draw.randint(18, 80)},{draw.random() ** 12 * 1000}\n" for _ in range(400))
    bench.write("age,bought\n" + rows)
    # The mean of a skewed target errs more than its median.
    result = bench(*TRAIN, "goal.value.error=1", "model=dummy", "gate.strict=true")
    assert result.code == 3, result.out + result.err
    assert "over always saying the median: the whole 95 % interval is a loss" in worth_of(bench)["evidence"]
    assert "fit.threshold" not in result.out  # values have no threshold


def test_folds_larger_than_a_class_are_refused(bench: Bench):
    rows = "".join(f"{20 + at},{'yes' if at < 4 else 'no'}\n" for at in range(60))
    bench.write("age,bought\n" + rows)
    refused(bench(*TRAIN, "splitter=stratified", "splitter.folds=6"), "Class 'yes' has 4 rows", "splitter.folds=3")
    refused(bench(*TRAIN, "splitter=stratified", "splitter.repeats=0"), "splitter.repeats must be 1 or more")
