"""Limits of time and memory: a watch beside the steps, and the process's peak memory."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import FrameType
from typing import Any

from mlframe.config.schema import available_cpus
from mlframe.contracts.amounts import parse_size
from mlframe.errors import LimitError

__all__ = ["Limits", "collect_garbage", "memory_in_use", "peak_memory"]

GRACE_SECONDS = 20.0
"""How long a step that passed its limit may take to notice, before the process ends itself."""


def collect_garbage() -> None:
    """Turn garbage collection on where `__main__` turned it off; what was made until now is never looked at again."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def peak_memory() -> int:
    """Return the most memory that the process held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def memory_in_use() -> int:
    """Return the memory that the process holds now, in bytes."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no /proc: the peak is the closest that there is
        return peak_memory()


@contextmanager
def _native_threads(threads: int) -> Iterator[None]:
    """Keep linear algebra and OpenMP to a number of threads; they take all processors by themselves."""
    if threads >= available_cpus():
        yield
        return
    with _libraries(len(sys.modules)).limit(limits=threads):
        yield


@lru_cache(maxsize=1)
def _libraries(modules: int) -> Any:
    """Find the native libraries anew only when modules were imported, which bring them: a look at all takes 4 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class Limits:
    """Watches the running step from a thread of its own.

    A step that passes a limit gets a `LimitError` at its next Python instruction; one that stays inside native code for
    another `GRACE_SECONDS` ends the process with exit code 1, since nothing else can stop it.

    Args:
        resources: the config's `resources`.
    """

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self.threads: int = resources.get("threads") or available_cpus()
        self.seconds: float | None = resources.get("step_seconds")
        self.memory = parse_size(resources.get("memory"), where="resources.memory")
        self.reason: str | None = None
        self._step: tuple[str, float] | None = None
        self._over = threading.Event()
        self._watching = False
        self._before: Any = None

    def __enter__(self) -> Limits:
        main = threading.current_thread() is threading.main_thread()
        if main and (self.seconds or self.memory) and hasattr(signal, "SIGUSR2"):
            self._before = signal.signal(signal.SIGUSR2, self._raise)
            self._watching = True
            self._thread = threading.Thread(target=self._watch, name="mlframe-limits", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._watching:
            self._thread.join()  # a signal sent after the handler is gone would end the process
            signal.signal(signal.SIGUSR2, self._before)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Watch one step.

        Raises:
            LimitError: it passed a limit.
        """
        began = time.monotonic()
        self._step = (name, began)
        try:
            with _native_threads(self.threads):
                yield
        except Exception as error:
            # Code that the step called may have taken the watch's error, a TimeoutError, for a failure of its own.
            reason = self._passed(name, began)
            if reason and not isinstance(error, LimitError):
                raise self._error(reason) from error
            raise
        finally:
            self._step = None
        # Code that the step called may have swallowed the watch's error, or the step was faster than the watch looks.
        reason = self._passed(name, began)
        if reason:
            self.reason = None
            raise self._error(reason)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        if self.reason:
            reason, self.reason = self.reason, None
            raise self._error(reason)

    @staticmethod
    def _error(reason: str) -> LimitError:
        return LimitError(reason, where="resources", hint="raise the limit, or give the step less to do")

    def _watch(self) -> None:
        warned: tuple[str, float] | None = None
        since = 0.0
        while not self._over.wait(0.05):
            step = self._step
            if step is None or (warned is not None and step != warned):
                warned = None
            if step is None:
                continue
            if warned is None:
                reason = self._passed(*step)
                if reason:
                    warned, since, self.reason = step, time.monotonic(), reason
                    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR2)
            elif time.monotonic() - since > GRACE_SECONDS:
                sys.stderr.write(f"mlframe: {self._passed(*step)}; it does not answer, the process ends\n")
                sys.stderr.flush()
                os._exit(1)

    def _passed(self, name: str, began: float) -> str | None:
        spent = time.monotonic() - began
        if self.seconds and spent > self.seconds:
            return f"The step {name} took longer than resources.step_seconds={self.seconds:g} s"
        used = memory_in_use()
        if self.memory and used > self.memory:
            return (
                f"The step {name} holds {used / (1 << 20):,.0f} MB of memory, more than "
                f"resources.memory={self.memory / (1 << 20):,.0f} MB"
            )
        return None
