"""The task `monitor` through the command line: windows, labels, alarms, telling people; every alarm with a twin that has none."""

from __future__ import annotations

import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import warm
from monitored import DATA, DAY, MIDNIGHT, NOW, PLAIN, Monitored, day, lines

FILE = "notifiers.log.file=told.jsonl"


@pytest.fixture
def place(trained_version, run_cli) -> Monitored:
    folder = Path.cwd()
    made = trained_version.folder.parent
    shutil.copytree(made / ".mlframe", folder / ".mlframe")
    shutil.copy(made / "rows.csv", folder)
    pipeline = trained_version.opener()
    from mlframe.pipeline.inputs import conform
    from mlframe.steps.ingest import number_rows

    rows = conform(number_rows(pl.read_csv(folder / "rows.csv")), pipeline.columns, "rows.csv")
    return Monitored(run_cli, folder, rows.select(pipeline.inputs).hstack(pipeline.predict(rows)))


def half_missing(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(pl.when(pl.int_range(pl.len()) % 2 == 0).then(pl.col("amount")))


def newest_page() -> str:
    return max(Path(".mlframe/runs").glob("*/monitor.html"), key=lambda file: file.stat().st_mtime_ns).read_text()


# ------------------------------------------------------------------------------------------------ windows


def test_days_are_looked_at_once_and_again_when_rows_come_late(place):
    for number in (4, 3, 2):
        place.predict(day(number))
    out = place.monitor().out
    assert "3 windows looked at, 180 predictions" in out
    found = place.windows()
    assert [(row["since"], row["until"], row["rows"]) for row in found] == [
        (MIDNIGHT - n * DAY, MIDNIGHT - (n - 1) * DAY, 60) for n in (4, 3, 2)
    ]
    assert "nothing new: 3 windows known already" in place.monitor().out
    place.predict(day(3, hour=2), 15)  # an event that came out of order
    assert "1 window looked at, 75 predictions; 2 known already" in place.monitor().out
    assert [row["rows"] for row in place.windows()] == [60, 75, 60]
    assert "3 windows looked at" in place.monitor("cache=refresh").out


def test_a_window_that_goes_on_is_looked_at_again_and_stays_one(place):
    place.predict(datetime.now(UTC) - timedelta(seconds=100), 20)
    assert "goes on" in place.monitor("monitor.window=2d").out
    place.monitor("monitor.window=2d")
    (row,) = place.windows()
    assert row["record"]["partial"]


def test_windows_of_rows_continue_where_they_ended(place):
    place.predict(day(5), 100)
    out = place.monitor("monitor.window=40").out
    assert "2 windows looked at, 80 predictions" in out
    place.predict(day(4), 100)
    assert "3 windows looked at, 120 predictions; 2 known" in place.monitor("monitor.window=40").out
    found = place.windows()
    assert [row["rows"] for row in found] == [40] * 5
    assert all(before["until"] == after["since"] for before, after in pairwise(found))


def test_a_request_is_never_cut_in_two(place):
    import mlframe.operating.windows as windows

    moments = [day(3)] * 7 + [day(3) + timedelta(seconds=1)] * 7
    frame = pl.LazyFrame({"time": moments, "version": ["v"] * 14, "role": ["champion"] * 14}).cast(
        {"time": pl.Datetime("us", "UTC")}
    )
    spans, late = windows.cut(frame, 5, now=NOW)
    assert [dict(span.rows) for span in spans] == [{"v": 7}, {"v": 7}]
    assert late == 0


def test_since_and_until_look_at_whole_windows(place):
    for number in (6, 5, 4, 3):
        place.predict(day(number))
    since, until = (f"{day(n):%Y-%m-%dT%H:%M}" for n in (5, 4))
    assert (
        "2 windows looked at, 120 predictions" in place.monitor(f"monitor.since={since}", f"monitor.until={until}").out
    )


def test_new_labels_make_a_window_due_and_no_others(place):
    early, late = place.predict(day(4)), place.predict(day(3))
    place.monitor()
    place.tell(late[:30], datetime.now(UTC))
    assert "1 window looked at, 60 predictions; 1 known" in place.monitor().out
    assert [row["record"]["why"] for row in place.windows()] == ["new", "new labels"]
    assert early


def test_a_window_is_looked_at_once_more_when_its_labels_are_due(place, monkeypatch):
    place.predict(day(4))
    place.monitor("monitor.maturity=30d")
    assert "nothing new" in place.monitor("monitor.maturity=30d").out
    assert "1 window looked at" in place.monitor("monitor.maturity=1d").out
    assert "nothing new" in place.monitor("monitor.maturity=1d").out


def test_versions_of_one_window_are_looked_at_each_for_itself(place):
    place.predict(day(3, 8), 30)
    with place.store() as store:
        one = store.version("made/1")
        store.register("made", store.open_bundle("made/1"), run_id="x", figures=one["figures"], facts=one["facts"])
    place.predict(day(3, 12), 20, version="made/2")
    place.predict(day(3, 13), 10, version="made/2", role="shadow")
    place.monitor()
    found = {row["version"]: row for row in place.windows()}
    assert {version: row["rows"] for version, row in found.items()} == {"made/1": 30, "made/2": 20}
    assert {row["record"]["others"] for row in found.values()} == {10}


def test_a_column_that_has_another_type_in_another_version_is_read(place):
    place.predict(day(3, 8), 40)
    place.predict(
        day(3, 12),
        40,
        version="made/1",
        role="shadow",
        change=lambda f: f.with_columns(pl.col("amount").cast(pl.String)),
    )
    place.predict(day(2), 40, change=lambda f: f.drop("visits"))
    place.monitor()
    assert [row["rows"] for row in place.windows()] == [40, 40]
    assert "quality/rule" not in " ".join(place.alarm_keys())


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_rows_of_a_file_are_scored(place, suffix):
    frame = pl.read_csv("rows.csv").drop("label").head(50)
    {"csv": frame.write_csv, "parquet": frame.write_parquet, "json": frame.write_json}[suffix](f"new.{suffix}")
    assert "1 window looked at, 50 predictions" in place.monitor(f"input=new.{suffix}").out
    (row,) = place.windows(f"input=new.{suffix}")
    assert row["record"]["source"] == f"input=new.{suffix}"
    assert place.windows() == [], "nothing was logged"


def test_a_file_without_the_model_s_columns_is_named(place):
    pl.read_csv("rows.csv").select("label").head(3).write_csv("few.csv")
    refused = place.monitor("input=few.csv", code=2).err
    assert "column 'visits' is missing" in refused
    assert "from:  input=few.csv" in refused


def test_an_exported_log_gives_what_the_log_gives(place):
    place.predict(day(3), change=half_missing)
    assert place.run_cli("predictions", "made", "--export", "log.parquet").code == 0
    place.monitor()
    (logged,) = place.windows()
    place.monitor("input=log.parquet")
    (exported,) = place.windows("input=log.parquet")
    for name in ("missing_share", "latency_p95_ms", "rows", "requests"):
        assert exported["record"]["figures"][name] == logged["record"]["figures"][name]


def test_a_file_in_trouble_says_nothing_of_what_serves(place):
    place.predict(day(2), change=half_missing)
    place.monitor()
    (alarm,) = place.alarms()
    good = pl.read_csv("rows.csv").drop("label").head(60).with_columns(time=pl.lit(day(2).isoformat()))
    good.write_csv("good.csv")
    half_missing(good).with_columns(visits=None).write_csv("bad.csv")
    assert "made is healthy" in place.monitor("input=good.csv").out
    told = place.monitor("input=bad.csv").out
    assert "quality/missing/visits" in told
    page = newest_page()
    assert "rows of input=bad.csv, not of the prediction log" in page
    assert place.alarms() == [alarm], "the log's alarm is neither over nor another one"
    assert [row["rows"] for row in place.windows()] == [60], "a window of the same day stays"
    assert {row["key"] for row in place.alarms(source="input=bad.csv")} >= {"quality/missing/visits", alarm["key"]}
    listed = place.run_cli("alarms", "made").out
    assert "input=bad.csv" in listed
    place.predict(day(1))
    told = place.monitor().out
    assert "made is healthy" in told
    page = newest_page()
    assert "Files and tables" in page
    assert "input=bad.csv" in page


def test_a_table_is_looked_at_with_its_labels(place):
    out = place.monitor("monitor.rows=source").out
    assert "1 window looked at, 300 predictions" in out


# ------------------------------------------------------------------------------------------------ alarms


def test_an_alarm_lives_as_long_as_it_is_seen_and_is_told_once(place):
    place.predict(day(40))  # so long a silence has been there before
    for number in (6, 5):
        place.predict(day(number))
    place.monitor(FILE)
    assert place.alarm_keys() == []
    place.predict(day(4), change=half_missing)
    out = place.monitor(FILE).out
    assert place.alarm_keys() == ["quality/missing/amount"]
    assert "made is in trouble: 1 problem" in out
    for word in ("evidence", "since", "likely cause", "do "):
        assert re.search(rf"^\s+{word}", out, re.MULTILINE), word
    place.predict(day(3), change=half_missing)
    place.monitor(FILE)
    (alarm,) = place.alarms()
    assert (alarm["first"], alarm["record"]["times"]) == (day(4, 0), 2)
    place.predict(day(2))
    place.monitor(FILE)
    assert place.alarm_keys() == []
    told = lines(place.folder / "told.jsonl")
    assert [(line["kind"], line["record"]["key"]) for line in told] == [
        ("alarm", "quality/missing/amount"),
        ("over", "quality/missing/amount"),
    ]


def test_the_twin_without_missing_values_has_no_alarm(place):
    place.predict(day(40))
    for number in (6, 5, 4, 3, 2):
        place.predict(day(number))
    place.monitor(FILE)
    assert place.alarm_keys() == []
    assert lines(place.folder / "told.jsonl") == []


def test_a_history_that_is_read_at_once_tells_only_what_lives(place):
    place.predict(day(40))
    place.predict(day(6), change=half_missing)
    for number in (5, 4):
        place.predict(day(number))
    place.monitor(FILE)
    assert [alarm["status"] for alarm in place.alarms("over")] == ["over"]
    assert lines(place.folder / "told.jsonl") == []


def test_an_old_window_that_is_looked_at_again_reopens_nothing(place):
    place.predict(day(40))
    ids = place.predict(day(6), change=half_missing)
    for number in (5, 4):
        place.predict(day(number))
    place.monitor()
    place.tell(ids, datetime.now(UTC))
    assert "1 window looked at" in place.monitor().out
    assert place.alarm_keys() == []


def test_acknowledging_by_the_command_line(place):
    place.predict(day(4), change=half_missing)
    place.monitor(FILE)
    (alarm,) = place.alarms()
    listed = place.run_cli("alarms", "made")
    assert (listed.code, "of amount is missing" in listed.out) == (0, True)
    shown = place.run_cli("alarms", "show", str(alarm["id"]))
    assert "likely cause" in shown.out
    assert "log: problem" in shown.out
    done = place.run_cli("alarms", "acknowledge", str(alarm["id"]), "--why", "the form was changed")
    assert done.code == 0, done.err
    (alarm,) = place.alarms()
    assert (alarm["status"], alarm["record"]["acknowledged"]["why"]) == ("acknowledged", "the form was changed")
    place.predict(day(3), change=half_missing)
    assert "acknowledged by" in " ".join(place.monitor(FILE).out.split())
    assert len(lines(place.folder / "told.jsonl")) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("alarms", "acknowledge", "9", "--why", "so"), "There is no alarm '9'"),
        (("alarms", "acknowledge", "1"), "Say why"),
        (("alarms", "acknowledge", "--why", "so"), "needs the number of one alarm"),
        (("alarms", "show", "x"), "needs the number of one alarm"),
        (("alarms", "show", "9"), "There is no alarm '9'"),
        (("alarms", "nobody"), "There is no model 'nobody'"),
        (("alarms", "made", "other"), "One model at a time"),
        (("alarms", "made", "--why", "so"), "--why belongs to acknowledge"),
    ],
)
def test_wrong_words_of_the_command(place, words, said):
    done = place.run_cli(*words)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_contradicting_labels_are_an_alarm_and_repeated_ones_are_none(place):
    ids = place.predict(day(4))
    for moment in (20, 10):
        place.tell(ids, datetime.now(UTC) - timedelta(seconds=moment), "yes")
    place.monitor()
    assert place.alarm_keys() == []
    place.tell(ids[:10], datetime.now(UTC), "no")
    place.monitor()
    assert place.alarm_keys() == ["quality/labels"]


