"""A wheel with the bundle inside: installed in an environment of its own, it predicts what the store's version predicts."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import polars as pl
import pytest
from workbench import TABLE, Bench, refused

import mlframe

PACKAGE = ("deploy", *TABLE, "deployer=package", "trackers=[]")


def installed(wheel: Path, folder: Path, code: str) -> str:
    """Install a wheel into a folder, and run code that sees it beside this environment's packages."""
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "-q", "--target", str(folder), str(wheel)]
    subprocess.run(pip, check=True, capture_output=True)
    environ = {key: value for key, value in os.environ.items() if key != "MLFRAME_HOME"}
    paths = [str(folder), str(Path(mlframe.__file__).parent.parent), sysconfig.get_paths()["purelib"]]
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_model_predicts_what_the_store_s_version_predicts(served: Bench, tmp_path: Path):
    result = served(*PACKAGE, "output=dist")
    assert result.code == 0, result.err
    assert "mlframe.load('csv')" in result.out
    (wheel,) = Path("dist").glob("*.whl")
    first = wheel.read_bytes()
    assert served(*PACKAGE, "output=dist").code == 0
    assert wheel.read_bytes() == first
    rows = served.folder / "my.csv"
    code = (
        "import mlframe, polars as pl\n"
        "model = mlframe.load('csv')\n"
        f"print(model.version); print(model.predict(pl.read_csv({str(rows)!r})).write_csv())"
    )
    said = installed(wheel, tmp_path / "site", code)
    expected = mlframe.load("csv@champion", store=served.home).predict(pl.read_csv(rows)).write_csv()
    assert said.strip() == f"csv/1\n{expected}".strip()


def test_pandas_frames_come_back_as_pandas_frames(served: Bench):
    pandas = pytest.importorskip("pandas")
    model = mlframe.load("csv", store=served.home)
    rows = pl.read_csv("my.csv")
    found = model.predict(pandas.DataFrame(rows.to_dict(as_series=False)))
    assert isinstance(found, pandas.DataFrame)
    assert found["p_yes"].tolist() == model.predict(rows.lazy())["p_yes"].to_list()


def test_what_is_missing_is_named(served: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(mlframe.UserError, match="'income' is missing"):
        mlframe.load("csv", store=served.home).predict(pl.read_csv("my.csv").drop("income"))
    with pytest.raises(mlframe.UserError, match=r"There is no model 'cvs'[\s\S]*csv"):
        mlframe.load("cvs", store=served.home)
    monkeypatch.delenv("MLFRAME_HOME", raising=False)
    monkeypatch.chdir(tmp_path / "..")
    with pytest.raises(mlframe.UserError, match="No model of this name is installed"):
        mlframe.load("csv")
    monkeypatch.setenv("MLFRAME_HOME", str(served.home))
    served.write("", "dist")
    monkeypatch.chdir(served.folder)
    refused(served(*PACKAGE, "output=dist"), "is a file")
