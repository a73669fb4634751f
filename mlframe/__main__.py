"""`python -m mlframe`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # Idle OpenMP threads otherwise spin on their processor: beside any other work, LightGBM then slows down tenfold.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    # What is imported stays: to look for garbage among it takes a tenth of the start. Tasks turn collection on again.
    gc.disable()
    from mlframe.cli import main as door

    code = door(sys.argv[1:])
    # An interrupt inside code that is made from text (the import of a dataclass) is remembered by the interpreter also when it
    # was handled: unless more such code runs, `python -m` ends by SIGINT, whatever it exits with.
    exec("")
    gc.freeze()  # the interpreter's last look for garbage costs a third of a second, and frees what the system frees anyway
    sys.exit(code)


if __name__ == "__main__":
    main()
