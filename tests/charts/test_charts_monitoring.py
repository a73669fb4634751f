from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from page_reader import Reader, read
from watched import DAY, FIGURES, START, watched

from mlframe.charts import monitoring
from mlframe.charts.page import is_drawing
from mlframe.charts.timeline import LABELS, Bar, Lane, Point, _series, lanes, time_ticks
from mlframe.contracts import Chart, Interval
from mlframe.store import Store

NOW = START + 30 * DAY + timedelta(minutes=5)
LOG = [
    {"alias": "champion", "action": "promote", "from": None, "to": "email/1", "when": str(START), "who": "a", "why": ""},
    {"alias": "champion", "action": "promote", "from": "email/1", "to": "email/2", "when": str(START + 20 * DAY), "who": "operate", "why": "it is better"},
    {"alias": "staging", "action": "promote", "from": None, "to": "email/2", "when": str(START + 19 * DAY), "who": "operate", "why": ""},
    {"alias": "champion", "action": "rollback", "from": "email/2", "to": "email/1", "when": str(START + 21 * DAY), "who": "b", "why": "no"},
]  # fmt: skip


def held(store: Store, **options: Any) -> dict[str, Any]:
    watched(store, **options)
    found = {"windows": store.windows.many("email"), "alarms": store.alarms.many("email")}
    decisions = [{**row, "when": START + 19 * DAY} for row in store.decisions.many("email")]
    return {**found, "decisions": decisions, "log": LOG}


def shown(tmp_path: Path, given: dict[str, Any], **options: Any) -> Reader:
    page = monitoring.document("email", **given, **{"now": NOW, **options}).html()
    assert page.missing == []
    (tmp_path / "page.html").write_text(page.text)
    return read(tmp_path / "page.html")


@pytest.fixture
def store(tmp_path):
    with Store.open(str(tmp_path / "store")) as made:
        yield made


def test_a_page_says_health_alarms_figures_and_events(store, tmp_path):
    page = shown(tmp_path, held(store, days=18))
    assert "script" not in page.tags
    assert page.addresses == []
    for text in (
        "✗ Problem",
        "1 problem and 1 warning open. The column sender has moved",
        "drift/column/sender",
        "Mail comes from a domain",
        "train again with mail since then",
        "distance 0.312, limit 0.1, rows 1234",
        "seen in 4 windows",
        "rollback, champion: email/2 → email/1 (no)",
        "trigger: drift: sender has moved by 0.4",
        "roc_auc (performance)",
        "40 % of the labels of this window have not come yet.",
        "Nobody has looked since: that window ended 12 days ago.",
    ):
        assert text in page.words, text


def test_without_a_cause_the_same_page_shows_no_alarm_and_no_mark(store, tmp_path):
    page = shown(tmp_path, {**held(store, broken=False), "decisions": [], "log": []})
    assert "✓ Healthy" in page.words
    assert "No alarm is open." in page.words
    assert "Nothing happened yet." in page.words
    assert "Nobody has looked" not in page.words
    assert "Marked:" not in page.words


def test_what_is_over_is_told_and_folded(store, tmp_path):
    page = shown(tmp_path, held(store))
    assert "✓ Healthy" in page.words
    assert "2 that are over" in page.words


def test_files_are_listed_apart_and_do_not_count(store, tmp_path):
    given, file = held(store, broken=False), "input=new <b>.parquet"
    record = {"health": "problem", "alarms": ["drift/column/a"], "figures": {}}
    store.windows.put("email", "email/1", START, START + DAY, 1, "run", record, source=file)
    seen = {"drift/column/a": ("problem", {"text": "a has moved"}), "drift/column/b": ("info", {"text": "b has moved"})}
    store.alarms.see("email", seen, scope=["drift"], since=START, until=START + DAY, source=file)
    others = store.windows.others("email")
    page = shown(tmp_path, given, others=others)
    assert "✓ Healthy" in page.words
    assert "a has moved" not in page.words
    assert f"{file}2026-03-02 00:00 to 2026-03-03 00:00email/11problem1 problem, 1 info" in page.words
    assert page.addresses == []
    linked = monitoring.document("email", **given, now=NOW, others=others, address="/models/email/monitor").html()
    assert 'href="/models/email/monitor?source=input%3Dnew+%3Cb%3E.parquet"' in linked.text
    own = {"windows": store.windows.many("email", source=file), "alarms": store.alarms.many("email", source=file)}
    page = shown(tmp_path, {**given, **own}, source=file)
    assert "✗ Problem" in page.words
    assert "1 prediction by email/1" in page.words
    assert f"rows of {file}, not of the prediction log" in page.words
    assert "Nobody has looked since" not in page.words, "nobody waits for later rows of a file"


def test_bars_say_what_their_colours_mean(store):
    given = held(store, days=18)
    for key, severity in (("a", "info"), ("b", "warning")):
        store.alarms.see(
            "email",
            {f"quality/{key}": (severity, {"text": key})},
            scope=["quality/none"],
            since=START,
            until=START + DAY,
        )
    given["alarms"] = store.alarms.many("email")
    page = monitoring.document("email", **given, now=NOW).html().text
    svg = re.search(r'id="chart-overview">.*?(<svg.*?</svg>)', page, re.DOTALL)[1]
    words = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert words[:4] == ["ok", "info", "warning", "problem"]
    assert len(set(re.findall(r'fill="(#\w+)"', svg))) == 4, "each has a colour of its own"
    calm = monitoring.document("email", **held_calm(given), now=NOW).html().text
    svg = re.search(r'id="chart-overview">.*?(<svg.*?</svg>)', calm, re.DOTALL)[1]
    assert re.findall(r"<text[^>]*>([^<]*)</text>", svg)[0] == "ok"
    assert "warning" not in re.findall(r"<text[^>]*>([^<]*)</text>", svg), "what is not drawn is not explained"


