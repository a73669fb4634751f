"""Measures mlframe against hand-written scripts and plain Hydra, and writes docs/performance.md.

    make bench                                   # every case, three runs each
    python benchmarks/run.py --runs 1 --only help --dry

Both sides of a case run in turn, as whole processes, in empty folders, after one run that is not counted (it compiles
bytecode); the table gives medians, and the median of the ratios of neighbours, which other work on the machine moves least.
"""

import argparse
import json
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
MODELS = "## Models"
"""The last section of the page; benchmarks/models.py writes it."""
MLFRAME = [sys.executable, "-m", "mlframe"]

# What the hand-written scripts do not do is left out on mlframe's side too: profile, leakage checks, intervals, importance,
# gate's comparison (there is no champion in an empty store) and report.
BARE = [
    "~task.steps.explore",
    "~task.steps.assess",
    "~task.steps.report",
    "evaluators=[classification]",
    "evaluators.classification.bootstrap=0",
]
TABLE = ["data=table", "model=lgbm"]
TABLE_CONF = """# @package _global_
# The generated table; see benchmarks/table.py. The schema is that of benchmarks/handwritten_table.py.
defaults:
  - /data/source: parquet
  - _self_
data:
  source:
    path: {path}
  columns:
    target: {{role: target}}
  schema:
    strict: true
    columns:
{columns}
      target: {{dtype: int, checks: {{isin: [0, 1]}}}}
"""
NUMBER = "      num_{}: {{dtype: float, nullable: true, checks: {{finite: true}}}}"
CATEGORY = "      cat_{}: {{dtype: string, nullable: true}}"

MINIMAL_HYDRA = """
import hydra
@hydra.main(version_base="1.3", config_path=None)
def main(config):
    pass
main()
"""
SAME_HYDRA = """
import hydra, os
from omegaconf import OmegaConf
OmegaConf.register_new_resolver("mlframe.cpus", lambda: len(os.sched_getaffinity(0)))
@hydra.main(version_base="1.3", config_path="conf", config_name="mlframe_root")
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


def measure(*makes: Callable[[Path], list[str]]) -> list[Sample]:
    """Run commands, one after the other, in a fresh folder; again where other programs took part of the machine.

    Args:
        makes: each puts what its command needs into the folder and returns the command.

    Returns:
        What each command took.
    """
    for _ in range(TRIES):
        with tempfile.TemporaryDirectory() as name:
            before, began, own = busy_seconds(), time.perf_counter(), 0.0
            samples = []
            for make in makes:
                sample, used = once(make(Path(name)), Path(name))
                samples.append(sample)
                own += used
            others = (busy_seconds() - before - own) / (time.perf_counter() - began)
        if others < FOREIGN * len(os.sched_getaffinity(0)):
            return samples
        print(f"again: other programs used {others:.1f} processors", file=sys.stderr)
        time.sleep(10)
    raise SystemExit("The machine is too busy to measure anything: try later")


def once(command: list[str], folder: Path) -> tuple[Sample, float]:
    """Run a command in a folder; return what it took, and the processor seconds of it and its children."""
    environment = {
        key: value for key, value in os.environ.items() if key not in DROPPED and not key.startswith("WANDB_")
    }
    environment |= {"PYTHONPYCACHEPREFIX": str(CACHE), "WANDB_MODE": "offline"}
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
    return Sample(seconds, usage.ru_maxrss / 1024, text), usage.ru_utime + usage.ru_stime


def busy_seconds() -> float:
    """Return the processor seconds that all programs used since the machine started; 0 where nobody counts them."""
    try:
        first = Path("/proc/stat").read_text().splitlines()[0].split()
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, soft = map(int, first[1:8])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


FOREIGN = 0.1
"""A run is done again when other programs used more than this share of the processors."""
TRIES = 20
DROPPED = ("PYTHONDONTWRITEBYTECODE", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MLFRAME_HOME")
CACHE = Path(tempfile.gettempdir()) / "mlframe-bench-bytecode"


def pair(
    ours: Callable[[Path], list[str]], theirs: Callable[[Path], list[str]], runs: int, *, warm: bool = True
) -> tuple[list[Sample], list[Sample]]:
    """Run both in turn, once without counting when `warm`; return each side's runs."""
    found: tuple[list[Sample], list[Sample]] = ([], [])
    for number in range(runs + warm):
        for side, make in zip(found, (ours, theirs), strict=True):
            sample = measure(make)
            if number or not warm:
                side += sample
    return found


def same_rounds(ours: list[Sample], theirs: list[Sample]) -> None:
    """Refuse to compare two sides that did not grow the same trees."""
    for mine, other in zip(ours, theirs, strict=True):
        found = re.search(r"([\d,]+) rounds \(median of the folds\)", mine.out)
        rounds = json.loads(other.out[other.out.index('{"rounds"') :].splitlines()[0])["rounds"]
        if found is None or int(found[1]) != round(statistics.median(rounds)):
            raise SystemExit(f"The sides did different work: {rounds} rounds by hand, mlframe said\n{mine.out}")


def row(name: str, goal: str, ours: list[Sample], theirs: list[Sample]) -> list[str]:
    """Return a row of the table."""
    seconds, memory = (
        statistics.median(getattr(mine, what) / getattr(other, what) for mine, other in zip(ours, theirs, strict=True))
        for what in ("seconds", "memory")
    )
    return [
        name,
        f"{median(ours, 'seconds'):.2f} s",
        f"{median(theirs, 'seconds'):.2f} s",
        f"**{seconds:.2f}**",
        f"{median(ours, 'memory'):,.0f} / {median(theirs, 'memory'):,.0f} MB",
        f"{memory:.2f}",
        goal,
    ]


