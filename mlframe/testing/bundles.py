"""Standard tests of a version, and fixtures for tests of one's own: `pytest --mlframe-bundle champion`.

    pytest --mlframe-bundle champion                      # the standard tests of email@champion
    pytest --mlframe-bundle email/7 tests/model           # these and your own
    pytest --mlframe-bundle FOLDER --mlframe-checks expectations.yaml
    pytest --mlframe-bundle email/7 --mlframe-endpoint start    # also behind a server

A test of your own asks for the fixtures `bundle`, `model`, `examples` and `endpoint`; without the option it is skipped. pytest loads
this module in every session of the environment, so it imports nothing but pytest and the standard library.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import polars as pl

    from mlframe.loading import LoadedModel
    from mlframe.pipeline import Pipeline
    from mlframe.pipeline.opening import Opened
    from mlframe.registry import Registry
    from mlframe.testing.endpoint import Endpoint
    from mlframe.testing.expectations import Expectations

__all__ = ["Bundle", "BundleRecord", "open_bundle"]

STANDARD = Path(__file__).with_name("standard.py")
STAGED = Path(__file__).with_name("staged.py")
OPENED = pytest.StashKey["Bundle"]()
LATEST = "latest"
TRUTH = "truth.arrow"


@dataclass
class Bundle:
    """A version under test.

    Args:
        reference: such as `email/7`; a folder's name where no store was asked.
        opened: the bundle; its digests have been checked.
        config: the config that it was made with.
        expectations: what it must keep to.
        registry: the installed components.
        labelled: rows with their truth, where a file of them was given.
    """

    reference: str
    opened: Opened
    config: Mapping[str, Any]
    expectations: Expectations
    registry: Registry
    labelled: Path | None = None

    @property
    def folder(self) -> Path:
        """The bundle's folder; not to be changed."""
        return self.opened.folder

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The bundle's manifest."""
        return self.opened.manifest

    @property
    def pipeline(self) -> Pipeline:
        """The fitted pipeline."""
        return self.opened.pipeline

    @property
    def columns(self) -> list[dict[str, Any]]:
        """Records of the input columns: name, kind, dtype, tags."""
        return self.pipeline.columns

    @property
    def size_mb(self) -> float:
        """Megabytes (10**6 bytes) of all files."""
        return sum(int(item["size"]) for item in self.manifest["files"].values()) / 1e6

    @cached_property
    def rules(self) -> dict[str, dict[str, Any]]:
        """What the validators ask of the input columns' values, by column."""
        path = self.folder / "schema.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))["rules"]) if path.is_file() else {}

    @cached_property
    def figures(self) -> dict[str, dict[str, Any]]:
        """Part (folds, holdout) to figure to value, low and high."""
        return dict(json.loads((self.folder / "figures.json").read_text(encoding="utf-8")))

    @cached_property
    def examples(self) -> pl.DataFrame:
        """Up to 200 holdout rows: the input columns."""
        import polars as pl

        return pl.read_ipc(self.folder / "examples.arrow")

    @cached_property
    def expected(self) -> pl.DataFrame:
        """What the pipeline said of the examples where it was made."""
        import polars as pl

        return pl.read_ipc(self.folder / "expected.arrow")

    def score(self, frame: pl.DataFrame) -> Any:
        """Return the rows' scores, shape (rows, classes), or (rows, 1) for values, float64."""
        import numpy as np

        outputs = np.asarray(self.pipeline.outputs(frame), dtype=np.float64)
        return outputs.reshape(len(frame), -1)

    def rows(self) -> tuple[pl.DataFrame, pl.Series] | None:
        """Return rows whose truth is known, and the truth: the file that was given, else the examples; None without any.

        Raises:
            DataError: the file cannot be read, or lacks columns.
        """
        import polars as pl

        from mlframe.errors import DataError, near_matches
        from mlframe.pipeline.inputs import conform
        from mlframe.table import ROW

        target = self.pipeline.learning.target
        if self.labelled is None:
            path = self.folder / TRUTH
            return (self.examples, pl.read_ipc(path)["y"]) if path.is_file() else None
        readers: dict[str, Any] = {".csv": pl.read_csv, ".json": pl.read_json}
        read = readers.get(self.labelled.suffix, pl.read_parquet)
        try:
            frame = read(self.labelled)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"The rows cannot be read ({type(error).__name__}: {str(error).splitlines()[0]})",
                where=f"--mlframe-rows {self.labelled}",
                hint="name a csv, json or parquet file",
            ) from error
        if target not in frame.columns:
            near = near_matches(target, frame.columns)
            raise DataError(
                f"The rows have no column {target!r}, which holds the truth",
                where=f"--mlframe-rows {self.labelled}",
                hint=f"did you mean {near[0]!r}?" if near else f"the columns are: {', '.join(frame.columns)}",
            )
        known = frame.filter(pl.col(target).is_not_null())
        return conform(known.with_row_index(ROW), self.columns, str(self.labelled)).drop(ROW), known[target]


