"""Scoring: no champion, input that the model does not know, bundles that cannot be trusted, and the gate's no."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer
from workbench import Bench, refused

ESTIMATOR = "pipeline/estimator_0.skops"
HEADER = "age,income,city"


def not_scored(bench: Bench, output: str = "out.csv") -> None:
    """Check that a refused prediction left no file and changed no version, and is recorded as failed."""
    assert not (bench.folder / output).exists()
    assert not list(bench.folder.rglob("*.partial"))
    assert len(bench.versions()) == 1
    assert bench.runs()[0]["status"] == "failed"


def test_the_champion_scores(served: Bench):
    assert served.predict("input=my.csv", "output=out.csv").code == 0
    assert (served.folder / "out.csv").read_text().startswith(f"{HEADER},bought,y_pred,p_no,p_yes,model_version")


def test_a_model_from_a_csv_file_needs_no_file_but_the_input(served: Bench):
    result = served("predict", "data=csv", "input=my.csv", "output=out.csv", "trackers=[]")
    assert result.code == 0, result.err
    assert result.out.startswith("predict: data=csv\n"), "only what the task reads is shown"
    refused(served("predict", "data=csv", "output=out.csv", "trackers=[]"), "predict needs input", "input=FILE")


def test_what_is_written_with_tabs_is_read_with_tabs(served: Bench):
    assert served.predict("input=my.csv", "output=out.tsv").code == 0
    rows = [line.rsplit("\t", 5)[0] for line in (served.folder / "out.tsv").read_text().splitlines()]
    served.write("\n".join(rows) + "\n", "new.tsv")
    result = served.predict("input=new.tsv", "output=again.tsv")
    assert result.code == 0, result.err
    assert "80 predictions in again.tsv" in result.out


def test_no_model_at_all(bench: Bench):
    result = bench.predict("input=my.csv", "output=out.csv")
    refused(result, "There is no model 'csv'", "train a model first")
    assert bench.files() == {"my.csv"}


def test_no_champion(trained: Bench):
    result = trained.predict("input=my.csv", "output=out.csv")
    refused(result, "csv has no champion", "mlframe promote csv/1", "the versions are: csv/1")
    not_scored(trained)
    assert trained.predict("input=my.csv", "output=out.csv", "version=csv/1").code == 0


def test_a_version_that_is_not_there(served: Bench):
    refused(served.predict("input=my.csv", "output=out.csv", "version=csv/9"), "'csv/9'", "csv/1")
    not_scored(served)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"{HEADER.replace('income', 'incme')}\n1,2,rome\n", ("'income' is missing", "did you mean 'incme'")),
        ("city\nrome\n", ("'age' is missing", "'income' is missing")),
        (f"{HEADER}\nold,2,rome\n5,6,rome\n", ("'age'", "1 values are no Int64", "row 0: 'old'")),
        (f"{HEADER}\ninf,2,rome\n5,6,rome\n", ("'age'", "row 0", "inf")),
        (f"{HEADER},y_pred\n1,2,rome,yes\n", ("y_pred", "rename")),
        (f"{HEADER},p_yes\n1,2,rome,0.5\n", ("p_yes", "rename")),
        ("", ("empty", "'in.csv'", "from:  input")),
        (f"{HEADER}\n", ("no rows", "in.csv")),
        (f"{HEADER}\n1,2\n", ("Line 2 has 2 fields", "in.csv:2")),
    ],
    ids=[
        "near column",
        "missing columns",
        "wrong type",
        "infinite",
        "has y_pred",
        "has p_yes",
        "empty",
        "only a header",
        "ragged",
    ],
)
def test_input_that_the_model_does_not_know(served: Bench, content: str, words: tuple[str, ...]):
    served.write(content, "in.csv")
    refused(served.predict("input=in.csv", "output=out.csv"), *words)
    not_scored(served)


def test_rows_that_the_schema_refuses_are_refused_whatever_the_policy(served: Bench):
    schema = "data.schema={columns: {age: {dtype: int, checks: {le: 30}}}}"
    result = served.predict("input=my.csv", "output=out.csv", schema, "validators.pandera.policy=drop")
    text = refused(result, "column age: le(30) fails for")
    assert "policy=drop" not in text
    not_scored(served)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("input=in.xlsx", "output=out.csv"), ("'.xlsx'", "in.xlsx", ".parquet")),
        (("input=my.csv", "output=out.xlsx"), ("'.xlsx'", "out.xlsx", ".parquet")),
        (("input=my.csv", "output=out.csv.gz"), ("uncompressed", "out.csv.gz")),
        (("input=nope.csv", "output=out.csv"), ("no such file", "'nope.csv'", "from:  input")),
        (("input=my.csv", "output=./my.csv"), ("input and output are one file", "my.csv")),
        (("input=my.csv", "output=no/folder/out.csv"), ("folder is not there", "no/folder")),
        (("input=my.csv",), ("predict needs output", "output=FILE")),
        (("output=out.csv",), ("predict needs input", "input=FILE")),
    ],
    ids=lambda value: " ".join(value),
)
def test_paths_that_cannot_be(served: Bench, overrides: tuple[str, ...], words: tuple[str, ...]):
    before = (served.folder / "my.csv").read_bytes()
    refused(served.predict(*overrides), *words)
    not_scored(served)
    assert (served.folder / "my.csv").read_bytes() == before


def test_an_older_output_stays_when_the_new_one_fails(served: Bench):
    assert served.predict("input=my.csv", "output=out.csv").code == 0
    before = (served.folder / "out.csv").read_bytes()
    served.write(f"{HEADER}\nold,2,rome\n", "in.csv")
    refused(served.predict("input=in.csv", "output=out.csv"), "'age'")
    assert (served.folder / "out.csv").read_bytes() == before


# --------------------------------------------------------------------------------------------------------- gate


def test_the_gates_no_is_a_result(bench: Bench):
    result = bench.train("goal.targets.roc_auc=0.999")
    assert (result.code, result.err) == (0, "")
    assert "NOT met" in result.out
    assert "python -m mlframe promote" not in result.out
    assert bench.train("goal.targets.roc_auc=0.999", "gate.strict=true").code == 3
    assert {run["status"] for run in bench.runs()} == {"finished"}


def test_a_version_that_the_gate_refused_is_promoted_by_force_only(bench: Bench):
    bench.train("goal.targets.roc_auc=0.999")
    run = bench.runs()[0]["id"]
    refused(bench("promote", "csv/1"), "The gate said no to csv/1", f"run {run}", "--force")
    assert not bench.versions()[0]["aliases"]
    assert bench("promote", "csv/1", "--force").code == 0
    assert bench.versions()[0]["aliases"] == ["champion"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("promote", "csv/7"), ("There is no version 'csv/7'", "csv/1")),
        (("promote", "cvs/1"), ("There is no model 'cvs'", "did you mean 'csv'")),
        (("promote", "csv/one"), ("csv/one",)),
        (("rollback", "csv"), ("csv has no champion",)),
        (("rollback", "cvs"), ("'cvs'", "did you mean 'csv'")),
        (("show", "1999"), ("There is no run '1999'", "mlframe runs")),
        (("compare", "1999", "2000"), ("There is no run '1999'",)),
        (("rerun", "1999"), ("There is no run '1999'",)),
        (("history", "cvs"), ("cvs",)),
    ],
    ids=lambda value: " ".join(value),
)
def test_versions_and_runs_that_are_not_there(trained: Bench, argv: tuple[str, ...], words: tuple[str, ...]):
    refused(trained(*argv), *words)
    assert not trained.versions()[0]["aliases"]


# ------------------------------------------------------------------------------------------------------ bundles


def stored(bench: Bench, file: str) -> Path:
    """Return the object that holds a file of csv/1."""
    with sqlite3.connect(bench.home / "mlframe.db") as database:
        row = database.execute("SELECT address FROM mlframe_version_files WHERE file = ?", (file,)).fetchone()
    database.close()
    return bench.home / "objects" / row[0][:2] / row[0]


def put(bench: Bench, file: str, data: bytes) -> None:
    """Replace a file of csv/1 as somebody would who may write to the store: object, digest and table agree."""
    address = hashlib.sha256(data).hexdigest()
    path = bench.home / "objects" / address[:2] / address
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    with sqlite3.connect(bench.home / "mlframe.db") as database:
        database.execute(
            "UPDATE mlframe_version_files SET address = ?, size = ? WHERE file = ?", (address, len(data), file)
        )
    database.close()


def forge(bench: Bench, file: str, data: bytes) -> None:
    """Replace a file of csv/1 and write the manifest anew, so that every digest is right."""
    put(bench, file, data)
    manifest = json.loads(stored(bench, "manifest.json").read_bytes())
    manifest["files"][file] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    put(bench, "manifest.json", json.dumps(manifest).encode())


@pytest.mark.parametrize("file", [ESTIMATOR, "pipeline/featurizer_0.skops", "pipeline/pipeline.json", "manifest.json"])
def test_a_changed_byte(served: Bench, file: str):
    path = stored(served, file)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))
    result = served.predict("input=my.csv", "output=out.csv")
    refused(result, f"'{file}' is not what was registered", "expected", "found", "csv/1", "roll back")
    not_scored(served)


def test_a_file_of_the_bundle_is_gone(served: Bench):
    stored(served, ESTIMATOR).unlink()
    refused(served.predict("input=my.csv", "output=out.csv"), f"'{ESTIMATOR}'", "found no file", "csv/1")
    not_scored(served)


class Evil:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def test_a_pickle_in_the_bundle(served: Bench, tmp_path: Path):
    mark = tmp_path / "ran"
    forge(served, ESTIMATOR, pickle.dumps(Evil(mark)))
    refused(served.predict("input=my.csv", "output=out.csv"), f"pickle, '{ESTIMATOR}'", "could run any code")
    assert not mark.exists()
    not_scored(served)


@pytest.mark.parametrize("protocol", [0, 1])
def test_an_old_pickle_in_the_bundle(served: Bench, tmp_path: Path, protocol: int):
    mark = tmp_path / "ran"
    forge(served, ESTIMATOR, pickle.dumps(Evil(mark), protocol=protocol))
    refused(served.predict("input=my.csv", "output=out.csv"), ESTIMATOR.rpartition("/")[2])
    assert not mark.exists()
    not_scored(served)


def test_a_type_that_nobody_vouches_for(served: Bench):
    forge(served, ESTIMATOR, skops.io.dumps(FunctionTransformer(os.mkdir)))
    result = served.predict("input=my.csv", "output=out.csv")
    refused(result, "no installed plugin vouches for", "mkdir", "do not use the bundle")
    not_scored(served)


def test_a_bundle_of_another_format(served: Bench):
    manifest = json.loads(stored(served, "manifest.json").read_bytes())
    put(served, "manifest.json", json.dumps({**manifest, "format": 2}).encode())
    refused(served.predict("input=my.csv", "output=out.csv"), "format 2", "reads format 1")
    not_scored(served)