def test_labels_for_nobody_are_an_alarm(place):
    ids = place.predict(day(4))
    place.tell(ids, datetime.now(UTC) - timedelta(seconds=5))
    place.monitor()
    assert place.alarm_keys() == []
    place.tell([f"nobody-{number}" for number in range(40)], datetime.now(UTC))
    place.monitor()
    assert place.alarm_keys() == ["monitor/unknown_labels"]


def test_silence_is_an_alarm_where_there_was_none_before(place):
    for number in (9, 8, 7, 6):
        place.predict(day(number))
    place.monitor()
    assert place.alarm_keys() == ["monitor/no_rows"]
    place.predict(datetime.now(UTC) - timedelta(seconds=70), 30)
    place.predict(day(1))
    place.monitor()
    assert "monitor/no_rows" not in place.alarm_keys()


def test_a_server_that_fails_at_every_request_is_no_silence(place):
    for number in (9, 8, 7, 6):
        place.predict(day(number))
    place.fail(day(8), 500, 7)
    place.fail(day(4), 503, 40)
    place.monitor()
    (alarm,) = place.alarms()
    assert (alarm["key"], alarm["record"]["evidence"]["503"]) == ("monitor/no_rows", 40)
    assert "40 times 503" in alarm["record"]["text"]
    assert "500" not in alarm["record"]["evidence"]
    assert "the server runs" in alarm["record"]["cause"]


