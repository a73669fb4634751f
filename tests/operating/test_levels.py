"""What a passing run does at each level, and what keeps it from doing so."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from mlframe.door import COMMANDS
from mlframe.store.store import Store
from mlframe.testing import make_table

pytestmark = pytest.mark.usefixtures("warm_children")

WORDS = ("data=csv", "data.source.path=rows.csv", "data.columns.label.role=target", "name=made", "model=linear")
QUICK = ("experiment=quick", "evaluators=[classification]", "reporters=[]", "trackers=[]", "~task.steps.explore")
PATIENT = ("tests.endpoint.latency_ms=60000", "tests.endpoint.throughput=0.001")


@pytest.fixture
def train(run_cli):
    make_table(300).frame.drop("__row__").write_csv("rows.csv")

    def run(*words: str) -> str:
        done = run_cli(*WORDS, *QUICK, *PATIENT, *words)
        assert done.code == 0, done.err
        return done.out

    return run


def holders() -> dict[str, str | None]:
    with Store.open(".mlframe", create=False) as store:
        return {alias: store.holder("made", alias) for alias in ("champion", "challenger")}


def test_level_0_leaves_it_to_a_person(train):
    out = train("level=0")
    assert "python -m mlframe promote made/1" in out
    assert "standard tests" not in out
    assert holders() == {"champion": None, "challenger": None}


def test_level_1_promotes_what_passes_the_standard_tests(train, run_cli):
    refused = train("level=1", "tests.size_mb=0.0001")
    assert "test_size: size_mb" in refused
    assert "made/1 is not promoted: the standard tests say no" in refused
    assert holders()["champion"] is None
    assert run_cli(*WORDS, *QUICK, "level=1", "tests.size_mb=0.0001", "gate.strict=true").code == 3
    out = train("level=1")
    assert "made/3 is the champion now" in out
    assert holders() == {"champion": "made/3", "challenger": None}
    with Store.open(".mlframe", create=False) as store:
        evidence = store.history("made")[0]["evidence"]
    assert evidence["tests"]["passed"] is True
    assert evidence["tests"]["counts"]["failed"] == 0
    assert evidence["checks"]


@pytest.mark.slow
def test_level_2_tries_it_behind_a_server_and_beside_the_champion(train, run_cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    refused = train("level=2", "tests.endpoint.throughput=1e12")
    assert "test_endpoint_throughput" in refused
    assert holders()["champion"] is None
    assert "made/2 is made@challenger now" in train("level=2")
    assert holders() == {"champion": None, "challenger": "made/2"}
    promoted = run_cli("promote", "made@challenger", "--why", "approved")
    assert promoted.code == 0, promoted.err
    assert "made/3 is made@challenger now; try it in the shadow" in train("level=2", "seed=1")
    assert holders() == {"champion": "made/2", "challenger": "made/3"}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("level.tests=stagd", "did you mean 'staged' or 'standard'?"),
        ("level.promote=gates", "did you mean 'gate'?"),
        ("tests.direction.amount=upwards", "available: falling, rising"),
        ("tests.agree=1.5", "above 0, at most 1"),
        ("tests.latency_ms=0", "tests.latency_ms must be above 0"),
        ("tests.slices.targets.accuracy=0.5", "no columns to make groups of"),
        ("tests.invarant=[a]", "did you mean tests.invariant?"),
        ("tests.slices.least=0", "tests.slices.least"),
    ],
)
def test_mistakes_are_told_before_any_data_is_read(run_cli, word, said):
    done = run_cli(*WORDS, word)
    assert done.code == 2
    assert said in done.err, done.err
    assert "Traceback" not in done.err


# ------------------------------------------------------------------------------------------------ the page

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/levels.md").read_text(encoding="utf-8")
PROPERTIES = re.findall(r"^\| (\d) \| (.+?) \| `mlframe (.+?)` \| `(?:.+?)::(?:\w+)` \|$", PAGE, re.MULTILINE)
TESTS = re.findall(r"`([\w/.-]+\.py)::(\w+)` \|$", PAGE, re.MULTILINE)


def test_the_page_names_every_property():
    assert {level for level, *_ in PROPERTIES} == {"0", "1", "2"}
    text = " ".join(what for _, what, *_ in PROPERTIES)
    for word in (
        "manual", "scripts", "apart", "rare", "no integration or delivery", "no monitoring", "rapid experiment",
        "continuous training", "symmetry", "modular", "continuous delivery", "pipeline is deployed", "data validation",
        "model validation", "feature store", "metadata", "trigger", "source control", "test and build",
        "deployment services", "model registry", "metadata store", "orchestrator",
    ):  # fmt: skip
        assert word in text, word


def test_every_named_test_is_real():
    assert len(TESTS) == len(re.findall(r"^\| \d \| ", PAGE.partition("## Property by property")[2], re.MULTILINE))
    for file, name in TESTS:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.MULTILINE), f"{file}::{name}"


@pytest.mark.parametrize("command", sorted({command for _, _, command in PROPERTIES}))
def test_every_named_command_is_real(run_cli, command):
    words = shlex.split(command)
    if words[0] in COMMANDS and "=" not in command:
        module = importlib.import_module(f"mlframe.commands.{words[0].replace('-', '_')}")
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        parser.parse_args(words[1:])
    elif words[0] == "ci":
        assert run_cli(*words, "--list").code == 0
    elif words[0] == "-m":
        assert run_cli("plan", *words).code == 0
    else:  # a task: it composes, and every key and parameter is one
        done = run_cli(*(word for word in words if word != "plan"), "--cfg")
        assert done.code == 0, done.err
