"""Weights & Biases: a run there for each run here, and never a run lost because of it.

Before W&B's own client is asked to connect, which retries for minutes, one short question tells whether the server
answers and knows the key. If not, one warning says why and the record goes to disk, from where `wandb sync` uploads it.
"""

from __future__ import annotations

import base64
import json
import logging
import netrc
import os
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from mlframe.contracts import Chart, RunInfo, Tracker
from mlframe.errors import ParameterError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["WandbTracker", "find_key", "why_not"]

log = logging.getLogger("mlframe")

CLOUD = "api.wandb.ai"
"""Name under which logins of W&B's own cloud stand in netrc, whatever address serves it."""


class WandbTracker(Tracker):
    """Record runs with Weights & Biases.

    Args:
        project: project that the runs go to.
        entity: user or team; None for the login's own.
        mode: `auto` is online when a login is present (WANDB_API_KEY or a netrc entry) and offline otherwise, and
            follows WANDB_MODE; `disabled` records nothing.
        group: name that ties runs together; None for the multirun's id.
        tags: words to find the run by.
        notes: a sentence about the run.
        upload: `none`, `rows` (tables named `rows/…` too) or `bundle` (rows and the model's files).
        dir: folder for W&B's own files; None for the run's folder.
        timeout: seconds to wait for the server, at the beginning and at the end.

    Raises:
        ParameterError: `timeout` is not positive.
    """

    def __init__(
        self,
        project: str = "mlframe",
        entity: str | None = None,
        mode: Literal["auto", "online", "offline", "disabled"] = "auto",
        group: str | None = None,
        tags: Sequence[str] = (),
        notes: str | None = None,
        upload: Literal["none", "rows", "bundle"] = "none",
        dir: str | None = None,
        timeout: float = 5.0,
    ) -> None:
        if timeout <= 0:
            raise ParameterError(
                "wandb: timeout must be above 0",
                value=timeout,
                where="trackers.wandb.timeout",
                hint="5 seconds suit most networks; mode=offline never waits",
            )
        self.project = project
        self.entity = entity
        self.mode = mode
        self.group = group
        self.tags = list(tags)
        self.notes = notes
        self.upload = upload
        self.dir = dir
        self.timeout = float(timeout)
        self._run: Any = None
        self._folder: Path | None = None
        self._online = False
        self._told = False

    def open(self, run: RunInfo) -> None:
        """Begin a W&B run; a server that cannot be used is said once, and the record goes to disk."""
        mode = self.mode
        if mode == "auto":
            wanted = os.environ.get("WANDB_MODE", "")
            mode = wanted if wanted in ("online", "offline", "disabled") else "auto"  # type: ignore[assignment]
        if mode == "disabled":
            return
        self._folder = Path(self.dir) if self.dir else run.folder
        try:
            self._online = self._can_connect(mode)
        except Exception as error:  # its client reads settings of its own, and refuses all when it dislikes one
            self._warn(f"W&B cannot start ({_reason(error)}); the run goes on without it")
            return
        number = _clean(run.id)
        if self._online:
            try:
                self._run = self._start(run, "online", number)
                return
            except Exception as error:
                self._warn(f"W&B did not take the run ({_first_line(error)}); it is recorded offline")
                self._online = False
                number += "-offline"  # W&B's client keeps the id of a run that it could not begin
        try:
            self._run = self._start(run, "offline", number)
        except Exception as error:
            self._warn(f"W&B cannot record the run ({_reason(error)}); the run goes on without it")

    def figures(self, values: Mapping[str, float]) -> None:
        """Log numbers under their names."""
        self._do(lambda run: run.log({name: float(value) for name, value in values.items()}))

    def chart(self, chart: Chart) -> None:
        """Log a picture as a page with its words."""

        def send(run: Any) -> None:
            import wandb

            run.log({f"charts/{_clean(chart.name)}": wandb.Html(chart.svg, inject=False)})

        self._do(send)

    def table(self, name: str, frame: pl.DataFrame) -> None:
        """Log a table; one named `rows/…` only with `upload` rows or bundle."""
        if name.startswith("rows/") and self.upload == "none":
            return

        def send(run: Any) -> None:
            import wandb

            data = [[_cell(item) for item in row] for row in frame.iter_rows()]
            run.log({f"tables/{name}": wandb.Table(columns=frame.columns, data=data)})

        self._do(send)

    def bundle(self, name: str, folder: Path) -> None:
        """Note the version; upload the bundle's files with `upload: bundle` only."""

        def send(run: Any) -> None:
            run.summary["version"] = name
            if self.upload == "bundle":
                import wandb

                artifact = wandb.Artifact(
                    _clean(name.rpartition("/")[0] or name), type="model", metadata={"version": name}
                )
                for path in sorted(folder.rglob("*")):  # add_dir would write to the terminal
                    if path.is_file():
                        artifact.add_file(str(path), name=path.relative_to(folder).as_posix())
                run.log_artifact(artifact)

        self._do(send)

    def address(self) -> str | None:
        """Return the run's page, or the folder that `wandb sync` uploads."""
        if self._run is None:
            return None
        if self._online:
            return str(self._run.url)
        return str(Path(self._run.dir).parent)

    def close(self, status: str) -> None:
        """Finish the W&B run; what the server does not take in time stays on disk."""
        run, self._run = self._run, None
        if run is None:
            return
        code = {"finished": 0, "interrupted": 130}.get(status, 1)
        failure: list[Exception] = []

        def finish() -> None:
            try:
                run.finish(exit_code=code)
            except Exception as error:
                failure.append(error)

        # A server that dies in mid-run must not hold the process: W&B's own limit first, then ours.
        thread = threading.Thread(target=finish, daemon=True, name="wandb-finish")
        thread.start()
        thread.join(None if not self._online else 12 * self.timeout)
        if failure or thread.is_alive():
            reason = _first_line(failure[0]) if failure else "it did not answer in time"
            self._warn(f"W&B could not finish the run ({reason}); 'wandb sync' uploads what is in {self._folder}")

    def _can_connect(self, mode: str) -> bool:
        if mode == "offline":
            return False
        url = _server()
        key = find_key(url)
        if key is None:
            if mode == "online":
                self._warn("W&B has no login (WANDB_API_KEY or 'wandb login'); the run is recorded offline")
            return False
        reason = why_not(url, key, self.timeout)
        if reason:
            self._warn(f"W&B at {url} {reason}; the run is recorded offline")
        return reason is None

    def _start(self, run: RunInfo, mode: Literal["online", "offline"], number: str) -> Any:
        import wandb

        assert self._folder is not None
        self._folder.mkdir(parents=True, exist_ok=True)
        wanted = {
            "silent": True,
            "console": "off",
            "symlink": False,
            "disable_git": True,
            "save_code": False,
            "init_timeout": 3 * self.timeout,
            "finish_timeout": 6 * self.timeout,
        }
        known = wandb.Settings.model_fields
        config = {**run.config, "run": {"id": run.id, "task": run.task, "facts": _without_diff(run.facts)}}
        return wandb.init(
            project=self.project,
            entity=self.entity,
            dir=str(self._folder),
            id=number,
            name=f"{run.name} {run.id}",
            group=self.group or run.group,
            job_type=run.task,
            tags=self.tags or None,
            notes=self.notes,
            config=_plain(config),
            mode=mode,
            reinit="create_new",  # a process may hold several runs, one after the other or at once
            settings=wandb.Settings(**{name: value for name, value in wanted.items() if name in known}),
        )

    def _do(self, action: Callable[[Any], None]) -> None:
        if self._run is None:
            return
        try:
            action(self._run)
        except Exception as error:
            if not self._told:
                self._warn(f"W&B did not take a record ({_first_line(error)}); the run goes on without it")
            self._told = True

    def _warn(self, text: str) -> None:
        log.warning("%s", text)


