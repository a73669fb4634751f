from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from page_reader import read

from mlframe.charts import plots
from mlframe.contracts import Evaluation, Exploration, Figure, Finding, Interval, ReportInput, RunInfo
from mlframe.errors import ParameterError
from mlframe.reporters.html import HtmlReporter

NASTY = "<script>alert('x')</script><img src=x onerror=alert(1)>"


def material(folder: Path, text: str = "plain", **changes: Any) -> ReportInput:
    chart = plots.bars("bars", text, text, [text], [1.0], x=text)
    frame = pl.DataFrame({text: [text], "n": [1.5]})
    run = RunInfo(
        "run-1", "email", "train", "sweep-1", {"data": {"path": text}}, folder, {"code": {"diff": text + "\n"}}
    )
    given: dict[str, Any] = {
        "run": run,
        "goal": {"problem": text, "metric": "roc_auc", "targets": {"roc_auc": 0.9}, "owner": None},
        "data": {
            "rows": 100,
            "source": text,
            "columns": [{"name": text, "role": "feature", "kind": "text", "tags": []}],
        },
        "figures": {
            "folds": {"roc_auc": Interval(0.91, 0.9, 0.92)},
            "holdout": {"roc_auc": Interval(0.93, 0.92, 0.94)},
        },
        "declared": {
            "roc_auc": Figure("roc_auc", "higher", summary=text),
            "mcc": Figure("mcc", "higher", summary="another"),
        },
        "exploration": Exploration([Finding("warning", text, text)], [chart], {"columns": frame, text: frame}),
        "evaluation": Evaluation({}, [chart], {text: frame}),
        "gate": {
            "passed": True,
            "checks": [{"name": text, "passed": True, "value": 0.93, "wanted": 0.9, "evidence": text}],
        },
        "version": "email/7",
        "promote": "python -m mlframe promote email/7",
        "folder": folder,
    }
    return ReportInput(**{**given, **changes})


def test_answer_comes_first(tmp_path: Path) -> None:
    (page,) = HtmlReporter().report(material(tmp_path))
    words = re.sub(r"\s+", " ", read(page).words)
    order = [
        "email/7", "The problem plain", "The answer ✓ Yes, good enough", "roc_auc 0.9300", "(0.9200 to 0.9400)",
        "promote email/7", "The money Not stated", "Risks and limits warning", "Pictures plain", "Figures In brackets",
        "Data rows100", "Run idrun-1",
    ]  # fmt: skip
    places = [words.index(word) for word in order]
    assert places == sorted(places)
    assert "not defined" in words  # declared and not computed


def test_whatever_the_data_say_is_words(tmp_path: Path) -> None:
    (page,) = HtmlReporter().report(material(tmp_path, NASTY))
    reader = read(page)
    assert "script" not in reader.tags
    assert "img" not in reader.tags
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert reader.words.count(NASTY) > 10


def test_page_stands_alone(tmp_path: Path) -> None:
    (page,) = HtmlReporter().report(material(tmp_path))
    reader = read(page)
    assert reader.addresses == []
    assert not {"link", "script", "iframe"} & set(reader.tags)
    assert "viewport" in page.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("passed", "word"),
    [
        (True, "email/7 meets the one condition"),
        (False, "email/7 misses 1 of 1 conditions: check a (1 instead of at least 2)"),
        (None, "Not judged"),
    ],
)
def test_verdict_is_said_in_words(tmp_path: Path, passed: bool | None, word: str) -> None:
    checks = (
        [] if passed is None else [{"name": "check a", "passed": passed, "value": 1, "wanted": 2, "evidence": None}]
    )
    (page,) = HtmlReporter().report(material(tmp_path, gate={"passed": passed, "checks": checks}))
    assert word in read(page).words


def test_a_run_that_knows_little_is_reported_too(tmp_path: Path) -> None:
    bare = material(
        tmp_path, goal={}, data={}, figures={}, declared={}, exploration=None, evaluation=Evaluation(), gate={},
        version=None, promote=None,
    )  # fmt: skip
    (page,) = HtmlReporter(filename="index.html").report(bare)
    assert page.name == "index.html"
    assert "Nothing was registered" in read(page).words


def test_equal_runs_give_equal_pages(tmp_path: Path) -> None:
    pages = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pages.append(HtmlReporter().report(material(tmp_path / name))[0].read_bytes())
    assert pages[0] == pages[1]


def test_config_is_yaml_with_plain_values(tmp_path: Path) -> None:
    run = RunInfo("r", "m", "train", None, {"path": Path("a/b"), "list": (1, 2), "none": None}, tmp_path)
    (page,) = HtmlReporter().report(material(tmp_path, run=run))
    assert "path: a/b" in read(page).words


@pytest.mark.parametrize("options", [{"filename": "../x.html"}, {"filename": "report.txt"}, {"rows": 0}])
def test_impossible_parameters_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        HtmlReporter(**options)