def test_silence_that_was_usual_before_is_none(place):
    for number in (30, 20, 10):
        place.predict(day(number))
    place.monitor()
    assert place.alarm_keys() == []


def test_a_clock_that_is_ahead_is_an_alarm(place):
    place.predict(day(3))
    place.predict(NOW + timedelta(hours=30), 5)
    place.monitor()
    assert place.alarm_keys() == ["monitor/clock"]
    assert sum(row["rows"] for row in place.windows()) == 60


def test_a_version_that_vanished_is_an_alarm_and_the_others_are_looked_at(place):
    place.predict(day(3))
    place.predict(day(2), version="made/7")
    out = place.monitor().out
    assert "1 window looked at, 60 predictions" in out
    (alarm,) = place.alarms()
    assert (alarm["key"], alarm["severity"]) == ("monitor/version/made/7", "problem")
    assert "cannot be opened" in alarm["record"]["text"]


def test_slow_answers_are_an_alarm(place):
    for number in (9, 8, 7, 6):
        place.predict(day(number), 120)
    place.predict(day(5), 120, latency=30.0)
    place.monitor("monitors=[service]", f"monitor.until={day(4):%Y-%m-%d}")
    assert place.alarm_keys() == ["service/latency"]


def test_latency_above_the_goals_target(place):
    place.predict(day(3), 120)
    place.monitor("monitors=[service]", "monitors.service.latency_ms=1.0")
    assert place.alarm_keys() == ["service/latency_target"]
    place.monitor("monitors=[service]", "monitors.service.latency_ms=50.0", "cache=refresh")