def find_key(url: str) -> str | None:
    """Return the API key for a server from WANDB_API_KEY or netrc, None when there is no login."""
    key = os.environ.get("WANDB_API_KEY", "").strip()
    if key:
        return key
    places = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    host = urlsplit(url).netloc
    own = os.environ.get("WANDB_BASE_URL")
    for place in places:
        path = Path(place).expanduser()
        try:
            entries = netrc.netrc(str(path))
        except (OSError, netrc.NetrcParseError):
            continue
        found = entries.hosts.get(host) or (None if own else entries.hosts.get(CLOUD))
        if found and found[2]:
            return found[2]
    return None


def why_not(url: str, key: str, timeout: float) -> str | None:
    """Ask a server who the key belongs to; return why it cannot be used, None when it can.

    Args:
        url: address of the server.
        key: API key.
        timeout: seconds after which the answer is no longer awaited, finding the address included.
    """
    answer: list[str | None] = []
    thread = threading.Thread(target=lambda: answer.append(_ask(url, key, timeout)), daemon=True, name="wandb-probe")
    thread.start()
    thread.join(timeout)
    return answer[0] if answer else _late(timeout)


def _late(timeout: float) -> str:
    return f"did not answer within {timeout:g} seconds"


def _ask(url: str, key: str, timeout: float) -> str | None:
    try:
        request = urllib.request.Request(
            f"{url.rstrip('/')}/graphql",
            data=json.dumps({"query": "query Viewer { viewer { id } }"}).encode(),
            headers={
                "Content-Type": "application/json",
                "Authorization": "Basic " + base64.b64encode(f"api:{key}".encode()).decode(),
            },
        )
        with urllib.request.urlopen(request, timeout=timeout) as response:
            viewer = (json.loads(response.read()).get("data") or {}).get("viewer")
    except urllib.error.HTTPError as error:
        with error:
            return "refuses the API key" if error.code in (401, 403) else f"answered {error.code} {error.reason}"
    except urllib.error.URLError as error:
        return _late(timeout) if isinstance(error.reason, TimeoutError) else f"cannot be reached ({error.reason})"
    except TimeoutError:
        return _late(timeout)
    except (OSError, ValueError, AttributeError) as error:
        return f"did not answer as a W&B server does ({_first_line(error)})"
    return None if viewer else "refuses the API key"


def _server() -> str:
    """Return the address that W&B's own client would use: variable, settings file or its default."""
    own = os.environ.get("WANDB_BASE_URL")
    if own:
        return own
    import wandb

    return str(wandb.setup().settings.base_url)


def _cell(item: Any) -> Any:
    return item if item is None or isinstance(item, str | bool | int | float) else str(item)


def _plain(item: Any) -> Any:
    if isinstance(item, Mapping):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    return _cell(item)


def _without_diff(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the code's diff out: it stays in the store, where its owner decides who reads it."""
    return {
        name: _without_diff(item) if isinstance(item, Mapping) else item
        for name, item in facts.items()
        if name != "diff"
    }


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "-", name)


def _reason(error: BaseException) -> str:
    """Return why W&B's client gave up; a setting that it refuses is named with its variable and value."""
    refused: list[Any] = getattr(error, "errors", list)()  # pydantic's list of them
    if not refused or not refused[0].get("loc"):
        return _first_line(error)
    name, value = f"WANDB_{str(refused[0]['loc'][0]).upper()}", refused[0].get("input")
    if name in os.environ:
        return f"{name}={value!r} is set, and it says: {refused[0]['msg']}; unset or mend the variable"
    return f"its setting {refused[0]['loc'][0]!r} is {value!r}, and it says: {refused[0]['msg']}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
