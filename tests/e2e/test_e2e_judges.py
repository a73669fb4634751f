"""Every judge at once, on each learning task: what they say is kept with the run and told on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from e2e_tools import Workspace, small

from mlframe.table import ROW
from mlframe.testing import make_table

ROWS = 320


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_judge_answers(task: str, tmp_path: Path) -> None:
    space = Workspace.make(tmp_path)
    make_table(ROWS, task).frame.drop(ROW).write_parquet(space.folder / "rows.parquet")
    declared = {
        "id": "role=id",
        "label": "role=target",
        "weight": "role=weight",
        "owner": "role=group",
        "at": "role=time",
        "member": "tags=[protected]",
        "note": "kind=text",
    }
    done = space.ok(
        "data=parquet",
        "data.source.path=rows.parquet",
        *[f"data.columns.{name}.{value}" for name, value in declared.items()],
        f"goal.task={task}",
        "goal.targets.fairness_gap=5",
        "goal.targets.size_mb=0.000001",
        "splitter=kfold",
        "splitter.folds=2",
        *small("lgbm", task),
        "experiment=thorough",
        "evaluators.slices.least=20",
        "evaluators.fairness.least=10",
        "evaluators.service.seconds=0.05",
        "trackers=[]",
        "name=judged",
        "resources.threads=1",
    )
    found: dict[str, Any] = space.artifact("evaluate", "evaluation")
    assert {"fairness_gap", "latency_ms", "throughput", "size_mb"} <= set(found["figures"])
    tables = {
        "importance",
        "rows/mistakes",
        "residuals_by_column",
        "fairness",
        "fairness_compared",
        "robustness",
        "service",
    }
    assert tables <= set(found["tables"])
    if task == "multiclass":
        assert "rows/label_suspects" in found["tables"]
    assert {item["severity"] for item in found["findings"]} >= {"info"}
    names = [chart["name"] for chart in found["charts"]]
    assert len(set(names)) == len(names), "a name is taken twice"
    assert {"permutation_importance", "dependence_1", "fairness_1", "robustness", "latency"} <= set(names)
    # Mistakes are looked for in the development rows only.
    holdout = set(space.artifact("evaluate", "holdout")["row_id"])
    assert not holdout & set(found["tables"]["rows/mistakes"]["row_id"])
    # Targets on figures of the holdout alone: one is met, the other is not.
    assert "fairness_gap" in done.out
    checks = {check["name"]: check for check in space.last()["summary"]["gate"]["checks"]}
    assert checks["fairness_gap"]["passed"] is True
    assert checks["size_mb"]["passed"] is False
    assert "size_mb" in checks["size_mb"]["evidence"]
    page = next(space.folder.rglob("report.html")).read_text(encoding="utf-8")
    for name in names:
        assert f'id="chart-{name}"' in page


def test_a_fairness_target_without_protected_columns_is_not_met(tmp_path: Path) -> None:
    space = Workspace.make(tmp_path)
    frame = make_table(200).frame.drop(ROW).select("amount", "visits", "label")
    frame.write_parquet(space.folder / "rows.parquet")
    done = space.ok(
        "data=parquet", "data.source.path=rows.parquet", "data.columns.label.role=target", "model=dummy",
        "evaluators=[classification,fairness]", "goal.targets.fairness_gap=0.1", "trackers=[]", "reporters=[]", "name=none",
    )  # fmt: skip
    assert "fairness_gap could not be measured on the holdout" in " ".join(done.out.split())
    assert space.last()["summary"]["gate"]["passed"] is False
