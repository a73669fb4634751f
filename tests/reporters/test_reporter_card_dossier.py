from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from page_reader import read
from test_reporter_html import NASTY, material

from mlframe.charts import plots
from mlframe.contracts import Chart, Evaluation, Finding, Interval, Reporter, ReportInput
from mlframe.errors import ParameterError, StepError
from mlframe.reporters.card import CardReporter
from mlframe.reporters.dossier import DossierReporter
from mlframe.reporters.html import HtmlReporter
from mlframe.reporters.risks import risks, unchecked
from mlframe.reporters.story import money

SECRET = "row of a person"
WORTH = {
    "currency": "EUR",
    "rows": 400,
    "per_1000": {"value": 900.0, "low": 700.0, "high": 1100.0},
    "nothing": {"value": 0.0, "low": 0.0, "high": 0.0},
    "all": {"value": 500.0, "low": 300.0, "high": 700.0},
    "rival": "acting on all",
    "gain": {"value": 400.0, "low": 250.0, "high": 550.0},
    "per_year": 40000.0,
    "text": "…",
}
ASSESSMENT = {
    "findings": [
        {
            "check": "id_order",
            "severity": "problem",
            "column": "id",
            "text": "id orders the target",
            "remedy": "drop it",
            "accept": "'assess.accept=[id_order:id]'",
        },
        {"check": "duplicates", "severity": "info", "column": None, "text": "no equal rows", "accept": None},
    ],
    "baselines": [{"name": "majority", "score": 0.5, "low": 0.49, "high": 0.51}],
    "smallest_effect": {"rows": 200, "half_width": 0.02},
    "curve": {"text": "twice the rows bring 0.01"},
    "verdict": {"word": "more data", "reasons": ["the curve still rises"]},
    "charts": [vars(plots.bars("curve_of_learning", "Learning curve", "it rises", ["a"], [1.0], x="rows"))],
}


@pytest.fixture
def full(tmp_path: Path) -> ReportInput:
    """Everything that the other steps can give."""
    frame = pl.DataFrame({"group": ["a", "b"], "value": [0.1, 0.2]})
    chart = plots.bars("bars", "Bars", "two bars", ["a"], [1.0], x="x")
    columns = [
        {"name": "sex", "role": "feature", "kind": "categorical", "dtype": "String", "tags": ["protected"]},
        {"name": "mail", "role": "feature", "kind": "text", "dtype": "String", "tags": ["pii"]},
        {"name": "at", "role": "time", "kind": "datetime", "dtype": "Datetime", "tags": []},
    ]
    base = material(tmp_path)
    return replace(
        base,
        goal={
            **base.goal, "owner": "ada", "stakeholders": ["sales"], "targets": {"roc_auc": 0.925}, "review": "2027-01-01",
            "value": {"tp": 10, "fp": -1},
        },
        data={
            "rows": 1000, "kept": 900, "columns": columns, "target": "y", "holdout": 150, "development": 750,
            "classes": ["n", "y"], "shares": {"development": {"n": 0.95, "y": 0.05}, "holdout": {"n": 0.8, "y": 0.2}}, "fingerprint": "f00",
            "period": {"column": "at", "development": ["2024-01", "2024-05"], "holdout": ["2024-05", "2024-06"]},
            "validators": {"pandera": {"failures": 100, "rows": 100, "policy": "drop", "examples": [{"value": SECRET}]}},
        },
        evaluation=Evaluation(
            {}, [chart], {"slices": frame, "fairness": frame, "rows/mistakes": pl.DataFrame({"note": [SECRET]})},
            [Finding("warning", "worse for b")],
        ),
        gate={**base.gate, "value": WORTH},
        assessment=ASSESSMENT,
        history={
            "holdout_uses": 3,
            "aliases": [
                {
                    "when": "2026-01-01", "who": "ada", "action": "promote", "alias": "champion", "from": None,
                    "to": "email/6", "why": "by hand",
                }
            ],
        },
    )  # fmt: skip


def words_of(path: Path) -> str:
    return re.sub(r"\s+", " ", read(path).words)


