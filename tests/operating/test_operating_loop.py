"""`operate` and `update` as real processes: who acts, what fails, what is kept out, trials, and good ends."""

from __future__ import annotations

import json
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from operating_place import NAME, QUICK, WORDS, Place, end, log_rows, table

NEW = ("update.triggers={new_data: {rows: 100}}",)
ONCE = ("operate", *WORDS, *QUICK, "update.once=true")


def wait(place: Place, kind: str, seconds: float = 240) -> None:
    limit = time.monotonic() + seconds
    while kind not in place.decisions():
        assert time.monotonic() < limit, place.decisions()
        time.sleep(0.3)


def next_holder(place: Place, before: str | None) -> str:
    """Wait until another process than the one before acts for the model."""
    for _ in range(600):
        with place.store() as store:
            found = store.operations.get(NAME)["holder"]
        if found not in (None, before):
            return str(found)
        time.sleep(0.2)
    raise AssertionError("nobody acts")


@pytest.mark.slow
def test_of_two_one_acts_and_the_other_takes_over(place: Place) -> None:
    first = place.start("operate", *WORDS, *QUICK, "model=linear", *NEW)
    acting = next_holder(place, None)
    second = place.start("operate", *WORDS, *QUICK, "model=linear", *NEW)
    wait(place, "promote")
    time.sleep(3)
    first.kill()  # without a word
    first.communicate()
    next_holder(place, acting)
    said = end(second)
    assert "another process operates small" in said
    assert "taking over small" in said
    assert second.returncode == 0, said
    assert place.decisions() == ["trigger", "promote"]
    assert place.moves() == [("promote", f"{NAME}/1", f"{NAME}/3")]


@pytest.mark.slow
def test_an_interrupt_in_the_middle_of_a_training_ends_all_and_the_next_start_goes_on(place: Place) -> None:
    process = place.start("operate", *WORDS, *QUICK, "model=linear", *NEW)
    limit = time.monotonic() + 240
    while (place.record().get("update") or {}).get("phase") != "cut":
        assert time.monotonic() < limit
        time.sleep(0.1)
    time.sleep(0.5)
    said = end(process, signal.SIGTERM)
    assert process.returncode == 0, said
    assert "ended; what was begun goes on with the next start" in said
    with place.store() as store:
        assert store.operations.get(NAME)["holder"] is None  # given back: nobody waits for the lease
    assert place.record()["pending"][0]["trigger"] == "new_data"
    place.cli(*ONCE, "model=linear", *NEW)
    assert place.decisions() == ["trigger", "promote"]


@pytest.mark.slow
def test_trainings_that_fail_wait_longer_each_time_raise_an_alarm_and_leave_the_champion(place: Place) -> None:
    failing = (*ONCE, "model=linear", *NEW, "update.timeout=0.5s", "update.backoff=1s")
    for number in (1, 2, 3):
        place.cli(*failing)
        assert place.record()["failures"] == number
        wanted = 1.0 * 2 ** (number - 1)
        with place.store() as store:
            alarms = store.alarms.many(NAME, status=["open"])
            last = store.decisions.many(NAME, kinds=["fail"])[0]
        assert [(row["key"], row["severity"]) for row in alarms] == [
            ("update/failed", "problem" if number == 3 else "warning")
        ]
        left = datetime.fromisoformat(last["record"]["until"]) - last["when"]
        assert wanted / 2 < left.total_seconds() <= wanted
        assert "it took longer than 0.5 s (update.timeout)" in last["record"]["text"]
        time.sleep(wanted)
    with place.store() as store:
        assert store.holder(NAME) == f"{NAME}/1"
    place.cli(*ONCE, "model=linear")  # no trigger fires now, yet the reason that was written down is not lost
    assert place.decisions()[-1] == "promote"
    with place.store() as store:
        assert store.alarms.many(NAME, status=["open"]) == []
        assert store.decisions.many(NAME)[0]["record"]["fired"][0]["trigger"] == "new_data"


