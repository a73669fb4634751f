from __future__ import annotations

from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf

from mlframe.config.schema import Goal
from mlframe.contracts import Source, Splitter
from mlframe.datasets import DATASETS
from mlframe.plugins import load_plugins
from mlframe.table import ROLES, ROW, Table, describe_columns
from mlframe.validators.pandera import SchemaValidator

CONF = Path(import_module("mlframe.conf").__file__ or "").parent
FIGURES = {
    "binary": {"roc_auc", "average_precision", "log_loss", "brier", "f1", "precision", "recall", "mcc", "accuracy"},
    "regression": {"rmse", "mae", "r2", "mape", "pinball"},
}


@pytest.fixture
def composed(tmp_path: Path) -> Any:
    """Compose a data file over a small primary config that only has the groups tested here."""
    (tmp_path / "primary.yaml").write_text(
        "defaults:\n  - _self_\n  - labeler: column\n  - splitter: stratified\n  - validators: [pandera]\n  - data: null\n"
        "seed: 0\n" + yaml.safe_dump({"goal": asdict(Goal())}) + "hydra: {searchpath: ['pkg://mlframe.conf']}\n"
    )

    def run(*overrides: str) -> dict[str, Any]:
        GlobalHydra.instance().clear()
        with initialize_config_dir(str(tmp_path), version_base="1.3"):
            node = OmegaConf.to_container(compose("primary", list(overrides)), resolve=True)
        assert isinstance(node, dict)
        return node  # type: ignore[return-value]

    yield run
    GlobalHydra.instance().clear()


def table_of(config: dict[str, Any]) -> Table:
    source: Source = load_plugins(only=()).registry.create("data/source", config["data"]["source"])
    frame = source.read()
    assert isinstance(frame, pl.DataFrame)
    return Table(frame.with_row_index(ROW), describe_columns(frame, config["data"]["columns"]))


@pytest.mark.parametrize("name", DATASETS)
def test_every_bundled_table_fits_its_config(composed: Any, name: str) -> None:
    config = composed(f"data={name}")
    table = table_of(config)
    declared = config["data"]["columns"]
    assert list(declared) == [column.name for column in table.columns], "every column is spelled out, in order"
    assert set(config["data"]["schema"]["columns"]) == set(declared)
    assert all(spec["role"] in ROLES for spec in declared.values())

    validator = SchemaValidator(config["data"]["schema"], columns=declared)
    assert validator.validate(table, labelled=True).failures.height == 0

    goal = config["goal"]
    target = table.frame[table.one("target")]
    if goal["task"] == "binary":
        assert goal["positive"] in target.unique().to_list()
    assert {goal["metric"], *goal["targets"]} <= FIGURES[goal["task"]]
    assert all(isinstance(value, int | float) for value in goal["targets"].values())


@pytest.mark.parametrize("name", DATASETS)
def test_every_bundled_table_can_be_cut(composed: Any, name: str) -> None:
    config = composed(f"data={name}")
    table = table_of(config)
    splitter: Splitter = load_plugins(only=()).registry.create("splitter", config["splitter"])
    target = table.frame[str(table.one("target"))]
    task = config["goal"]["task"]
    codes = target.to_numpy() if task == "regression" else target.rank("dense").to_numpy().astype(int) - 1
    split = splitter.split(table, codes, task)
    assert len(split.folds) == config["splitter"]["folds"]
    assert len(split.holdout) == pytest.approx(0.2 * len(table), rel=0.01)


def test_time_ordered_tables_are_cut_along_time_and_repeats_are_left_out(composed: Any) -> None:
    for name, column in (("email", "received"), ("electricity", "timestamp")):
        config = composed(f"data={name}")
        assert config["splitter"]["name"] == "time"
        assert config["data"]["columns"][column]["role"] == "time"
    assert table_of(composed("data=sms_spam")).frame["text"].is_unique().all()
    assert composed("data=email", "splitter=kfold")["splitter"]["name"] == "kfold"


@pytest.mark.parametrize("kind", ["csv", "parquet", "json"])
def test_own_files_need_a_path_and_a_target(composed: Any, kind: str, tmp_path: Path) -> None:
    config = composed(f"data={kind}", "data.source.path=my.file", "+data.columns.churn.role=target")
    assert config["data"]["source"]["name"] == kind
    assert config["data"]["source"]["path"] == "my.file"
    assert config["data"]["columns"] == {"churn": {"role": "target"}}
    assert config["data"]["schema"] is None
    assert config["validators"]["pandera"]["columns"] == {"churn": {"role": "target"}}
    assert SchemaValidator(config["validators"]["pandera"]["schema"]).spec == {}


@pytest.mark.parametrize("folder", ["data/source", "splitter", "labeler"])
def test_every_parameter_is_spelled_out_with_its_default(folder: str) -> None:
    registry = load_plugins(only=()).registry
    from mlframe.registry import _signature, import_target

    for name in registry.names(folder):
        file = CONF / folder / f"{name}.yaml"
        node = yaml.safe_load(file.read_text())
        item = registry.get(folder, name)
        parameters = _signature(import_target(item.target(), item))
        assert node.pop("name") == name
        assert set(node) == set(parameters)
        for key, parameter in parameters.items():
            if parameter.default is not parameter.empty and key not in ("seed",):
                wanted = parameter.default if parameter.default is not None else None
                assert (node[key] or None) == (wanted or None), f"{file}: {key}"


@pytest.mark.parametrize("name", DATASETS)
def test_every_table_has_a_notice_with_source_and_licence(name: str) -> None:
    text = (DATASETS[name].folder / "NOTICE.md").read_text(encoding="utf-8")
    for word in ("**Taken from**", "**Licence**", "**Traps**"):
        assert word in text
