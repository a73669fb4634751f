"""Processes that write a log and die, or run out of space; the tests of faults start them as processes of their own.

log_process.py forever FOLDER WORKER ROUND    adds rows until it is killed
log_process.py points FOLDER                  dies before each call of the operating system in turn, and inside writes
log_process.py full FOLDER [BALLAST]          fills the disk up, then makes room
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

from log_rows import SALT, SMALL, pipeline, small

from mlframe.serving.prediction_log import PredictionLog


def log_in(folder: str, worker: str, **given: Any) -> PredictionLog:
    log = PredictionLog(Path(folder) / "predictions/shop", worker, **({"flush": 600, "salt": SALT} | given))
    log.introduce("shop/1", pipeline(*SMALL))
    return log


def note(folder: str, name: str, text: str) -> None:
    """Write a line that survives the death of this process."""
    file = os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{text}\n".encode())
    os.close(file)


def forever(folder: str, worker: str, turn: str) -> None:
    log = log_in(folder, worker, flush=0.002, rotate_bytes=20_000, queue=5_000)
    number, told = 0, 0
    while True:
        number += log.add(small(number, caller=f"{worker}-{turn}", prefix=f"{worker}-{turn}-"))
        if log.written != told:
            told = log.written
            note(folder, f"acks-{worker}-{turn}", str(told))
        if log.waiting > 1000:
            time.sleep(0.001)


CALLS = ("open", "pwrite", "fsync", "replace", "unlink", "mkdir")


def points(folder: str) -> None:
    """Fork a process for each point, which dies there; every one first takes over what the one before has left."""
    point = 0
    while True:
        child = os.fork()
        if child == 0:
            die_at(point)
            for part in ("a", "b"):
                log = log_in(folder, "w")
                for number in range(3):
                    log.add(small(number, caller=f"{point}{part}", prefix=f"{point}{part}-"))
                log.close()
                note(folder, "acks", f"{point}{part}" if log.lost == 0 else f"lost at {point}: {log.error}")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            print(json.dumps({"points": point, "code": os.WEXITSTATUS(status)}))
            return
        point += 1


def die_at(point: int) -> None:
    """Kill this process before the call of that number; writes count twice, and die in their middle as well."""
    count = 0

    def armed(name: str, call: Any) -> Any:
        def wrapped(*given: Any, **named: Any) -> Any:
            nonlocal count
            if Path(str(given[0])).name == "acks":
                return call(*given, **named)
            steps = 2 if name == "pwrite" else 1
            if count <= point < count + steps:
                if point > count:
                    call(given[0], given[1][: len(given[1]) // 2], given[2])
                os.kill(os.getpid(), signal.SIGKILL)
            count += steps
            return call(*given, **named)

        return wrapped

    for name in CALLS:
        setattr(os, name, armed(name, getattr(os, name)))


def full(folder: str, ballast: str | None = None) -> None:
    if ballast is None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
    log = log_in(folder, "w", flush=0.005, queue=2_000)
    accepted, number, error = [], 0, None
    deadline = time.monotonic() + 60
    while log.lost < 500 or error is None:
        assert time.monotonic() < deadline, (log.lost, log.error, log.written)
        if log.add(small(number)):
            accepted.append(number)
        error = log.error or error
        number += 1
        if number % 50 == 0:
            time.sleep(0.002)
    lost = log.lost
    if ballast is None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    else:
        os.unlink(ballast)
    while log.waiting:
        assert time.monotonic() < deadline, (log.lost, log.error, log.written)
        time.sleep(0.005)
    recovered = log.error
    assert log.add(small(number))
    log.close()
    print(
        json.dumps(
            {
                "accepted": [*accepted, number],
                "asked": number + 1,
                "lost": lost,
                "lost_then": log.lost,
                "error": error,
                "error_then": recovered,
            }
        )
    )


if __name__ == "__main__":
    {"forever": forever, "points": points, "full": full}[sys.argv[1]](*sys.argv[2:])
