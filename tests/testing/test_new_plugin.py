"""The scaffold of every kind passes its own tests, and a bad name writes nothing."""

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from mlframe.commands import new_plugin
from mlframe.commands.new_plugin import kinds, write_plugin
from mlframe.errors import ConfigError, PluginError, UnknownNameError
from mlframe.registry import GROUPS
from mlframe.testing.checks import heavy_among, loaded_modules


def test_kinds_are_the_registration_hooks():
    assert set(kinds().values()) == set(GROUPS)
    for kind in kinds():
        assert hasattr(importlib.import_module("mlframe.testing"), f"{kind.capitalize()}Suite")


def test_every_scaffold_passes_its_own_tests(tmp_path: Path, install_plugin):
    for kind in kinds():
        folder = write_plugin(f"my-own-{kind}", kind, tmp_path / "written")
        installed = install_plugin(f"my_own_{kind}", module=f"mlframe_my_own_{kind}")
        (folder / f"mlframe_my_own_{kind}").rename(installed / f"mlframe_my_own_{kind}")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path / "written")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert "skipped" not in done.stdout


def test_scaffold_is_whole_and_commented(tmp_path: Path):
    folder = write_plugin("my-thing", "source", tmp_path)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "pyproject.toml",
        "mlframe_my_thing/__init__.py",
        "mlframe_my_thing/conf/__init__.py",
        "mlframe_my_thing/conf/data/source/my_thing.yaml",
        "mlframe_my_thing/source.py",
        "tests/test_my_thing.py",
    }
    assert not [path for path in tmp_path.iterdir() if path != folder], "a scratch folder is left"


@pytest.mark.parametrize("kind", kinds())
def test_scaffold_is_formatted(tmp_path: Path, kind: str):
    folder = write_plugin("thing", kind, tmp_path)
    for command in (["format", "--check", "--diff"], ["check", "--select", "E,F,W,I,B,UP"]):
        ruff = [sys.executable, "-m", "ruff", command[0], "--isolated", "--no-cache", "--line-length", "120"]
        done = subprocess.run([*ruff, *command[1:], str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_unknown_kind_shows_near_matches(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="did you mean 'featurizer'"):
        write_plugin("my-thing", "featuriser", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["My-Thing", "1st", "a b", "", "../up", "a--b", "-a", "a-", "naïve", "mlframe-thing"])
def test_bad_names_are_refused(tmp_path: Path, name: str):
    with pytest.raises(ConfigError, match="cannot have this name"):
        write_plugin(name, "model", tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path):
    folder = write_plugin("my-thing", "model", tmp_path)
    folder.joinpath("README.md").write_text("mine")
    with pytest.raises(PluginError, match="exists"):
        write_plugin("my_thing", "source", tmp_path)
    assert folder.joinpath("README.md").read_text() == "mine"


def test_a_name_that_another_plugin_has_is_refused(tmp_path: Path, install_plugin):
    offer = "def mlframe_models():\n    return [mlframe.Component('taken', 'a:B', 'x')]\n"
    install_plugin("other", f"import mlframe\n@mlframe.hookimpl\n{offer}")
    with pytest.raises(PluginError, match=r"model=taken is offered by mlframe-other 1\.0"):
        write_plugin("taken", "model", tmp_path)


def test_the_command_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    parser = argparse.ArgumentParser()
    new_plugin.add_arguments(parser)
    assert new_plugin.run(parser.parse_args(["my-thing", "--hook", "tracker", "--folder", str(tmp_path)])) == 0
    out = capsys.readouterr().out
    assert "pip install -e" in out
    assert "tracker.py" in out
    assert new_plugin.SUMMARY


def test_the_command_imports_no_library():
    assert heavy_among(loaded_modules("import mlframe.commands.new_plugin")) == []