def test_what_a_thousand_predictions_cost(place):
    place.predict(day(4), 100)
    place.predict(day(3), 100)
    told = place.monitor("resources.price_per_hour=0.5", "goal.currency=EUR").out
    assert re.search(r"took +[\d.]+ s, 0\.\d{4} EUR, peak memory", told)
    newest = place.windows()[-1]["record"]
    assert newest["figures"]["cost_per_1000"]["value"] == pytest.approx(0.5 * 24 / 100 * 1000)
    assert newest["declared"]["cost_per_1000"]["unit"] == "EUR"


# ------------------------------------------------------------------------------------------------ telling


def test_a_notifier_that_is_down_is_told_next_time_and_stops_nothing(place):
    place.predict(day(4), change=half_missing)
    down = ("notifiers=[log,webhook]", "notifiers.webhook.url=http://127.0.0.1:9/", "notifiers.webhook.retries=0")
    done = place.monitor(*down, FILE)
    assert "not told (webhook)" in done.out
    assert len(lines(place.folder / "told.jsonl")) == 1
    assert "not told (webhook)" in place.monitor(*down, FILE).out
    assert len(lines(place.folder / "told.jsonl")) == 1, "who was told is not told again"


def test_a_notifier_without_its_secret_is_reported(place, monkeypatch):
    monkeypatch.delenv("SLACK_WEBHOOK_URL", raising=False)
    place.predict(day(5))
    done = place.monitor("notifiers=[slack]").out
    assert "not told (slack) The environment variable SLACK_WEBHOOK_URL is not set" in " ".join(done.split()), (
        "before it has to tell"
    )
    place.predict(day(4), change=half_missing)
    assert "SLACK_WEBHOOK_URL is not set" in place.monitor("notifiers=[slack]").out
    monkeypatch.setenv("ALARMS", "http://127.0.0.1:9/")
    words = ("notifiers=[webhook]", "notifiers.webhook.url_env=ALARMS", "notifiers.webhook.token_env=NO_TOKEN")
    assert "NO_TOKEN is not set" in place.monitor(*words, "monitors=[service]").out


