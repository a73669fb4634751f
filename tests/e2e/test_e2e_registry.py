"""Train, promote, predict, challenge, roll back; and what a run keeps, and does not keep, of itself."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import polars as pl
import pytest
from e2e_tools import Workspace, own, write_table

DATA = [*own(Path("rows.csv"))[:2], "name=own", "trackers=[]"]
SECRET = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two versions of one model, the first one champion, and rows to score."""
    made = Workspace.make(tmp_path_factory.mktemp("registry"))
    write_table(made.folder / "rows.csv", rows=200, flip=0.1)
    made.ok(*own(Path("rows.csv")), "model=linear")
    made.ok(*own(Path("rows.csv")), "model=linear", "model.classification.C=0.01")
    made.ok("promote", "own/1", "--why", "the first one")
    fresh = pl.DataFrame(
        {
            "colour": ["green", "ultraviolet", None, "red"],
            "remark": ["a", "b", "c", "d, with a comma"],
            "x2": [5.0, 4.0, 6.5, None],
            "x1": [-2.0, 2.0, 0.0, 3.0],
        }
    )
    fresh.write_csv(made.folder / "new.csv")
    fresh.write_parquet(made.folder / "new.parquet")
    fresh.write_ndjson(made.folder / "new.jsonl")
    return made


def predict(workspace: Workspace, source: str, output: str, *overrides: str) -> pl.DataFrame:
    workspace.ok("predict", *DATA, f"input={source}", f"output={output}", *overrides)
    path = workspace.folder / output
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    return pl.read_csv(path) if path.suffix == ".csv" else pl.read_ndjson(path)


def test_predict_keeps_rows_and_columns_in_every_format(workspace: Workspace) -> None:
    answers = []
    for source in ("new.csv", "new.parquet", "new.jsonl"):
        for ending in ("csv", "parquet", "jsonl"):
            scored = predict(workspace, source, f"scored.{ending}")
            assert scored.columns == ["colour", "remark", "x2", "x1", "y_pred", "p_no", "p_yes", "model_version"]
            assert scored["remark"].to_list() == ["a", "b", "c", "d, with a comma"]
            assert scored["model_version"].to_list() == ["own/1"] * 4
            answers.append(scored.select("y_pred", "p_yes").rows())
    for answer in answers:
        assert [row[0] for row in answer] == [row[0] for row in answers[0]]
        assert [row[1] for row in answer] == pytest.approx([row[1] for row in answers[0]], abs=1e-12)
    assert [row[0] for row in answers[0]] == ["no", "yes", answers[0][2][0], "yes"]


def test_predict_takes_numbers_and_aliases(workspace: Workspace) -> None:
    workspace.ok("promote", "own/2", "--alias", "candidate", "--why", "to look at")
    first = predict(workspace, "new.csv", "a.csv", "version=own/1")
    second = predict(workspace, "new.csv", "b.csv", "version=own/2")
    alias = predict(workspace, "new.csv", "c.csv", "version=own@candidate")
    champion = predict(workspace, "new.csv", "d.csv")
    assert alias["model_version"].unique().to_list() == ["own/2"]
    assert alias["p_yes"].to_list() == second["p_yes"].to_list() != first["p_yes"].to_list()
    assert champion.equals(first)


def test_without_a_champion_the_versions_and_the_command_are_named(workspace: Workspace) -> None:
    workspace.ok(*own(Path("rows.csv")), "model=dummy", "name=nobody")
    refused = workspace.run("predict", *DATA, "name=nobody", "input=new.csv", "output=never.csv")
    assert refused.code == 2
    assert "nobody has no champion" in refused.err
    assert "promote nobody/1" in refused.err
    assert not (workspace.folder / "never.csv").exists()


def test_predict_asks_for_the_data_whose_schema_checks_the_rows(workspace: Workspace) -> None:
    refused = workspace.run("predict", "version=own/1", "input=new.csv", "output=never.csv")
    assert refused.code == 2
    assert "No data is picked" in refused.err
    assert "email" in refused.err


def test_promotions_and_rollbacks_are_logged(workspace: Workspace) -> None:
    champion = predict(workspace, "new.csv", "before.csv")
    workspace.ok("promote", "own/2", "--why", "looks better")
    assert predict(workspace, "new.csv", "after.csv")["model_version"].unique().to_list() == ["own/2"]
    told = workspace.ok("rollback", "own", "--why", "it was not")
    assert "own@champion is own/1 again (it was own/2)" in told.out
    assert predict(workspace, "new.csv", "again.csv").equals(champion)
    with workspace.store() as store:
        log = [entry for entry in store.history("own") if entry["alias"] == "champion"]
    assert [(entry["action"], entry["from"], entry["to"], entry["why"]) for entry in log] == [
        ("promote", None, "own/1", "the first one"),
        ("promote", "own/1", "own/2", "looks better"),
        ("rollback", "own/2", "own/1", "it was not"),
    ]
    shown = workspace.ok("history", "own").out
    assert all(entry["why"] in shown for entry in log)
    versions = workspace.ok("versions", "own").out
    assert re.search(r"own/1\s+champion", versions), versions
    nothing = workspace.run("rollback", "own")
    assert nothing.code == 2
    assert "nothing before own/1" in nothing.err