def open_bundle(
    name: str, store: str | None = None, checks: Path | None = None, labelled: Path | None = None
) -> Bundle:
    """Open a version for testing.

    Args:
        name: a version (`email/7`), an alias (`email@champion`, or `champion` where the store has one model), the newest
            version (`email@latest`), or a folder.
        store: root of the store; without it `MLFRAME_HOME`, then `.mlframe` in the working directory.
        checks: a YAML file of expectations.
        labelled: a file of rows with their truth.

    Raises:
        MlframeError: it cannot be found or opened, or the expectations say something impossible.
    """
    from mlframe.pipeline.opening import open_pipeline
    from mlframe.plugins import load_plugins
    from mlframe.store.bundle import MANIFEST, read_json, read_manifest
    from mlframe.testing.expectations import read_expectations

    registry = load_plugins((), None, Path.cwd()).registry
    folder = Path(name)
    if (folder / MANIFEST).is_file() or (folder / "bundle" / MANIFEST).is_file():
        folder = folder if (folder / MANIFEST).is_file() else folder / "bundle"  # a folder that `export` wrote
        read_manifest(folder)
        reference = folder.name
    else:
        reference, folder = _registered(name, store)
    opened = open_pipeline(folder, registry, where=reference)
    config = read_json(folder / "config.json")
    expectations = read_expectations(config, opened.pipeline.inputs, checks)
    return Bundle(reference, opened, config, expectations, registry, labelled)


def _registered(name: str, root: str | None) -> tuple[str, Path]:
    from mlframe.store.store import Store

    url = None if root else os.environ.get("MLFRAME_STORE_URL")
    with Store.open(root or os.environ.get("MLFRAME_HOME") or str(Path.cwd() / ".mlframe"), url, create=False) as store:
        reference = store.version(_full(store, name))["reference"]
        return reference, store.open_bundle(reference)


def _full(store: Any, name: str) -> str:
    """Return the name of one version: an alias alone is that of the only model that has it, `latest` the newest."""
    from mlframe.errors import UnknownNameError

    models = sorted({version["name"] for version in store.versions()})
    if "/" not in name and "@" not in name and name not in models:
        holders = models if name == LATEST else [model for model in models if store.holder(model, name) is not None]
        if len(holders) > 1:
            raise UnknownNameError(
                f"{len(holders)} models have a {name}",
                value=name,
                where="--mlframe-bundle",
                hint="name one: " + ", ".join(f"{model}@{name}" for model in holders),
            )
        name = f"{(holders or models or [name])[0]}@{name}"
    model, _, alias = name.rpartition("@")
    if alias == LATEST and model in models and store.holder(model, alias) is None:
        name = str(store.versions(model)[-1]["reference"])
    return name


