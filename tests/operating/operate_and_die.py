"""Runs a task, and kills the process after so many things that it has done: `operate_and_die.py NUMBER TASK key=value…`.

What counts is everything that outlives the process: a write to the row of the operation, a decision, a move of an
alias, a file of rows, and the start of a training.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from mlframe.operating import challenge, child
from mlframe.store.operations import Decisions, Operations
from mlframe.store.store import Store

left = int(sys.argv[1])


def counted(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the function with a death after it, when its turn has come."""

    def done(*args: Any, **kwargs: Any) -> Any:
        global left
        value = function(*args, **kwargs)
        left -= 1
        if left == 0:
            sys.stdout.write(f"killed after {name}\n")
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    return done


Operations.update = counted(Operations.update, "a write to the operation")  # type: ignore[method-assign]
Decisions.add = counted(Decisions.add, "a decision")  # type: ignore[method-assign]
Store.promote = counted(Store.promote, "a promotion")  # type: ignore[method-assign]
Store.rollback = counted(Store.rollback, "a rollback")  # type: ignore[method-assign]
challenge.write = counted(challenge.write, "the rows")
child.subprocess.Popen = counted(child.subprocess.Popen, "the start of a training")  # type: ignore[misc]

if __name__ == "__main__":
    from mlframe.cli import main

    sys.exit(main(sys.argv[2:]))