def median(samples: list[Sample], what: str) -> float:
    """Return the median of `seconds` or `memory`."""
    return float(statistics.median(getattr(sample, what) for sample in samples))


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
    same_rounds(ours, theirs)
    name = "email, W&B offline on both sides" if wandb else "email, no tracker"
    return row(name, "time 1.25, memory 1.3", ours, theirs)


def table(runs: int, *, warm: bool) -> list[str]:
    """Compare 300,000 rows by 40 columns; `warm` unless another case has compiled the bytecode."""

    def ours(folder: Path) -> list[str]:
        columns = [NUMBER.format(i) for i in range(31)] + [CATEGORY.format(i) for i in range(8)]
        file = folder / "conf" / "data" / "table.yaml"
        file.parent.mkdir(parents=True)
        file.write_text(TABLE_CONF.format(path=data, columns="\n".join(columns)))
        return [*MLFRAME, *TABLE, *BARE, "trackers=[]"]

    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "table.parquet"
        once([sys.executable, str(HERE / "table.py"), str(data)], Path(place))
        hand = [sys.executable, str(HERE / "handwritten_table.py"), str(data)]
        found = pair(ours, lambda out: [*hand, str(out)], runs, warm=warm)
    same_rounds(*found)
    return row("300,000 rows by 40 columns, no tracker", "time 1.05, memory 1.3", *found)


def helped(runs: int) -> list[str]:
    """Compare --help with that of a Hydra app without any config."""

    def hydra(folder: Path) -> list[str]:
        (folder / "app.py").write_text(MINIMAL_HYDRA)
        return [sys.executable, "app.py", "--help"]

    return row(
        "`--help` against a minimal Hydra app", "time 1.3", *pair(lambda _: [*MLFRAME, "--help"], hydra, max(runs, 5))
    )


def jobs(runs: int) -> list[list[str]]:
    """Compare 100 jobs that do nothing with Hydra's multirun of the same config, and of none."""
    choices = "seed=" + ",".join(str(number) for number in range(100))
    picked = ["-m", "task=nothing", "data=email", "model=lgbm", "trackers=[]"]

    def ours(folder: Path) -> list[str]:
        _nothing(folder / "conf")
        return [*MLFRAME, *picked, choices]

    def same(folder: Path) -> list[str]:
        shutil.copytree(ROOT / "conf", folder / "conf")
        _nothing(folder / "conf")
        (folder / "app.py").write_text(SAME_HYDRA)
        return [sys.executable, "app.py", *picked, choices]

    def empty(folder: Path) -> list[str]:
        (folder / "app.py").write_text(MINIMAL_HYDRA)
        return [sys.executable, "app.py", "-m", f"+{choices}"]

    few = max(1, runs // 2)
    first = pair(ours, same, few)
    least = measure(empty)
    return [
        row("100 jobs that do nothing against plain Hydra with the same config", "time 1.0", *first),
        row("the same against plain Hydra without any config", "-", first[0], least * few),
    ]


def _nothing(conf: Path) -> None:
    """Add a task without steps to a config folder."""
    (conf / "task").mkdir(parents=True, exist_ok=True)
    (conf / "task" / "nothing.yaml").write_text("# Does nothing.\nname: nothing\nsteps: {}\n")


def whole(runs: int) -> list[str]:
    """Time the complete shipped job, and a second one that changes a model parameter only."""
    job = [*MLFRAME, "model=lgbm", "data=email"]
    found = [measure(lambda _: job, lambda _: [*job, "model.num_leaves=15"]) for _ in range(runs)]
    first, second = [pair[0] for pair in found], [pair[1] for pair in found]
    names = re.findall(r"^  (\w+)\s+cached", second[-1].out, re.MULTILINE)
    folds = re.search(r"featurized folds from the cache: .*", second[-1].out)
    skipped = ", ".join(names) + (f"; {folds.group(0)}" if folds else "")
    return [
        "- `python -m mlframe model=lgbm data=email`, every step as shipped, W&B offline: "
        f"**{median(first, 'seconds'):.1f} s**, {median(first, 'memory'):,.0f} MB (goal: under 30 s on two cores)",
        f"- the same with `model.num_leaves=15` afterwards: **{median(second, 'seconds'):.1f} s**; from the cache: "
        f"{skipped}",
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
        rows.append(table(runs, warm=only is not None))
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
        _, _, models = PAGE.read_text(encoding="utf-8").partition(MODELS)
        made = INTRODUCTION.format(machine=machine(), runs=runs, few=max(1, runs // 2)) + page
        PAGE.write_text(made + (f"\n{MODELS}{models}" if models else ""), encoding="utf-8")
    shutil.rmtree(CACHE, ignore_errors=True)


INTRODUCTION = """# Performance

Made by `make bench`: whole processes, both sides in turn in empty folders, {runs} counted runs (100 jobs: {few}) after one
that is not; medians. {machine}

The hand-written scripts (`benchmarks/handwritten_*.py`) read, check with Pandera, cut the same folds, featurize, fit
LightGBM with early stopping, judge folds and holdout, fit again and save; the benchmark refuses to compare sides whose
models have different numbers of trees. mlframe does these steps, draws the holdout's curves, records the run, fills its
step cache, asks the gate and registers a version. Profile, leakage checks, bootstrap intervals, importance and report, which
the scripts do not have, are left out of these rows and are part of the complete job below the table. Both sides save
LightGBM's own text and the rest with skops, which needs no trust in a pickle.

LightGBM's threads wait for each other after every split: where other programs keep the processors busy, one thread
(`resources.threads=1`) is faster than two, often several times, with mlframe and without it.

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