# ------------------------------------------------------------------------------------------------ pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    group = parser.getgroup("mlframe", "standard tests of a model (mlframe)")
    group.addoption(
        "--mlframe-bundle", metavar="VERSION", help="test this version (email/7, champion) or the bundle in this folder"
    )
    group.addoption("--mlframe-store", metavar="ROOT", help="the store (default: MLFRAME_HOME, then .mlframe here)")
    group.addoption("--mlframe-checks", metavar="FILE", help="YAML of limits and expectations over the bundle's own")
    group.addoption("--mlframe-rows", metavar="FILE", help="rows with their truth, for the minimum of slices")
    group.addoption(
        "--mlframe-endpoint",
        metavar="ADDRESS",
        help="also test it behind this server; 'start' starts one for the tests",
    )
    group.addoption("--mlframe-json", metavar="FILE", help="write what came out as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Open the bundle, and add the standard tests to what is collected; without paths they alone are run."""
    name = config.getoption("--mlframe-bundle")
    if not name:
        return
    from mlframe.errors import MlframeError

    checks, rows, record = (config.getoption(f"--mlframe-{key}") for key in ("checks", "rows", "json"))
    try:
        bundle = open_bundle(
            name, config.getoption("--mlframe-store"), Path(checks) if checks else None, Path(rows) if rows else None
        )
    except MlframeError as error:
        raise pytest.UsageError(str(error)) from error
    config.stash[OPENED] = bundle
    own = config.args if config.args_source is pytest.Config.ArgsSource.ARGS else list(bundle.expectations.paths)
    config.args = [str(STANDARD), *([str(STAGED)] if config.getoption("--mlframe-endpoint") else []), *own]
    if record and not hasattr(config, "workerinput"):
        config.pluginmanager.register(BundleRecord(bundle, Path(record)), "mlframe-record")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is tested."""
    bundle = config.stash.get(OPENED, None)
    if bundle is None:
        return []
    return [f"mlframe: {bundle.reference}, {len(bundle.examples)} examples, {len(bundle.columns)} columns"]


class _Standard(pytest.Module):
    """The standard tests under the version's name, wherever mlframe is installed."""


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Call the standard tests by the version's name: `email/7::test_parity_examples`."""
    bundle = parent.config.stash.get(OPENED, None)
    if bundle is None or module_path not in (STANDARD, STAGED):
        return None
    made: pytest.Module = _Standard.from_parent(parent, path=module_path, nodeid=bundle.reference)
    return made


@pytest.fixture(scope="session")
def bundle(request: pytest.FixtureRequest) -> Bundle:
    """Give the version under test; a test that asks for it is skipped where none is given."""
    found = request.config.stash.get(OPENED, None)
    if found is None:
        pytest.skip("no version is given: pytest --mlframe-bundle champion")
    return found


@pytest.fixture(scope="session")
def model(bundle: Bundle) -> LoadedModel:
    """Give the version as `mlframe.load` does: `model.predict(frame)`."""
    from mlframe.loading import LoadedModel

    return LoadedModel(bundle.reference, bundle.pipeline)


@pytest.fixture(scope="session")
def endpoint(request: pytest.FixtureRequest, bundle: Bundle) -> Iterator[Endpoint]:
    """Give a server that answers with the version under test; a test that asks for it is skipped where none is given."""
    address = request.config.getoption("--mlframe-endpoint")
    if not address:
        pytest.skip("no endpoint is given: pytest --mlframe-bundle champion --mlframe-endpoint start")
    from mlframe.errors import MlframeError
    from mlframe.testing.endpoint import staged

    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(staged(bundle, address))
        except MlframeError as error:
            pytest.fail(str(error), pytrace=False)
        yield found


@pytest.fixture
def examples(bundle: Bundle) -> pl.DataFrame:
    """Give the bundle's examples: up to 200 holdout rows with the input columns."""
    return bundle.examples.clone()


class BundleRecord:
    """Writes the outcome of a session as JSON: `--mlframe-json FILE`.

    Args:
        bundle: the version under test.
        file: where to.
    """

    def __init__(self, bundle: Bundle, file: Path) -> None:
        self.bundle, self.file = bundle, file
        self.tests: dict[str, dict[str, Any]] = {}
        self._began = time.monotonic()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the outcome of each test; a failure before or after it is one of the test."""
        if report.when != "call" and report.passed:
            return
        text = ""
        if report.skipped:
            text = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        elif report.failed:
            text = report.longreprtext
        found = {"test": report.nodeid, "outcome": report.outcome, "text": text.removeprefix("Skipped: ").strip()}
        if self.tests.get(report.nodeid, {}).get("outcome") != "failed":
            self.tests[report.nodeid] = found

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep files of tests that cannot be read."""
        if report.failed:
            self.tests[report.nodeid] = {"test": report.nodeid, "outcome": "failed", "text": str(report.longrepr)}

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Write the file, whole or not at all."""
        outcomes = [test["outcome"] for test in self.tests.values()]
        record = {
            "version": self.bundle.reference,
            "passed": int(exitstatus) == 0 and "passed" in outcomes and "failed" not in outcomes,
            "seconds": round(time.monotonic() - self._began, 3),
            "counts": {name: outcomes.count(name) for name in ("passed", "failed", "skipped")},
            "tests": list(self.tests.values()),
        }
        temporary = self.file.with_name(f".{self.file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
        temporary.replace(self.file)