# ------------------------------------------------------------------------------------------------ mistakes


def test_no_log_yet_is_said(place):
    out = place.monitor().out
    assert "no prediction of 'made' is logged" in out
    assert "nothing is known of made" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["monitor.window=0"], "A window needs one prediction or more"),
        (["monitor.window=-3"], "A window needs one prediction or more"),
        (["monitor.window=soon"], "This is no window"),
        (["monitor.window=1.5"], "This is no window"),
        (["monitor.window=null"], "This is no window"),
        (["monitor.window=900d"], "between 1s and 366d"),
        (["monitor.since=yesterday"], "Not a moment"),
        (["monitor.since=2026-02-02", "monitor.until=2026-01-01"], "Nothing lies before monitor.until"),
        (["monitor.maturity=long"], "Not a duration"),
        (["monitor.rows=table"], "word for monitor.rows"),
        (["monitors=[qualty]"], "quality"),
        (["monitors=[]"], "No monitor is picked"),
        (["notifiers=[webhook]"], "it needs an address"),
        (["notifiers=[email]"], "it needs somebody to tell"),
        (
            ["notifiers=[email]", "notifiers.email.to=[a@b]", "notifiers.email.user=a", "notifiers.email.tls=none"],
            "without TLS",
        ),
        (["monitors.quality.mising=0.1"], "missing"),
        (["resources.price_per_hour=-1"], "price_per_hour"),
        (["input=nothing.csv"], "nothing.csv"),
        (["input=rows.xlsx"], "no format that is known"),
        (["version=made/9", "input=rows.csv"], "made/9"),
        (["name=other"], "There is no model 'other'"),
    ],
)
def test_mistakes_are_refused(place, words, said):
    done = place.monitor(*words, code=2)
    assert said in done.err
    assert place.windows() == []


