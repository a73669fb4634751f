"""The door: reads the command line, checks it whole, dispatches; owns messages and exit codes."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from mlframe.door import COMMANDS, FAILED, INTERRUPTED, Door
from mlframe.errors import ConfigError, MlframeError, UnknownNameError, UserError

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Run one command line.

    Args:
        argv: the arguments after the program's name.

    Returns:
        The exit code: 0 done, 1 a component failed, 2 the user's mistake, 3 the gate's no with gate.strict, 130 interrupt.
    """
    logging.basicConfig(format="%(levelname)s: %(message)s", stream=sys.stderr)
    before = _terminate_like_interrupt()
    try:
        return _dispatch(list(argv))
    except KeyboardInterrupt:
        _say("interrupted; what is done is kept, the same command goes on from there")
        return INTERRUPTED
    except MlframeError as error:
        _say(str(error), error)
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        import traceback

        traceback.print_exc()
        _say(
            f"mlframe itself failed: {type(error).__name__}: {error}\n  do:    please report this with the lines above"
        )
        return FAILED
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _dispatch(argv: list[str]) -> int:
    if argv[:1] == ["--version"]:
        from mlframe import __version__

        print(__version__)
        return 0
    _check_installed()
    door = _open_door(argv)
    words = door.overrides
    first = words[0] if words else "--help"
    if first in ("--help", "-h", "help"):
        from mlframe.commands.help import text

        print(text(door.plugins))
        return 0
    if first in COMMANDS:
        return _command(first, words[1:], door)
    if first and "=" not in first and not first.startswith(("-", "~")):
        from mlframe.commands.help import tasks

        names = tasks(door.folder, door.plugins)
        if first not in names:
            known = [*COMMANDS, *names]
            raise UnknownNameError.from_name("command or task", first, known, where="command line", remedy="see --help")
        door.overrides = [f"task={first}", *words[1:]]
    return _task(door)


def _check_installed() -> None:
    """Say what to do where source code in the working folder hides the installed package, which has the config files."""
    if importlib.util.find_spec("mlframe.conf") is None:
        raise ConfigError(
            "The source code of mlframe hides the installed package, and has no config files at the place of a package",
            value=os.path.dirname(__file__),
            hint="work in another folder, or install this source code itself: python -m pip install -e .",
        )


def _open_door(argv: Sequence[str]) -> Door:
    """Take out what must be known before plugins are loaded."""
    picked: dict[str, tuple[str, ...] | None] = {"plugins.block": (), "plugins.only": None}
    overrides = []
    for word in argv:
        key, _, value = word.partition("=")
        if key in picked:
            picked[key] = tuple(name.strip() for name in value.strip("[]").split(",") if name.strip())
        else:
            overrides.append(word)
    return Door(overrides, picked["plugins.block"] or (), picked["plugins.only"])


def _command(name: str, words: Sequence[str], door: Door) -> int:
    module = importlib.import_module(f"mlframe.commands.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(f"mlframe {name}", description=module.SUMMARY)
    module.add_arguments(parser)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="overrides, such as store.root=FOLDER")
    overrides = [word for word in words if _is_override(word)]
    try:
        arguments = parser.parse_args([word for word in words if not _is_override(word)])
    except SystemExit as error:
        return int(error.code or 0)
    door.overrides = [*overrides, *arguments.overrides]
    arguments.door = door
    return int(module.run(arguments))


def _is_override(word: str) -> bool:
    return ("=" in word and not word.startswith("--")) or word.startswith("~")


def _task(door: Door) -> int:
    flags = [word for word in door.overrides if word.startswith("-")]
    door.overrides = [word for word in door.overrides if word not in flags]
    sweeping = any(flag in ("-m", "--multirun") for flag in flags)
    unknown = [flag for flag in flags if flag not in ("-m", "--multirun", "--cfg")]
    if unknown:
        hint = "tasks take overrides (key=value), -m/--multirun and --cfg; commands take flags of their own"
        raise UserError(f"Unknown flag {unknown[0]}", where="command line", hint=hint)
    if sweeping:
        from mlframe.sweep.multirun import multirun

        return multirun(door)
    composed = door.compose()
    if "--cfg" in flags:
        from omegaconf import OmegaConf

        print(OmegaConf.to_yaml(composed.config))
        return 0
    from mlframe.commands.run import run_task

    return run_task(door, composed)


def _terminate_like_interrupt() -> Any:
    """Let SIGTERM close everything as Ctrl-C does; only the main thread may."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    try:
        return signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        return None


def _say(text: str, error: BaseException | None = None) -> None:
    notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", []) if not str(note).startswith("step: "))
    step = next((str(note) for note in getattr(error, "__notes__", []) if str(note).startswith("step: ")), "")
    if step and "where" in vars(error) and step not in str(error):
        notes = f"\n  {step}" + notes
    sys.stdout.flush()
    sys.stderr.write(f"mlframe: {text}{notes}\n")
    sys.stderr.flush()