def test_a_short_problem_is_seen_in_the_picture_of_a_year():
    span = (START, START + 365 * DAY)
    bars = [Bar(START + i * DAY, START + (i + 1) * DAY, "problem" if i == 364 else "ok") for i in range(365)]
    bars = [bars[-1], *bars[:-1]]
    svg = lanes("name", "title", "alt", [Lane("health", bars)], [], span).svg
    widths = [float(width) for width in re.findall(r'<rect [^>]*width="([\d.]+)"[^>]*fill="#', svg)]
    assert min(widths) >= 2.9
    drawn = re.findall(r'<rect [^>]*fill="(#\w+)"', svg)
    assert drawn.count(drawn[-1]) == 2, "of the problem: its sample and its bar, which nothing covers"
    lefts = [float(x) for x in re.findall(r'<rect x="([\d.]+)"', svg)]
    assert max(lefts) <= 420 - 14 - 2.9, "within the axis"


def test_windows_of_seconds_show_seconds(store, tmp_path):
    given = held(store, broken=False, days=1)
    since = START + timedelta(seconds=13)
    window = {**given["windows"][0], "since": since, "until": since + timedelta(seconds=7)}
    page = shown(tmp_path, {**given, "windows": [window]}, now=since + timedelta(seconds=60))
    assert "2026-03-02 00:00:13 to 00:00:20" in page.words
    assert "00:00:15" in page.words, "the axis, too"


def held_calm(given: dict[str, Any]) -> dict[str, Any]:
    return {**given, "windows": given["windows"][:5], "alarms": []}


def test_nothing_to_show_is_said(tmp_path):
    page = shown(tmp_path, {"windows": [], "alarms": [], "decisions": [], "log": []})
    assert "Not monitored" in page.words
    assert "python -m mlframe monitor" in page.words


def test_pictures_and_tables_of_the_newest_window_are_shown(store, tmp_path):
    chart = Chart("mine", "My picture", "words", '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>')
    page = shown(tmp_path, held(store), charts=[chart], notes=["the monitor service failed: no log"])
    for text in ("My picture", "drift/columns (1 row)", "0.312", "the monitor service failed: no log"):
        assert text in page.words, text


def test_every_event_is_marked_in_every_picture_with_its_letter(store):
    page = monitoring.document("email", **held(store, days=24), now=NOW).html().text
    pictures = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(pictures) == 1 + len(FIGURES)
    for svg in pictures:
        assert is_drawing(svg)
        letters = re.findall(r'font-weight="600" >([A-Z])</text>', svg)
        assert sorted(letters) == ["A", "A", "D", "D", "R", "T"]


def test_acknowledged_alarms_still_count_and_are_said_to_be_known(store, tmp_path):
    given = held(store, days=18)
    store.alarms.acknowledge(given["alarms"][0]["id"], who="ada", why="known migration")
    page = shown(tmp_path, {**given, "alarms": store.alarms.many("email")})
    assert "1 of the alarms is acknowledged." in page.words
    assert "by ada: known migration" in page.words
    assert "✗ Problem" in page.words


def test_thousands_of_windows_make_a_page_of_bounded_size(store):
    given = held(store, broken=False)
    many = [{**given["windows"][0], "since": START + i * DAY, "until": START + (i + 1) * DAY} for i in range(5000)]
    page = monitoring.document("email", **{**given, "windows": many}, now=NOW).html()
    assert len(page.text) < 1_500_000
    assert "4,500 older windows are not shown." in page.text


def test_figures_without_values_or_with_odd_ones_do_not_break_the_page(store, tmp_path):
    given = held(store, broken=False, days=3)
    given["windows"][0]["record"]["figures"] = {
        "roc_auc": {"value": None},
        "odd/name <b>": {"value": 1e300, "low": -1e300, "high": None},
    }
    given["windows"][1]["record"] = {}
    shown(tmp_path, given)


@given(st.datetimes(min_value=START.replace(tzinfo=None)), st.floats(60, 3e8))
def test_ticks_lie_in_their_span_and_are_few(since, seconds):
    since = since.replace(tzinfo=START.tzinfo, year=2026)
    until = since + timedelta(seconds=seconds)
    found = time_ticks(since, until)
    assert 1 <= len(found) <= LABELS + 1
    assert all(since.timestamp() - 1 <= place <= until.timestamp() + 1 for place, _ in found)
    assert len({name for _, name in found}) == len(found)


def test_versions_that_answer_at_once_have_styles_of_their_own():
    def points(series, first, last):
        return [Point(START + i * DAY, START + (i + 1) * DAY, Interval(1.0), series) for i in range(first, last)]

    found = dict(_series([*points("m/1", 0, 5), *points("m/2", 3, 8), *points("m/3", 8, 9)]))
    assert found == {"m/1": 0, "m/2": 1, "m/3": 0}
