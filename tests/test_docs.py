"""Every command and file that the papers show works, and every link leads somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from mlframe.sources.bundled import BundledSource

ROOT = Path(__file__).parent.parent
PAPERS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md"), *ROOT.glob("plugins/*/*.md")]
)
# docs/writing-plugins.md and the examples are followed to the letter by tests/test_examples.py.
WALKED = [ROOT / "README.md", ROOT / "docs/configuring.md", ROOT / "docs/evaluating.md"]
TASKS = ("predict", "scope", "assess")
COMMANDS_OF_ALL = ("plan", "why", "plugins", "doctor", "--help", "runs", "versions", "promote", "rollback", "history")
FAST = ("experiment=quick", "model=dummy", "evaluators=[classification]", "reporters=[]", "trackers=[]")


def blocks(paper: Path) -> Iterator[tuple[str, str]]:
    """Give language and text of each fenced block."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", paper.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def commands(paper: Path) -> Iterator[list[str]]:
    """Give the words after `python -m mlframe` of each line that is to be typed."""
    for language, text in blocks(paper):
        for line in text.splitlines() if language == "console" else ():
            if line.startswith("python -m mlframe "):
                yield shlex.split(line, comments=True)[3:]


def write_files(paper: Path, folder: Path) -> list[str]:
    """Write the files that a paper shows: blocks whose first comment (after Hydra's own) begins with a path."""
    names = []
    for language, text in blocks(paper):
        named = re.match(r"(?:# @package .*\n)?# ([\w./-]+\.(?:yaml|py))\b", text)
        if language in ("yaml", "python") and named:
            file = folder / named[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            names.append(named[1])
    return names


@pytest.fixture
def workplace(run_cli, monkeypatch) -> Path:
    """Make the working directory that the papers speak of: a table of customers, new mail, two versions of `email`."""
    monkeypatch.setenv("COLUMNS", "160")
    BundledSource("churn").read().write_csv("customers.csv")
    rows = BundledSource("email").read()
    # A small mailbox, so that two versions are there in seconds; its columns and schema are those of the bundled one.
    rows.gather_every(8).write_parquet("mail.parquet")
    rows.tail(3).drop("label").write_csv("new.csv")
    mail = ("data=email", "data/source=parquet", "data.source.path=mail.parquet", "~data.source.dataset")
    for seed in (1, 2):
        # `quick` cuts at random, which mail in its order of arrival does not bear: the gate would say so.
        trained = run_cli(*mail, *FAST, "splitter=time", f"seed={seed}", "cache=none", "goal.targets.roc_auc=0.1")
        assert trained.code == 0, trained.err
    return Path.cwd()


pytestmark = pytest.mark.usefixtures("warm_children")


@pytest.mark.slow
@pytest.mark.parametrize("paper", WALKED, ids=lambda path: path.name)
def test_commands_work(paper, workplace, run_cli):
    assert write_files(paper, workplace)
    found = list(commands(paper))
    assert len(found) > 10
    failed = []
    for words in found:
        if words[0] in COMMANDS_OF_ALL or words[0] in TASKS:
            done = run_cli(*words)
        elif "name=customers" in words:  # the commands below it need its version
            done = run_cli(*words, "reporters=[]", "trackers=[]")
        elif "--cfg" in words:
            done = run_cli(*words)
        else:  # a training: it is planned, every job of it
            done = run_cli("plan", *words)
        if done.code != 0:
            failed.append(f"python -m mlframe {shlex.join(words)}\n{done.err or done.out}")
    assert not failed, "\n\n".join(failed)
    if paper.name == "README.md":
        assert {"y_pred", "p_ham", "p_spam", "model_version"} <= set(pl.read_csv("scores.csv").columns)


@pytest.mark.slow
def test_commands_of_the_reporting_page_work(workplace, run_cli):
    for words in commands(ROOT / "docs/reporting.md"):
        done = run_cli(*words) if words[0] in ("compare", "measures") else run_cli("plan", *words)
        assert done.code == 0, f"{shlex.join(words)}\n{done.err}"
    assert (workplace / "both.html").is_file()
    assert (workplace / "measures.html").is_file()


@pytest.mark.slow
def test_commands_of_the_tuning_page_work(workplace, run_cli):
    write_files(ROOT / "docs/tuning.md", workplace)
    swept = run_cli("-m", "data=churn", "sweep=random", *FAST, "model=linear", "sweep.trials=2", "sweep.close=false")
    assert swept.code == 0, swept.err
    for words in commands(ROOT / "docs/tuning.md"):
        if words[0] == "leaderboard":
            done = run_cli("leaderboard", "last", *words[2:])
        elif "sweep.resume=last" in words:
            done = run_cli(*(word.replace("=100", "=3") for word in words))
        else:
            done = run_cli("plan", *words)
        assert done.code == 0, f"{shlex.join(words)}\n{done.err}"
    assert (workplace / "leaderboard.html").is_file()


@pytest.mark.slow
def test_commands_of_the_registry_page_work(workplace, run_cli):
    found = list(commands(ROOT / "docs/registry.md"))
    assert len(found) > 10
    for words in found:
        done = run_cli(*words)
        assert done.code == 0, f"{shlex.join(words)}\n{done.err}"
    assert (workplace / "production" / "mlframe.db").is_file()


def test_the_own_data_file_trains(run_cli):
    BundledSource("churn").read().write_csv("customers.csv")
    write_files(ROOT / "docs/configuring.md", Path.cwd())
    trained = run_cli("data=customers", "model=linear", "reporters=[]", "trackers=[]", "evaluators=[classification]")
    assert trained.code == 0, trained.err
    assert "customers/1" in trained.out


def test_the_readme_begins_with_two_commands():
    language, text = next(blocks(ROOT / "README.md"))
    assert language == "console"
    assert [line.partition("#")[0].strip() for line in text.splitlines()] == ["make demo", "make test"]


def test_continuous_integration_runs_the_readme_command():
    lines = (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()
    assert [line.partition("<")[0].strip() for line in lines if line.startswith("make")] == ["make test"]


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for paper in PAPERS:
        text = paper.read_text(encoding="utf-8")
        named = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE))
        assert named <= targets, f"{paper.name} names targets that are not there"


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(paper):
    text = re.sub(r"^```.*?^```$", "", paper.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for address in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", address):
            continue
        name, _, anchor = address.partition("#")
        target = (paper.parent / name).resolve() if name else paper
        assert target.exists(), f"{paper.name}: {address}"
        if anchor and target.suffix == ".md":
            heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
            assert anchor in anchors, f"{paper.name}: {address}"
