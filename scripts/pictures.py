"""Make the pictures of the README and the docs from real runs: docs/pictures/*.svg.

    make pictures

Trains one model with every judge and searches over three models, both on the bundled data set `churn`, looks at all mail of the
data set `email` with a model of the earlier part, plays examples/continuous_training, and replays `electricity` under several
ways of updating, in a temporary folder. Equal versions and seeds give equal pictures but for measured times.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlframe.door import Door
from mlframe.operating.simulate_shown import pictures as simulated
from mlframe.runner.keys import digest
from mlframe.sweep.leaderboard import build
from mlframe.sweep.shown import charts

PLACE = Path(__file__).resolve().parent.parent / "docs" / "pictures"
RUN = ("data=churn", "experiment=thorough", "trackers=[]")
SWEEP = ("-m", "data=churn", "model=lgbm,forest,linear", "sweep=bayes", "sweep.trials=30", "sweep.prune=none",
         "sweep.close=false", "trackers=[]")  # fmt: skip
WATCHED = "email"
WATCH = ("monitor", "data=email", "monitor.rows=source", "monitor.window=28d", "trackers=[]")
OF_WATCH = {"overview": "monitor_overview", "figure_drift_auc": "monitor_figure"}
EXAMPLE = PLACE.parents[1] / "examples" / "continuous_training"
LOOK = ("monitor", "data=email", "monitor.window=100", "monitors=[drift,performance]", "trackers=[]")
OF_LOOK = {"overview": "updating_overview", "figure_roc_auc": "updating_figure"}
SIMULATION = ("simulate", "experiment=static_vs_dynamic", "trackers=[]")
OF_SIMULATION = {"along": "static_vs_dynamic", "whole": "static_vs_dynamic_whole"}
OF_RUN = ("slices", "shap_importance")
OF_SWEEP = ("pareto", "parallel")
PAPER = 'style="background:#fff;color:#1c2430"'
"""The page gives charts their colours; alone, on a dark page, they would be black on black."""


def mlframe(folder: Path, *words: str) -> None:
    """Run one command in a folder; it must come through."""
    environment = {**os.environ, "MLFRAME_HOME": str(folder / ".mlframe")}
    subprocess.run([sys.executable, "-m", "mlframe", *words], cwd=folder, env=environment, check=True)


def of_run(store: Any) -> dict[str, str]:
    """Return the latest run's charts by name."""
    run = store.runs(limit=1)[0]["id"]
    key = next(step["key"] for step in store.steps(run) if step["step"] == "evaluate")
    evaluation = store.load_artifact(store.artifact(digest([key, "evaluation"])))
    return {chart["name"]: chart["svg"] for chart in evaluation["charts"]}


def of_sweep(store: Any) -> dict[str, str]:
    """Return the latest sweep's charts by name."""
    sweep = store.sweep("last")
    return {chart.name: chart.svg for chart in charts(build(sweep, store.sweep_jobs(sweep["id"])))}


def of_look(store: Any, names: dict[str, str]) -> dict[str, str]:
    """Return pictures of the page that the latest look wrote, by the names that they get."""
    page = (store.run_folder(store.runs(limit=1)[0]["id"]) / "monitor.html").read_text(encoding="utf-8")
    found = {}
    for name, called in names.items():
        picture = re.search(f'id="chart-{name}">.*?(<svg.*?</svg>)', page, re.DOTALL)
        assert picture, f"the page has no picture {name}"
        found[called] = picture[1]
    return found


def of_simulation(folder: Path) -> dict[str, str]:
    """Return the charts of the only simulation in a folder by the names of their files."""
    record = json.loads(next(folder.glob(".mlframe/runs/*/simulation.json")).read_text(encoding="utf-8"))
    return {OF_SIMULATION[chart.name]: chart.svg for chart in simulated(record)}


def main() -> None:
    """Run, and write the pictures."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        found: dict[str, str] = {}
        mlframe(folder, *RUN)
        with Door([f"store.root={folder / '.mlframe'}"], folder=folder).open_store() as store:
            found |= {name: svg for name, svg in of_run(store).items() if name in OF_RUN}
        mlframe(folder, *SWEEP)
        with Door([f"store.root={folder / '.mlframe'}"], folder=folder).open_store() as store:
            found |= {name: svg for name, svg in of_sweep(store).items() if name in OF_SWEEP}
        mlframe(folder, f"data={WATCHED}", "experiment=quick", "trackers=[]", "reporters=[]")
        mlframe(folder, "promote", f"{WATCHED}/1", "--force", "--why", "to be watched")
        mlframe(folder, *WATCH)
        with Door([f"store.root={folder / '.mlframe'}"], folder=folder).open_store() as store:
            found |= of_look(store, OF_WATCH)
        kept = folder / "kept_good"
        kept.mkdir()
        code = "import sys, pathlib, keep_it_good; keep_it_good.play(pathlib.Path(sys.argv[1]), calm=False)"
        subprocess.run([sys.executable, "-c", code, str(kept)], cwd=EXAMPLE, check=True)
        mlframe(kept, *LOOK)
        with Door([f"store.root={kept / '.mlframe'}"], folder=kept).open_store() as store:
            found |= of_look(store, OF_LOOK)
        mlframe(folder, *SIMULATION)
        found |= of_simulation(folder)
    for name in (*OF_RUN, *OF_SWEEP, *OF_WATCH.values(), *OF_LOOK.values(), *OF_SIMULATION.values()):
        (PLACE / f"{name}.svg").write_text(found[name].replace("<svg ", f"<svg {PAPER} ", 1) + "\n", encoding="utf-8")
        print(PLACE / f"{name}.svg")


if __name__ == "__main__":
    main()
