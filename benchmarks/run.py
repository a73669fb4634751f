"""Measures mlframe against hand-written scripts and plain Hydra, and writes docs/performance.md.

    make bench                                   # every case, three runs each
    python benchmarks/run.py --runs 1 --only help --dry

Both sides of a case run in turn, as whole processes, in empty folders, after one run that is not counted (it compiles
bytecode); the table gives medians, and the ratio of the medians.
"""

import argparse
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
PAGE = ROOT / "docs" / "performance.md"
MLFRAME = [sys.executable, "-m", "mlframe"]

# What the hand-written scripts do not do is left out on mlframe's side too: profile, intervals, importance, gate's
# comparison (there is no champion in an empty store) and report.
BARE = [
    "~task.steps.explore",
    "~task.steps.report",
    "evaluators=[classification]",
    "evaluators.classification.bootstrap=0",
]
TABLE = [
    "data=parquet",
    "data.columns.target.role=target",
    "splitter=stratified",
    "splitter.folds=3",
    "model=lgbm",
    "model.n_estimators=200",
]

MINIMAL_HYDRA = """
import hydra
@hydra.main(version_base="1.3", config_path=None)
def main(config):
    pass
main()
"""
SAME_HYDRA = """
import hydra
from mlframe.config.search import install
from mlframe.plugins import load_plugins
import mlframe.config.schema
if {own}:
    install(load_plugins(), None)
@hydra.main(version_base="1.3", config_path="pkg://mlframe.conf", config_name="mlframe_root")
def main(config):
    pass
main()
"""


@dataclass
class Sample:
    """One finished process: wall seconds, peak memory in MB, what it printed."""

    seconds: float
    memory: float
    out: str


def measure(command: list[str], folder: Path) -> Sample:
    """Run a command in a folder and return what it took."""
    environment = {
        key: value for key, value in os.environ.items() if key not in DROPPED and not key.startswith("WANDB_")
    }
    environment["PYTHONPYCACHEPREFIX"] = str(CACHE)
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed with {process.returncode}:\n{text}")
    return Sample(seconds, usage.ru_maxrss / 1024, text)


