"""Every built-in keeps the contract that third parties are held to; the list comes from the registry."""

from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from mlframe.plugins import load_plugins
from mlframe.registry import GROUPS
from mlframe.table import ROW, Table
from mlframe.testing import (
    DeployerSuite,
    EnsemblerSuite,
    EvaluatorSuite,
    ExplorerSuite,
    FeaturizerSuite,
    LabelerSuite,
    ModelSuite,
    MonitorSuite,
    ReporterSuite,
    SourceSuite,
    SplitterSuite,
    StepSuite,
    TrackerSuite,
    ValidatorSuite,
    make_table,
)

pytestmark = pytest.mark.usefixtures("warm_loads")

REGISTRY = load_plugins(only=[]).registry
BUILT_IN = {group: REGISTRY.names(group) for group in GROUPS.values()}


def test_no_built_in_is_left_out():
    for group, names in BUILT_IN.items():
        assert names, f"no built-in in the group {group}"


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def each(group: str):
    return pytest.mark.parametrize("name", BUILT_IN[group], indirect=True)


@each("data/source")
class TestSources(SourceSuite):
    FILES: ClassVar = {"csv": "rows.csv", "parquet": "rows.parquet", "json": "rows.jsonl"}

    @pytest.fixture
    def component(self, name: str, tmp_path: Path):
        if name == "bundled":
            return {"name": name, "dataset": "spambase"}
        if name == "generated":
            return {"name": name, "dataset": "shopping_trends", "daily": 1}
        self.write(name, tmp_path, 20)
        return {"name": name, "path": str(tmp_path / self.FILES[name])}

    @pytest.fixture
    def change(self, name: str, tmp_path: Path):
        return None if name in ("bundled", "generated") else lambda: self.write(name, tmp_path, 21)

    def write(self, name: str, folder: Path, rows: int) -> None:
        frame = make_table(rows).frame.drop(ROW)
        write = {"csv": frame.write_csv, "parquet": frame.write_parquet, "json": frame.write_ndjson}[name]
        write(folder / self.FILES[name])


@each("validators")
class TestValidators(ValidatorSuite):
    @pytest.fixture
    def component(self, name: str):
        return {"name": name, "schema": {"columns": {"visits": {"dtype": "int", "checks": {"ge": 0}}}}}

    @pytest.fixture
    def bad(self) -> tuple[Table, set[int]]:
        table = make_table()
        visits = pl.when(pl.col(ROW).is_in([3, 8])).then(-1).otherwise("visits").cast(pl.Int64)
        return table.with_frame(table.frame.with_columns(visits=visits)), {3, 8}


@each("labeler")
class TestLabelers(LabelerSuite):
    @pytest.fixture
    def component(self, name: str):
        return name


@each("splitter")
class TestSplitters(SplitterSuite):
    gaps = True  # the first window in time trains only, and `holdout` validates one part only

    @pytest.fixture
    def component(self, name: str):
        return name


@each("explorer")
class TestExplorers(ExplorerSuite):
    @pytest.fixture
    def component(self, name: str):
        return name


@each("featurizer")
class TestFeaturizers(FeaturizerSuite):
    @pytest.fixture
    def component(self, name: str):
        return name

    @pytest.fixture
    def table(self, name: str) -> Table:
        table = make_table()
        takes = {"none": ("numeric", "boolean"), "text": ("text",)}.get(name)
        gone = {c.name for c in table.features if takes and c.kind not in takes}
        return Table(table.frame.drop(gone), tuple(c for c in table.columns if c.name not in gone))


# `sklearn` is as many models as scikit-learn has; one regressor and one classifier stand for them below.
@pytest.mark.parametrize("name", [name for name in BUILT_IN["model"] if name != "sklearn"], indirect=True)
class TestModels(ModelSuite):
    @pytest.fixture
    def component(self, name: str):
        # Few rounds: the contract is the same, the suite is quick.
        small = {
            "boosting": {"max_iter": 15},
            "extra_trees": {"n_estimators": 10},
            "forest": {"n_estimators": 10},
            "lgbm": {"n_estimators": 20},
            "mlp": {"max_iter": 15},
        }
        return {"name": name, **small.get(name, {})}


class TestAnyRegressor(ModelSuite):
    tasks = ("regression",)

    @pytest.fixture
    def component(self):
        return {"name": "sklearn", "estimator": "Ridge", "params": {"alpha": 0.5}}


class TestAnyClassifier(ModelSuite):
    tasks = ("binary", "multiclass")

    @pytest.fixture
    def component(self):
        return {"name": "sklearn", "estimator": "LogisticRegression"}


@each("ensembler")
class TestEnsemblers(EnsemblerSuite):
    @pytest.fixture
    def component(self, name: str):
        return name


@each("evaluators")
class TestEvaluators(EvaluatorSuite):
    @pytest.fixture
    def component(self, name: str):
        return name


@each("reporters")
class TestReporters(ReporterSuite):
    @pytest.fixture
    def component(self, name: str):
        return name


@each("deployer")
class TestDeployers(DeployerSuite):
    @pytest.fixture
    def component(self, name: str):
        return {"name": name, **({"port": 0, "workers": 1} if name == "http" else {})}


@each("monitors")
class TestMonitors(MonitorSuite):
    @pytest.fixture
    def component(self, name: str):
        return name


@each("trackers")
class TestTrackers(TrackerSuite):
    @pytest.fixture
    def component(self, name: str):
        return name


@each("step")
class TestSteps(StepSuite):
    test_run_gives_what_it_says = (
        None  # tests/e2e runs them all, and the runner refuses a step that gives anything else
    )

    @pytest.fixture
    def component(self, name: str):
        return name


@pytest.mark.parametrize(("suite", "fixture"), [(SourceSuite, "change"), (ValidatorSuite, "bad"), (StepSuite, "scene")])
def test_what_an_author_must_say_has_no_default(suite: type, fixture: str):
    with pytest.raises(NotImplementedError, match=f"must override the fixture '{fixture}'"):
        getattr(suite, fixture).__wrapped__(suite())