def test_too_many_windows_are_refused(place):
    place.predict(day(20), 10)
    place.predict(day(3), 6000)
    assert "windows, more than 5,000" in place.monitor("monitor.window=1s", code=2).err


def test_an_empty_file_is_refused(place):
    pl.read_csv("rows.csv").clear().write_csv("empty.csv")
    assert place.monitor("input=empty.csv", code=2).err


def test_a_file_without_a_column_is_refused(place):
    pl.read_csv("rows.csv").drop("amount").write_csv("less.csv")
    assert "column 'amount' is missing" in place.monitor("input=less.csv", code=2).err


def test_a_file_with_broken_times_is_refused(place):
    pl.read_csv("rows.csv").with_columns(time=pl.lit("noon")).write_csv("noon.csv")
    assert "when it came" in place.monitor("input=noon.csv", code=2).err


FAILING = """
import mlframe
from mlframe import Component
from mlframe.contracts import Figure, Interval, Monitor, Observation


class Broken(Monitor):
    def declares(self):
        return [Figure("broken", "lower")]

    def observe(self, reference, window):
        raise RuntimeError("no such thing")


class Loose(Broken):
    def observe(self, reference, window):
        return Observation(figures={"other": Interval(1.0)})


class Same(Broken):
    def declares(self):
        return [Figure("missing_share", "lower")]


@mlframe.hookimpl
def mlframe_monitors():
    return [Component(name, f"{__name__}:{name.capitalize()}", "x") for name in ("broken", "loose", "same")]
"""


def test_a_monitor_that_fails_stops_no_other(place, install_plugin):
    install_plugin("failing", FAILING)
    place.predict(day(3), change=half_missing)
    done = place.monitor("monitors=[broken,quality]", code=1)
    assert "The monitor broken failed: RuntimeError: no such thing" in done.err
    assert place.windows()[0]["record"]["figures"]["missing_share"]
    assert set(place.alarm_keys()) == {"quality/missing/amount", "monitor/failed/broken"}
    place.monitor("monitors=[quality]", "cache=refresh")
    assert place.alarm_keys() == ["quality/missing/amount"], "what does not fail any more is over"


def test_figures_that_nobody_declared_and_figures_of_two_are_refused(place, install_plugin):
    install_plugin("failing", FAILING)
    place.predict(day(3))
    assert "has not declared: other" in place.monitor("monitors=[loose]", code=2).err
    assert "Two monitors give the figure 'missing_share'" in place.monitor("monitors=[quality,same]", code=2).err


@pytest.mark.slow
@pytest.mark.parametrize("after", range(1, 9))
def test_killed_at_any_point_nothing_is_lost(place, after):
    place.predict(day(40))  # so long a silence has been there before
    place.predict(day(5), change=half_missing)
    place.predict(day(4), change=half_missing)
    words = [*DATA, *PLAIN, FILE]
    script = Path(__file__).with_name("monitor_and_die.py")
    killed = warm.run([sys.executable, str(script), str(after), *words], cwd=place.folder, capture_output=True)
    # Two writes for each of three windows, own alarms, the question who was told, and the answer: nine in all.
    assert killed.returncode == -9
    place.monitor(FILE)
    assert [row["rows"] for row in place.windows()] == [60, 60, 60]
    (alarm,) = place.alarms()
    assert (alarm["key"], alarm["first"], alarm["record"]["times"]) == ("quality/missing/amount", day(5, 0), 2)
    told = [line["kind"] for line in lines(place.folder / "told.jsonl")]
    assert told == ["alarm"], "told once: the process died before it told, or after the store knew of it"