DROPPED = ("PYTHONDONTWRITEBYTECODE", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MLFRAME_HOME")
CACHE = Path(tempfile.gettempdir()) / "mlframe-bench-bytecode"


def pair(ours: Callable[[Path], list[str]], theirs: Callable[[Path], list[str]], runs: int) -> tuple[Sample, Sample]:
    """Run both in turn; return each side's medians."""
    found: tuple[list[Sample], list[Sample]] = ([], [])
    for number in range(runs + 1):
        for side, make in zip(found, (ours, theirs), strict=True):
            with tempfile.TemporaryDirectory() as folder:
                sample = measure(make(Path(folder)), Path(folder))
            if number:
                side.append(sample)
    return medians(found[0]), medians(found[1])


def medians(samples: list[Sample]) -> Sample:
    """Return the median of time and of memory."""
    return Sample(
        statistics.median(sample.seconds for sample in samples),
        statistics.median(sample.memory for sample in samples),
        samples[-1].out,
    )


def row(name: str, goal: str, ours: Sample, theirs: Sample) -> list[str]:
    """Return a row of the table."""
    return [
        name,
        f"{ours.seconds:.2f} s",
        f"{theirs.seconds:.2f} s",
        f"**{ours.seconds / theirs.seconds:.2f}**",
        f"{ours.memory:,.0f} / {theirs.memory:,.0f} MB",
        f"{ours.memory / theirs.memory:.2f}",
        goal,
    ]


def email(runs: int, *, wandb: bool) -> list[str]:
    """Compare the main job with the script that does the same steps."""
    data = ROOT / "mlframe" / "datasets" / "email" / "email.csv.gz"
    trackers = [] if wandb else ["trackers=[]"]
    ours, theirs = pair(
        lambda _: [*MLFRAME, "model=lgbm", "data=email", *BARE, *trackers],
        lambda out: [
            sys.executable,
            str(HERE / "handwritten_email.py"),
            str(data),
            str(out),
            *(["--wandb"] if wandb else []),
        ],
        runs,
    )
    name = "email, W&B offline on both sides" if wandb else "email, no tracker"
    return row(name, "time 1.25, memory 1.3", ours, theirs)


def table(runs: int) -> list[str]:
    """Compare 300,000 rows by 40 columns."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "table.parquet"
        measure([sys.executable, str(HERE / "table.py"), str(data)], Path(folder))
        ours, theirs = pair(
            lambda _: [*MLFRAME, *TABLE, f"data.source.path={data}", *BARE, "trackers=[]"],
            lambda out: [sys.executable, str(HERE / "handwritten_table.py"), str(data), str(out)],
            runs,
        )
    return row("300,000 rows by 40 columns", "time 1.05, memory 1.3", ours, theirs)


def helped(runs: int) -> list[str]:
    """Compare --help with that of a Hydra app without any config."""

    def hydra(folder: Path) -> list[str]:
        (folder / "app.py").write_text(MINIMAL_HYDRA)
        return [sys.executable, "app.py", "--help"]

    ours, theirs = pair(lambda _: [*MLFRAME, "--help"], hydra, max(runs, 5))
    return row("`--help` against a minimal Hydra app", "time 1.3", ours, theirs)


def jobs(runs: int) -> list[list[str]]:
    """Compare 100 jobs that do nothing with Hydra's multirun of the same config."""
    choices = "seed=" + ",".join(str(number) for number in range(100))

    def ours(folder: Path) -> list[str]:
        (folder / "conf" / "task").mkdir(parents=True)
        (folder / "conf" / "task" / "nothing.yaml").write_text("# Does nothing.\nname: nothing\nsteps: {}\n")
        return [*MLFRAME, "-m", "task=nothing", "data=churn", "model=linear", "trackers=[]", choices]

    def theirs(folder: Path, own: bool) -> list[str]:
        (folder / "app.py").write_text(SAME_HYDRA.format(own=own))
        return [
            sys.executable,
            "app.py",
            "-m",
            "data=churn",
            "model=linear",
            "trackers=[]",
            "hydra.sweep.dir=out",
            choices,
        ]

    found = pair(ours, lambda folder: theirs(folder, False), max(1, runs // 2))
    return [row("100 jobs that do nothing against plain Hydra with the same config", "time 1.0", *found)]


def whole(runs: int) -> list[str]:
    """Time the complete shipped job, and a second one that changes a model parameter only."""
    first, second, skipped = [], [], ""
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            first.append(measure([*MLFRAME, "model=lgbm", "data=email"], Path(folder)))
            second.append(measure([*MLFRAME, "model=lgbm", "data=email", "model.num_leaves=15"], Path(folder)))
            names = re.findall(r"^  (\w+)\s+cached", second[-1].out, re.MULTILINE)
            cached = re.search(r"featurized folds from the cache: .*", second[-1].out)
            skipped = ", ".join(names) + (f"; {cached.group(0)}" if cached else "")
    a, b = medians(first), medians(second)
    return [
        f"- `python -m mlframe model=lgbm data=email`, every step as shipped: **{a.seconds:.1f} s**, {a.memory:,.0f} MB"
        " (goal: under 30 s on two cores)",
        f"- the same with `model.num_leaves=15` afterwards: **{b.seconds:.1f} s**; from the cache: {skipped}",
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="counted runs a side (default 3)")
    parser.add_argument("--only", choices=["email", "table", "help", "jobs", "whole"], help="one case")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    arguments = parser.parse_args()
    runs, only = arguments.runs, arguments.only
    rows: list[list[str]] = []
    if only in (None, "email"):
        rows += [email(runs, wandb=False), email(runs, wandb=True)]
    if only in (None, "table"):
        rows.append(table(runs))
    if only in (None, "help"):
        rows.append(helped(runs))
    if only in (None, "jobs"):
        rows += jobs(runs)
    lines = whole(runs) if only in (None, "whole") else []
    head = ["case", "mlframe", "the other", "time ratio", "peak memory", "memory ratio", "goal: at most"]
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])
    page = text + "\n\n" + "\n".join(lines) + "\n"
    print(page)
    if not arguments.dry and only is None:
        PAGE.write_text(INTRODUCTION.format(machine=machine(), runs=runs) + page, encoding="utf-8")
    shutil.rmtree(CACHE, ignore_errors=True)


INTRODUCTION = """# Performance

Made by `make bench`: whole processes, both sides in turn in empty folders, {runs} counted runs after one that is not;
medians. {machine}

The hand-written scripts (`benchmarks/handwritten_*.py`) read, check with Pandera, cut the same folds, featurize, fit
LightGBM with early stopping, judge folds and holdout, fit again and save. mlframe does these steps, records the run, fills
its step cache, asks the gate and registers a version; profile, intervals, importance and report, which the scripts do not
have, are left out of those rows and are part of the complete job below the table.

"""


def machine() -> str:
    """Describe the machine without naming it."""
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("polars", "scikit-learn", "lightgbm", "hydra-core")
    )
    return f"{cores} cores, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    main()
