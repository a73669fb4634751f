"""Runs `monitor`, and kills the process after so many things that it has kept: `monitor_and_die.py NUMBER key=value…`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from mlframe.store.watching import Alarms, Windows

left = int(sys.argv[1])


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a death after it, when its turn has come."""

    def done(*args: Any, **kwargs: Any) -> Any:
        global left
        value = function(*args, **kwargs)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    return done


Windows.put = counted(Windows.put)  # type: ignore[method-assign]
Alarms.see = counted(Alarms.see)  # type: ignore[method-assign]
Alarms.untold = counted(Alarms.untold)  # type: ignore[method-assign]
Alarms.told = counted(Alarms.told)  # type: ignore[method-assign]

if __name__ == "__main__":
    from mlframe.cli import main

    sys.exit(main(["monitor", *sys.argv[2:]]))