def test_money_and_risks_stand_before_the_pictures(full: ReportInput) -> None:
    (page,) = HtmlReporter().report(full)
    words = words_of(page)
    order = [
        "400 EUR more than acting on all", "250 to 550", "40 000 EUR", "doing nothing",
        "problem Id order: id orders the target. To mend it: drop it. If it is no leak: 'assess.accept=[id_order:id]'", "warning", "Robustness against", "Pictures Bars",
    ]  # fmt: skip
    places = [words.index(word) for word in order]
    assert places == sorted(places)
    for text in (
        "Simple ways reach, on the folds (roc_auc): majority 0.5",
        "Learning curve",
        SECRET,
        "sales",
        "ada",
        "more rowstwice the rows bring 0.01",
        "half_width0.02",
    ):
        assert text in words


def test_every_risk_is_told_the_worst_first(full: ReportInput) -> None:
    found = risks(full)
    topics = [risk.topic for risk in found]
    wanted = {
        "Id order", "Feasibility", "Model", "Data", "Uncertain", "Holdout reused", "Few rows", "Imbalanced", "Time", "Shares moved",
        "Rows left out", "Personal data",
    }  # fmt: skip
    assert wanted <= set(topics)
    assert found[0].severity == "problem"
    assert "2024-06" in next(risk.text for risk in found if risk.topic == "Time")
    assert unchecked(full) == ["Robustness against missing or damaged input: add the evaluator robustness."]


def test_few_rows_of_a_class_are_told(full: ReportInput) -> None:
    data = {**full.data, "shares": {"development": {"n": 0.9, "y": 0.1}, "holdout": {"n": 1.0}}}
    texts = [risk.text for risk in risks(replace(full, data=data)) if risk.topic == "Few rows"]
    assert "0 rows of class 'y' are in the holdout; its figures rest on few cases." in texts


def test_a_loss_is_a_problem_and_said_aloud(full: ReportInput) -> None:
    bad = {**WORTH, "gain": {"value": -20.0, "low": -50.0, "high": 10.0}}
    losing = replace(full, gate={**full.gate, "value": bad})
    assert "20 EUR LESS than" in money(losing).sentence  # type: ignore[union-attr]
    assert ("problem", "Money") in [(risk.severity, risk.topic) for risk in risks(losing)]
    sure = {**WORTH, "gain": {"value": -20.0, "low": -50.0, "high": -10.0}}
    told = [risk.text for risk in risks(replace(full, gate={**full.gate, "value": sure})) if risk.topic == "Money"]
    assert any(text.startswith("The model is worth less than") for text in told)


def test_the_card_has_the_nine_sections_twice(full: ReportInput) -> None:
    page, text = CardReporter().report(full)
    titles = [
        "Model details", "Intended use", "Factors", "Metrics", "Evaluation data", "Training data", "Quantitative analyses",
        "Ethical considerations", "Caveats and recommendations",
    ]  # fmt: skip
    markdown = text.read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)$", markdown, re.MULTILINE) == titles
    words = words_of(page)
    for told in (words, markdown):
        assert "ada" in told
        assert "not stated: goal.integration" in told
        assert "2024-05 to 2024-06" in told
        assert "id orders the target" in told
        assert SECRET not in told
    assert "*Bars*: two bars" in markdown


def test_the_card_of_an_ensemble_names_its_members(full: ReportInput) -> None:
    members = {"lgbm": {"name": "lgbm"}, "plain": {"name": "linear"}}
    config = {**full.run.config, "ensembler": {"name": "voting", "members": members}}
    _, text = CardReporter().report(replace(full, run=replace(full.run, config=config)))
    assert "- **model**: lgbm, plain (linear)\n" in text.read_text(encoding="utf-8")


def test_a_bare_run_gives_a_card_that_says_so(tmp_path: Path) -> None:
    bare = material(
        tmp_path, goal={}, data={}, figures={}, declared={}, exploration=None, evaluation=Evaluation(), gate={},
        version=None, promote=None,
    )  # fmt: skip
    _, text = CardReporter().report(bare)
    words = text.read_text()
    for key in ("owner", "problem", "stakeholders", "integration", "metric", "targets", "value", "review"):
        assert f"not stated: goal.{key}" in words
    DossierReporter().report(bare)