@pytest.mark.slow
def test_a_training_over_its_memory_is_told_waits_and_leaves_the_champion(place: Place) -> None:
    greedy = (*ONCE, "model=linear", *NEW, "update.memory=60MB", "update.backoff=1h")
    place.cli(*greedy)
    assert place.decisions() == ["trigger", "fail"]
    with place.store() as store:
        last = store.decisions.many(NAME, kinds=["fail"])[0]
        (alarm,) = store.alarms.many(NAME, status=["open"])
        assert store.holder(NAME) == f"{NAME}/1"
    assert "it held more memory than 60 MB (update.memory)" in last["record"]["text"]
    assert datetime.fromisoformat(last["record"]["until"]) - last["when"] > timedelta(minutes=20)
    assert (alarm["key"], alarm["severity"]) == ("update/failed", "warning")
    place.cli(*greedy)  # its time has not come: nothing is tried
    assert place.decisions() == ["trigger", "fail"]


@pytest.mark.slow
def test_logged_rows_whose_truth_was_told_are_learned_from(place: Place) -> None:
    table(400).write_csv(place.folder / "rows.csv")  # nothing is new in the data
    words = ("model=linear", "update.rows=feedback", "update.triggers={labels: {count: 150}}", "goal.currency=EUR")
    words += ("resources.price_per_hour=36",)
    with place.store() as store:
        log_rows(store, f"{NAME}/1", 149, right=0.5, since=datetime.now(UTC), model=True)
    place.cli(*ONCE, *words)
    assert place.decisions() == [], "one label too few"
    with place.store() as store:
        log_rows(store, f"{NAME}/1", 51, right=0.5, since=datetime.now(UTC), seed=1, model=True)
    place.cli(*ONCE, *words)
    assert place.decisions() == ["trigger", "promote"]
    with place.store() as store:
        record = store.decisions.many(NAME, kinds=["promote"])[0]["record"]
    assert (record["rows"], record["new"]) == (600, 200)
    assert record["cost"] == pytest.approx(record["seconds"] / 100)
    assert record["currency"] == "EUR"


@pytest.mark.slow
def test_a_challenger_that_is_not_better_is_kept_out(place: Place) -> None:
    place.cli("promote", f"{NAME}/2", "--force")
    said = place.cli("update", *WORDS, "model=linear", "seed=1")
    assert "keep: small/2 stays, small/3 did not pass" in said
    assert place.moves() == []
    shown = json.loads(place.cli("decisions", NAME, "2", "--json"))
    check = next(check for check in shown["record"]["checks"] if check["name"] == "better than small/2")
    assert check["passed"] is False
    assert "on 200 holdout rows that are new to it" in check["evidence"]
    table = place.cli("decisions", NAME)
    assert "by_hand: asked for on the command line" in table
    assert "no decision '99'" in place.cli("decisions", NAME, "99", code=2)


@pytest.mark.slow
def test_a_challenger_passes_the_standard_tests_or_is_kept_out(place: Place) -> None:
    """The same update twice: with an expectation that no model can meet, and without."""
    words = ("update", *WORDS, "model=linear", *QUICK[:-1])
    place.cli(*words, "tests.size_mb=0.000001")
    assert place.decisions() == ["trigger", "keep"]
    with place.store() as store:
        kept = store.decisions.many(NAME)[0]["record"]
    assert "small/1 stays, small/3 fails standard tests" in kept["text"]
    assert kept["tests"]["passed"] is False
    place.cli(*words)
    assert place.decisions()[-1] == "promote"


@pytest.mark.slow
def test_every_so_many_updates_search_parameters_and_the_next_ones_keep_them(place: Place) -> None:
    words = ("update", *WORDS, *QUICK, "model=linear", "update.tune_every=2")
    tune = 'update.tune=["sweep=random","sweep.trials=2"]'
    place.cli(*words, tune)
    assert place.decisions() == ["trigger", "promote"]
    place.cli(*words, tune)
    with place.store() as store:
        found = store.decisions.many(NAME)[0]["record"]["tuned"]
    assert any(word.startswith("model.classification.C=") for word in found)
    said = place.cli(*words, tune)
    assert found[0] in said