def test_level_1_promotes_what_passes_and_keeps_what_does_not(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    write_table(workspace.folder / "old.csv", rows=150, seed=1, flip=0.05)
    write_table(workspace.folder / "rows.csv", rows=300, seed=2, flip=0.05)
    command = [*own(Path("rows.csv")), "splitter=holdout", "splitter.holdout=0.4", "level=1"]
    first = workspace.ok(*own(Path("old.csv")), "model=linear", "level=1")
    assert "own/1  (champion)" in first.out

    worse = workspace.ok(*command, "model=dummy")
    gate = workspace.last()["summary"]["gate"]
    check = next(item for item in gate["checks"] if item["name"] == "no worse than own/1")
    assert (gate["passed"], check["passed"]) == (False, False), check
    assert "NOT met" in worse.out
    assert "on 120 holdout rows that are new to it" in check["evidence"]
    refused = workspace.run("promote", "own/2")
    assert refused.code == 2
    assert "The gate said no to own/2" in refused.err

    better = workspace.ok(*command, "model=linear", "gate.tolerance=0.02")
    assert "own/3  (champion)" in better.out
    with workspace.store() as store:
        log = store.history("own")
        assert [(entry["to"], entry["who"]) for entry in log] == [("own/1", "gate"), ("own/3", "gate")]
        assert log[-1]["evidence"]["checks"]
    strict = workspace.run(*command, "model=dummy", "gate.strict=true")
    assert strict.code == 3, strict.out + strict.err


def test_a_champion_is_not_compared_on_rows_that_it_was_trained_on(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    write_table(workspace.folder / "rows.csv", rows=300, flip=0.3)
    command = [*own(Path("rows.csv")), "splitter=holdout", "level=1"]
    # An overgrown forest knows its own train rows by heart; another seed's holdout holds most of them.
    workspace.ok(*command, "model=forest", "model.n_estimators=20", "splitter.holdout=0.5")
    workspace.ok(*command, "model=linear", "seed=5", "splitter.holdout=0.5")
    check = workspace.last()["summary"]["gate"]["checks"][-1]
    assert check["name"] == "no worse than own/1"
    found = re.search(r"on (\d+) holdout rows that are new to it", check["evidence"])
    assert found is not None, check
    assert 50 <= int(found[1]) <= 100  # half of the 150; the other half taught the champion
    assert check["wanted"] < 0.9  # by heart it would be 1
    # Where nothing is new to the champion, nothing is compared, and it says so.
    workspace.ok(*command, "model=linear", "seed=0", "splitter.holdout=0.05")
    last = workspace.last()["summary"]["gate"]["checks"][-1]
    assert last["passed"] is None
    assert "not compared" in last["evidence"]


def test_a_run_keeps_how_it_was_made_and_no_secret(tmp_path: Path) -> None:
    workspace = Workspace.make(tmp_path / "work")
    write_table(workspace.folder / "rows.csv", rows=80)
    git = ["git", "-C", str(workspace.folder), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    (workspace.folder / ".gitignore").write_text(".mlframe\n", encoding="utf-8")
    (workspace.folder / "notes.txt").write_text("one\n", encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    (workspace.folder / "notes.txt").write_text("two\n", encoding="utf-8")
    words = [
        *own(Path("rows.csv")),
        "model=linear",
        "splitter.folds=2",
        "goal.owner=${oc.env:TEAM_TOKEN}",
        "reporters=html",
    ]
    workspace.ok(*(word for word in words if word != "reporters=[]"), TEAM_TOKEN=SECRET)
    run = workspace.last()
    assert run["config"]["goal"]["owner"] == "${oc.env:TEAM_TOKEN}"
    assert run["config"]["model"]["name"] == "linear"
    assert isinstance(run["config"]["resources"]["threads"], int)
    facts = run["facts"]
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert facts["code"]["commit"] == head
    assert facts["code"]["dirty"] is True
    assert "+two" in facts["code"]["diff"]
    assert {"polars", "scikit-learn", "mlframe"} <= set(facts["packages"])
    assert facts["seed"] == 0
    assert run["summary"]["peak_memory"] > 1 << 20
    with workspace.store() as store:
        steps = store.steps(run["id"])
    assert all(step["seconds"] >= 0 and step["peak_memory"] for step in steps)
    assert all(step["key"] for step in steps[:-1])  # a last step that always runs is asked by nobody
    shown = workspace.ok("show", run["id"])
    assert head[:8] in shown.out
    secret = SECRET.encode()
    files = [path for path in (workspace.folder / ".mlframe").rglob("*") if path.is_file()]
    assert len(files) > 10
    assert not [path for path in files if secret in path.read_bytes()]
    config = next(path for path in files if b"${oc.env:TEAM_TOKEN}" in path.read_bytes() and path.suffix != ".db")
    assert config is not None
    rerun = workspace.ok("rerun", run["id"], TEAM_TOKEN=SECRET)
    assert rerun.steps()["fit"] == "cached"
    assert workspace.last()["config"]["goal"]["owner"] == "${oc.env:TEAM_TOKEN}"


def test_the_bundle_says_what_it_needs(workspace: Workspace) -> None:
    with workspace.store() as store:
        folder = store.open_bundle("own/1")
        summary = store.run(store.version("own/1")["run_id"])["summary"]
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["format"] == 1
    assert [column["name"] for column in manifest["inputs"]] == ["x1", "x2", "colour"]
    assert manifest["learning"]["classes"] == ["no", "yes"]
    needed = {entry["package"]: entry["version"] for entry in manifest["plugins"]}
    assert needed["mlframe"] == version("mlframe")
    assert needed["sklearn"] == version("scikit-learn")
    assert pl.read_ipc(folder / "examples.arrow").height == 40
    assert manifest["fast"]["proven"]
    assert manifest["fast"]["difference"] < 1e-9
    assert "proven on the holdout rows" in summary["fast"]