def test_the_dossier_follows_annex_iv_and_digests_every_file(full: ReportInput) -> None:
    files = DossierReporter().report(full)
    index, manifest = files[0], files[-1]
    assert (index.name, manifest.name) == ("index.html", "manifest.json")
    reader = read(index)
    titles = re.findall(r"<h2>(\d)\. ", index.read_text(encoding="utf-8"))
    assert titles == list("123456789")
    assert reader.words.count("Not covered by mlframe: ") >= 9
    listed = json.loads(manifest.read_text())["files"]
    there = {path.relative_to(full.folder).as_posix() for path in full.folder.rglob("*") if path.is_file()}
    assert set(listed) == there - {"manifest.json"}
    for name, record in listed.items():
        data = (full.folder / name).read_bytes()
        assert record == {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        assert SECRET.encode() not in data
    assert {path.relative_to(full.folder).as_posix() for path in files} == there
    assert set(reader.addresses) == there - {"index.html"}
    assert {"tables/slices.csv", "charts/bars.svg", "data/columns.csv", "config.yaml", "gate.json"} <= there
    assert "email/6" in reader.words
    assert json.loads((full.folder / "data/lineage.json").read_text())["fingerprint"] == "f00"


def test_a_picture_that_could_run_is_no_file(full: ReportInput) -> None:
    bad = Chart("bad", "Bad", "words", '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    DossierReporter().report(replace(full, evaluation=Evaluation({}, [bad])))
    assert not (full.folder / "charts").exists()
    assert "<script" not in (full.folder / "index.html").read_text()


def test_uncommitted_code_is_named_and_not_copied(full: ReportInput) -> None:
    code = {"commit": "abc", "dirty": True, "diff": f"+password = {SECRET}", "untracked": ["notes.txt"]}
    DossierReporter().report(replace(full, run=replace(full.run, facts={"code": code})))
    assert "commit abc, with uncommitted changes" in words_of(full.folder / "index.html")
    assert json.loads((full.folder / "code.json").read_text())["untracked"] == ["notes.txt"]
    assert SECRET not in (full.folder / "code.json").read_text()


@pytest.mark.parametrize("reporter", [HtmlReporter(), CardReporter(), DossierReporter()])
@pytest.mark.parametrize("where", ["gate", "assessment"])
def test_a_part_that_fails_is_named_and_the_rest_is_there(full: ReportInput, reporter: Reporter, where: str) -> None:
    changes: dict[str, Any] = {
        "gate": {"gate": {"passed": True, "checks": [{"passed": True}]}},  # a check without a name
        "assessment": {"assessment": {**ASSESSMENT, "findings": [{"severity": "problem"}]}},
    }[where]
    broken = replace(full, **changes)
    with pytest.raises(StepError, match="lacks a part of"):
        reporter.report(broken)
    page = next(path for path in full.folder.iterdir() if path.suffix == ".html")
    words = words_of(page)
    assert "Missing. A part of '" in words
    assert "0.9300" in words  # figures are there


@pytest.mark.parametrize("reporter", [HtmlReporter, CardReporter, DossierReporter])
def test_every_picture_has_words_and_nothing_is_fetched(full: ReportInput, reporter: type[Reporter]) -> None:
    odd = Chart("odd", "Odd", "an odd one", '<svg xmlns="http://www.w3.org/2000/svg"><style>*{}</style></svg>')
    charts = [*full.evaluation.charts, odd]
    files = reporter().report(replace(full, evaluation=replace(full.evaluation, charts=charts)))
    text = files[0].read_text(encoding="utf-8")
    reader = read(files[0])
    assert reader.tags.count("figure") >= 2
    assert reader.tags.count("figure") == text.count('class="alt"')
    assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img[^>]*>", text))
    assert all("<title>" in svg and "<desc>" in svg for svg in re.findall(r"<svg.*?</svg>", text))
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", text)
    assert "http" not in re.sub(r'xmlns="[^"]*"|http-equiv|data:image/svg\+xml;base64,\S*', "", text)


@pytest.mark.parametrize("reporter", [CardReporter, DossierReporter])
def test_whatever_the_data_say_is_words(tmp_path: Path, reporter: type[Reporter]) -> None:
    files = reporter().report(material(tmp_path, NASTY))
    for file in files:
        if file.suffix == ".html":
            assert "script" not in read(file).tags
        if file.suffix in (".html", ".svg", ".md"):
            assert "<script>" not in file.read_text()


@pytest.mark.parametrize("options", [{"filename": "../x.html"}, {"filename": "card.md"}, {"rows": 0}])
def test_impossible_parameters_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        CardReporter(**options)


def test_an_interval_is_needed_for_no_figure(full: ReportInput) -> None:
    HtmlReporter().report(replace(full, figures={"holdout": {"roc_auc": Interval(0.9)}}))
