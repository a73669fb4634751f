"""Fixtures for everyone who has mlframe installed (pytest plugin, entry point `pytest11`).

pytest imports this module in every session of the environment, so it imports nothing but pytest and the standard
library; each fixture imports what it needs.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mlframe.contracts import Deployment
    from mlframe.plugins import Plugins
    from mlframe.registry import Registry
    from mlframe.table import Table
    from mlframe.testing.recording import RecordingTracker

pytest_plugins = ("mlframe.testing.bundles",)

pytest.register_assert_rewrite(
    "mlframe.testing.checks",
    "mlframe.testing.suite",
    *(
        f"mlframe.testing.suite_{name}"
        for name in (
            "deployer",
            "ensembler",
            "evaluator",
            "explorer",
            "featurizer",
            "labeler",
            "model",
            "notifier",
            "reporter",
            "source",
            "splitter",
            "step",
            "tracker",
            "validator",
        )
    ),
)


@dataclass(frozen=True)
class CliResult:
    """What one command gave.

    Args:
        code: exit code.
        out: everything written to standard output.
        err: everything written to standard error.
    """

    code: int
    out: str
    err: str


@pytest.fixture
def project_folder() -> Path | None:
    """Folder that holds `mlframe_project.py`; override it to test a project's own components."""
    return None


@pytest.fixture
def plugins(project_folder: Path | None) -> Iterator[Plugins]:
    """Give a fresh plugin manager with everything that is installed, and the project's own file if there is one."""
    from mlframe.plugins import load_plugins

    with _own_modules():
        yield load_plugins(project=project_folder)


@pytest.fixture
def registry(plugins: Plugins) -> Registry:
    """Give every component of `plugins`."""
    return plugins.registry


@pytest.fixture
def compose(plugins: Plugins, project_folder: Path | None) -> Iterator[Callable[..., Any]]:
    """Compose a config as the door does: `compose("model=lgbm", "data=email")` gives the DictConfig.

    `folder=` is a `conf/` folder to search first; without it the one of `project_folder`, if there is one.
    """
    from mlframe.config.compose import compose as compose_config

    own = project_folder / "conf" if project_folder else None

    def run(*overrides: str, folder: Path | None = own) -> Any:
        return compose_config(plugins, list(overrides), folder).config

    yield run
    _forget_hydra()


@pytest.fixture
def tiny_table() -> Table:
    """Give 120 mixed rows: numbers, categories, text, dates, missing values, and a target of two classes."""
    from mlframe.testing.data import make_table

    return make_table()


@pytest.fixture(scope="session")
def trained_version(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Give a version of a small model in a store of its own, trained once a session: what a deployer gets."""
    from mlframe.testing.data import make_deployment

    return make_deployment(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install a plugin for one test: `install_plugin("name", source_text, version="1.0")`.

    It is a real distribution on the module path, found as any other; child processes see it too. `source_text` is the
    plugin's module; None names an importable module by `module=`. Returns the folder of the distribution.
    """
    count = 0

    def install(
        name: str,
        source: str | None = None,
        *,
        version: str = "1.0",
        module: str | None = None,
        dist: str | None = None,
    ) -> Path:
        nonlocal count
        count += 1
        folder = tmp_path / f"plugin_{count}"
        target = module or f"mlframe_test_plugin_{count}_{name.replace('-', '_')}"
        distribution = dist or f"mlframe-{name.replace('_', '-')}"
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        info.joinpath("entry_points.txt").write_text(f"[mlframe]\n{name} = {target}\n")
        if source is not None:
            folder.joinpath(f"{target}.py").write_text(source, encoding="utf-8")
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":" if sys.platform != "win32" else ";")
        importlib.invalidate_caches()
        return folder

    with _own_modules():
        yield install
    for number in range(1, count + 1):
        _forget_modules(tmp_path / f"plugin_{number}")


@pytest.fixture
def recording_tracker(install_plugin: Callable[..., Path]) -> type[RecordingTracker]:
    """Install a plugin that offers the tracker `recording`; the class's `calls` tell what it was told, in order.

    Ask for it before `plugins` or `compose`, so that they find it: `trackers=recording`.
    """
    from mlframe.testing.recording import RecordingTracker

    RecordingTracker.calls.clear()
    install_plugin("recording", module="mlframe.testing.recording")
    return RecordingTracker


@pytest.fixture
def run_cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., CliResult]]:
    """Run the door in this process, in an empty working directory: `run_cli("model=lgbm", "data=email").code`.

    The store is in that directory, and W&B is off unless the test sets `WANDB_MODE`.
    """
    home = tmp_path / "work"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("MLFRAME_HOME", str(home / ".mlframe"))
    monkeypatch.setenv("WANDB_MODE", "disabled")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)

    def run(*argv: str) -> CliResult:
        from mlframe.cli import main

        out, err = io.StringIO(), io.StringIO()
        with _own_modules(), _own_logging(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main(list(argv))
            except SystemExit as stop:  # argparse ends so for `--help` and unknown flags
                code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return CliResult(int(code or 0), out.getvalue(), err.getvalue())

    yield run
    _forget_hydra()


@contextlib.contextmanager
def _own_modules() -> Iterator[None]:
    """Undo what loading a project's own file does to the process: two projects share the name `mlframe_project`."""
    path, before = list(sys.path), sys.modules.get("mlframe_project")
    sys.modules.pop("mlframe_project", None)
    try:
        yield
    finally:
        folder = getattr(sys.modules.pop("mlframe_project", None), "__file__", None)
        if folder is not None:
            _forget_modules(Path(folder).parent)
        if before is not None:
            sys.modules["mlframe_project"] = before
        sys.path[:] = path


def _forget_modules(folder: Path) -> None:
    """Forget the modules of a folder, so that another test's of the same name are read."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and folder in Path(file).parents:
            del sys.modules[name]


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Undo what a run does to logging: a handler that holds this test's stream would write to a closed file later."""
    names: Sequence[str | None] = (None, "mlframe")
    before = [(logging.getLogger(name), list(logging.getLogger(name).handlers)) for name in names]
    levels = [logger.level for logger, _ in before]
    try:
        yield
    finally:
        for (logger, handlers), level in zip(before, levels, strict=True):
            for handler in [item for item in logger.handlers if item not in handlers]:
                handler.close()
            logger.handlers[:] = handlers
            logger.setLevel(level)


def _forget_hydra() -> None:
    if "hydra.core.global_hydra" in sys.modules:
        from hydra.core.global_hydra import GlobalHydra

        GlobalHydra.instance().clear()
