"""Compares ensembles with their best member, on rows that neither has seen.

    python benchmarks/ensemble.py                       # greedy and stacking on four bundled data sets
    python benchmarks/ensemble.py --only spambase --ensemblers greedy

The members are those of `experiment=best`; the best one is that which scores best out of fold, as one would choose it. Both
are deployed in the same way, and judged on the same holdout rows in each resample of a paired bootstrap.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlframe.stats import REGRESSION, Difference, Scores, paired_bootstrap

DATA = {"churn": "roc_auc", "spambase": "roc_auc", "electricity": "roc_auc", "diamonds": "rmse"}
"""Bundled data set to the figure of its goal."""
WORDS = ("trackers=[]", "reporters=[]", "~task.steps.explore", "evaluators=[classification,regression]")


def run(folder: Path, *words: str) -> dict[str, Any]:
    """Train in a workspace; return the run's holdout predictions, what fitting told, and the members of its config."""
    command = [sys.executable, "-m", "mlframe", *words, *WORDS]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    from mlframe.runner.keys import digest
    from mlframe.store.store import Store

    with Store.open(str(folder / ".mlframe"), create=False) as store:
        found = store.runs(limit=1)[0]
        keys = {step["step"]: step["key"] for step in store.steps(found["id"])}

        def artifact(step: str, name: str) -> Any:
            return store.load_artifact(store.artifact(digest([keys[step], name])))

        members = found["config"]["ensembler"]["members"]
        return {"holdout": artifact("evaluate", "holdout"), "fitting": artifact("fit", "fitting"), "members": members}


def scores(said: pl.DataFrame) -> tuple[np.ndarray, Scores]:
    """Return the truth, as codes or values, and what was said of it."""
    classes = [column[2:] for column in said.columns if column.startswith("p_")]
    if not classes:
        return said["y"].to_numpy(), Scores(said["y_pred"].to_numpy())
    codes = said["y"].cast(pl.String).replace_strict(classes, list(range(len(classes)))).to_numpy()
    proba = said.select([f"p_{name}" for name in classes]).to_numpy()
    return codes, Scores(proba.argmax(axis=1), proba)


def gain(figure: str, ensemble: pl.DataFrame, member: pl.DataFrame) -> Difference:
    """Return how much better the ensemble is than the member, with its interval; below 0 is worse."""
    y, said = scores(ensemble)
    _, other = scores(member)
    first, second = (other, said) if figure in REGRESSION and figure != "r2" else (said, other)
    found = paired_bootstrap(figure, y, first, second)
    assert found is not None
    return found


def compare(data: str, ensemblers: Sequence[str], threads: int) -> list[str]:
    """Return a row of the table for each ensembler."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        words = ["experiment=best", f"data={data}", f"resources.threads={threads}"]
        for ensembler in ensemblers:
            whole = run(folder, *words, f"ensembler={ensembler}")
            alone = whole["fitting"]["alone"]
            best = max(alone, key=alone.get)
            # Its folds are in the step cache: what has no weight is neither fitted again nor asked.
            weights = ", ".join(f"{name}: {int(name == best)}" for name in whole["members"])
            member = run(folder, *words, "ensembler=voting", f"ensembler.weights={{{weights}}}")
            found = gain(DATA[data], whole["holdout"], member["holdout"])
            rows.append(
                f"| {data} | {ensembler} | {best} | {DATA[data]} | {found.value:+.4f} | {found.low:+.4f} to {found.high:+.4f} |"
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


HEAD = [
    "| data | ensemble | best member | figure | better by | 95 % interval |",
    "| --- | --- | --- | --- | --- | --- |",
]


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=DATA, default=list(DATA), help="some data sets")
    parser.add_argument(
        "--ensemblers", nargs="+", choices=["greedy", "stacking", "voting"], default=["greedy", "stacking"]
    )
    parser.add_argument("--threads", type=int, default=2, help="threads of each model (default 2)")
    arguments = parser.parse_args()
    rows = [row for data in arguments.only for row in compare(data, arguments.ensemblers, arguments.threads)]
    print("\n".join([*HEAD, *rows]))


if __name__ == "__main__":
    main()
