"""Reports of which a part cannot be written: what can be written is there, and the command says what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from workbench import TABLE

PROJECT = '''
from mlframe import Component, hookimpl
from mlframe.contracts import Chart, Evaluation, Evaluator, Reporter


class Torn(Reporter):
    """Writes one file, then fails."""

    def report(self, material):
        (material.folder / "half.txt").write_text("half")
        raise RuntimeError("no more ink")


class Blank(Reporter):
    """Writes nothing."""

    def report(self, material):
        raise ValueError("no paper")


class Broken(Evaluator):
    """Draws one picture, and one that is none."""

    def declares(self):
        return []

    def evaluate(self, judged):
        if not judged.pictures:
            return Evaluation()
        svg = '<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>'
        return Evaluation(charts=[Chart("good", "A good one", "fine", svg), Chart("bad", "A bad one", "none", None)])


@hookimpl
def mlframe_reporters():
    return [Component("torn", "mlframe_project:Torn", "Fails"), Component("blank", "mlframe_project:Blank", "Fails")]


@hookimpl
def mlframe_evaluators():
    return [Component("broken", "mlframe_project:Broken", "Fails")]
'''
QUICK = ("experiment=quick", "model=dummy", "trackers=[]", "~task.steps.explore")


@pytest.fixture
def project(bench):
    Path("mlframe_project.py").write_text(PROJECT)
    return bench


def files(bench) -> set[str]:
    (report,) = bench.home.glob("runs/*/report")
    return {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()}


def test_one_failing_reporter_does_not_take_the_others_files(project):
    done = project(*TABLE, *QUICK, "reporters=[torn,html,blank]")
    assert done.code == 1
    assert {"html/report.html", "torn/half.txt"} == files(project)
    assert "The reporter torn failed: RuntimeError: no more ink; the rest of its report is in" in done.err
    assert "The reporter blank failed: ValueError: no paper; it wrote nothing" in done.err
    assert "reporters.torn, reporters.blank" in done.err
    assert "so are the reports of html" in done.err
    assert "csv/1" in project("versions").out  # what was done before is kept
    shown = project("show", project("runs").out.split("\n")[3].split()[0]).out
    assert "half.txt" in shown
    assert "report.html" in shown


def test_a_picture_that_fails_leaves_a_note_and_the_rest_of_the_page(project):
    done = project(*TABLE, *QUICK, "evaluators=[classification,broken]", "reporters=[html,card]")
    assert done.code == 1
    assert "report.html lacks a part of 'Pictures'" in done.err
    (page,) = project.home.glob("runs/*/report/html/report.html")
    text = page.read_text()
    assert "A part of &#39;Pictures&#39; is missing here" in text
    for word in ("A good one", "ROC curve", "Risks and limits", "Resolved config"):
        assert word in text
    assert "card/card.md" in files(project)


def test_every_reporter_at_once(project):
    done = project(*TABLE, *QUICK, "reporters=[html,card,dossier]")
    assert done.code == 0, done.err
    assert {
        "html/report.html",
        "card/card.html",
        "card/card.md",
        "dossier/index.html",
        "dossier/manifest.json",
    } <= files(project)


def test_an_unknown_reporter_is_named_before_anything_is_read(project):
    done = project(*TABLE, *QUICK, "reporters=[html,dosier]")
    assert done.code == 2
    assert "dossier" in done.err


@pytest.mark.parametrize("word", ["reporters.card.filename=../card.html", "reporters.card.rows=0"])
def test_impossible_parameters_are_the_users_mistake(project, word):
    done = project(*TABLE, *QUICK, "reporters=[card]", word)
    assert done.code == 2
    assert "card:" in done.err
    assert word.partition("=")[0] in done.err
    assert "Traceback" not in done.err
