"""What training again brings: static, scheduled, triggered and daily training of one model beside the last known label.

    python benchmarks/simulate.py                        # every case, about ten minutes on two cores
    python benchmarks/simulate.py --only week shuffled   # some
    python benchmarks/simulate.py --price 0.10           # what an hour of a machine costs

Each case is one `mlframe simulate experiment=static_vs_dynamic`, a whole process in a temporary folder. The twins are the
cases with the cause removed: they must show next to nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

QUICK = ("simulate.strategies.every_day=null",)
NOTHING = tuple(f"data.source.changes.{name}=null" for name in ("competitor", "taste", "gifts", "gifts_again"))
SHOP = ("data=shopping_trends", "simulate.start=60d")
CASES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "week": ("electricity, day of the week a feature", ()),
    "plain": ("electricity without it", ("data=electricity",)),
    "step": ("electricity, the row's number a feature", ("data=electricity", "data.columns.step.role=feature")),
    "shuffled": ("electricity, time shuffled", ("simulate.shuffle=true", *QUICK)),
    "email": ("email, from 430 days on", ("data=email", "simulate.start=430d")),
    "shop": ("shopping trends", SHOP),
    "shop_columns": ("shopping trends, only columns move", (*SHOP, *NOTHING, *QUICK)),
    "shop_shuffled": ("shopping trends, time shuffled", (*SHOP, "simulate.shuffle=true", *QUICK)),
}
HEAD = ("case", "strategy", "accuracy", "against static", "trainings", "seconds of learning", "cost", "alarms")
GOAL, TENTH = 0.08, 10


def run(words: Sequence[str], price: float) -> dict[str, Any]:
    """Return the record of one simulation."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MLFRAME_HOME": str(Path(folder, ".mlframe"))}
        fixed = [
            "experiment=static_vs_dynamic",
            "trackers=[]",
            "resources.threads=1",
            f"resources.price_per_hour={price}",
        ]
        command = [sys.executable, "-m", "mlframe", "simulate", *fixed, *words]
        subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(
            next(Path(folder).glob(".mlframe/runs/*/simulation.json")).read_text("utf-8")
        )
        return found


def rows_of(name: str, record: Mapping[str, Any]) -> list[str]:
    """Return the lines of the table for one case."""
    lines = []
    for item in record["strategies"]:
        against = item["against_static"]
        alarms = sum(alarm["key"].startswith("concept/") for alarm in item["alarms"])
        cells = [name, item["name"], f"{item['value']:.4f}", f"{against['value']:+.4f}" if against else "-"]
        cells += [f"{item['trainings']:,}", f"{item['seconds']:.1f}", f"{item['cost']:.5f}", f"{alarms:,}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def verdict(record: Mapping[str, Any]) -> str:
    """Say whether triggered training gains enough with a tenth of the trainings of every day."""
    by = {item["name"]: item for item in record["strategies"]}
    gain, trainings = by["triggered"]["against_static"]["value"], by["triggered"]["trainings"]
    few = "every_day" not in by or trainings * TENTH <= by["every_day"]["trainings"]
    return f"triggered {gain:+.4f} with {trainings:,} trainings: {'reached' if gain >= GOAL and few else 'not reached'}"


def main() -> None:
    """Run the cases and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--price", type=float, default=0.10)
    given = parser.parse_args()
    print(f"| {' | '.join(HEAD)} |\n| {' | '.join('---' for _ in HEAD)} |", flush=True)
    said = []
    for key in given.only:
        name, words = CASES[key]
        record = run(words, given.price)
        print("\n".join(rows_of(name, record)), flush=True)
        said.append(f"{name}: {verdict(record)}")
    print("\n" + "\n".join(said))


if __name__ == "__main__":
    main()
