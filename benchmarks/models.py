"""Measures experiment=best, sweeps and ensembles, and writes the section "Models" of docs/performance.md.

make bench-models                                   # about an hour on two quiet cores
python benchmarks/models.py --quick --dry           # everything, short: does it run?
"""

import argparse
import sys

import best
import ensemble
import sweep
from run import MODELS, PAGE, machine

TEXT = """{title}

Made by `make bench-models`. {machine}

### The best model in {budget:g} s

`python -m mlframe data=X experiment=best` beside LightGBM as it comes and FLAML {flaml} with the same time and {threads}
threads. A fifth of the rows, the latest where rows have a time, is cut off before anyone learns; all sides read the same
files and are scored by one function (`benchmarks/best.py`).

{best}

### Sweeps

`benchmarks/sweep.py`; both sides of the search draw with the same sampler from the same space, cut the same folds and stop
early by the same rule, and the benchmark refuses to compare sides whose trials score differently.

{sweep}

### Ensembles against their best member

Both fitted again on all development rows and judged on the same holdout, with the interval of a paired bootstrap
(`benchmarks/ensemble.py`). Above 0 the ensemble is better.

{ensemble}
"""


def flaml_version() -> str:
    """Return the version in FLAML's environment."""
    import subprocess

    code = "from importlib.metadata import version; print(version('flaml'))"
    return subprocess.run([best.environment(), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def replaced(page: str, section: str) -> str:
    """Return the page with another section "Models", which is its last one."""
    return page.partition(MODELS)[0].rstrip("\n") + "\n\n" + section


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads a side has (default 2)")
    parser.add_argument("--quick", action="store_true", help="short runs, to see that everything works")
    parser.add_argument("--dry", action="store_true", help="print only, write nothing")
    arguments = parser.parse_args()
    quick, threads = arguments.quick, arguments.threads
    budget, trials, jobs = (20, 5, 10) if quick else (120, 100, 50)
    rows = [row for data in ensemble.DATA for row in ensemble.compare(data, ["greedy", "stacking"], threads)]
    section = TEXT.format(
        title=MODELS,
        machine=machine(),
        budget=budget,
        flaml=flaml_version(),
        threads=threads,
        sweep="\n".join([sweep.bayes(trials, 1, 1), sweep.overhead(jobs)]),
        ensemble="\n".join([*ensemble.HEAD, *rows]),
        best=best.table(best.compare(list(best.CASES), best.SIDES, budget, threads)),
    )
    print(section)
    if quick and not arguments.dry:
        print("short runs are not written", file=sys.stderr)
    elif not arguments.dry:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), section), encoding="utf-8")


if __name__ == "__main__":
    main()