def test_nobody_rolls_back_what_is_as_good_as_before(place: Place) -> None:
    """The rollback's twin, with its cause removed."""
    with place.store() as store:
        store.promote(f"{NAME}/2", who="a person", why="it looks good", evidence={})
        now = datetime.now(UTC)
        log_rows(store, f"{NAME}/1", 300, right=0.9, since=now - timedelta(seconds=30))
        log_rows(store, f"{NAME}/2", 300, right=0.9, since=now + timedelta(milliseconds=1), seed=1)
    place.cli(*ONCE, "update.triggers={}", "update.watch=1h", "goal.metric=accuracy")
    assert place.moves() == []
    assert place.decisions() == []


@pytest.mark.slow
def test_a_challenger_on_trial_is_promoted_or_dropped(place: Place) -> None:
    words = ("model=linear", *NEW, "update.after=shadow", "update.trial=1s", "goal.metric=accuracy")
    place.cli(*ONCE, *words)
    assert place.decisions() == ["trigger", "shadow"]
    with place.store() as store:
        assert store.holder(NAME) == f"{NAME}/1"
        assert store.holder(NAME, "challenger") == f"{NAME}/3"
        log_rows(store, f"{NAME}/1", 150, right=0.7, since=datetime.now(UTC))
        log_rows(store, f"{NAME}/3", 150, right=0.9, since=datetime.now(UTC), role="shadow")
    assert "on trial" in place.cli("update", *WORDS, *words, code=2)
    time.sleep(1)
    place.cli(*ONCE, *words, "update.triggers={}")
    assert place.decisions() == ["trigger", "shadow", "promote"]
    assert place.moves() == [("promote", f"{NAME}/1", f"{NAME}/3")]


@pytest.mark.slow
def test_a_challenger_that_no_server_knew_is_dropped(place: Place) -> None:
    words = ("model=linear", "update.after=canary", "update.trial=1s")
    place.cli(*ONCE, *words, *NEW)
    time.sleep(1)
    place.cli(*ONCE, *words, "update.triggers={}")
    assert place.decisions() == ["trigger", "canary", "keep"]
    with place.store() as store:
        text = store.decisions.many(NAME)[0]["record"]["text"]
        assert "0 of its predictions are in the log; start the server with deployer.canary.version=challenger" in text
        assert store.holder(NAME) == store.holder(NAME, "challenger") == f"{NAME}/1"


def test_no_champion_no_update(place: Place) -> None:
    said = place.cli("update", *WORDS[:-5], "name=other", *WORDS[-4:], code=2)
    assert "'other' has no champion to compare with" in said
    said = place.cli(*ONCE, "name=other")
    assert "other has no champion: train one and promote it" in said
    with place.store() as store:
        assert [row["key"] for row in store.alarms.many("other")] == ["champion/gone"]


@pytest.mark.slow
def test_a_person_who_promotes_meanwhile_is_not_overruled(place: Place) -> None:
    """The decision was about another champion: it is not acted upon, and its reason stays."""
    code, output = place.dying(
        "operate", 5, "model=linear", *NEW, "update.once=true", "update.lease=1s"
    )  # decided, and not yet acted
    assert code == -signal.SIGKILL, output
    while (place.record()["update"] or {}).get("phase") != "decided":
        time.sleep(1)
        code, output = place.dying("operate", 1, "model=linear", *NEW, "update.once=true", "update.lease=1s")
    place.cli("promote", f"{NAME}/2", "--force")
    time.sleep(1)
    place.cli(*ONCE, "update.triggers={}", "model=linear", "update.backoff=1h", "update.poll=1s")
    assert place.decisions()[:2] == ["trigger", "overtaken"]
    with place.store() as store:
        assert store.holder(NAME) == f"{NAME}/2"
    assert place.moves() == []
