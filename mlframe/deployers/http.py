"""A prediction server in processes of its own: `python -m mlframe serve`."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from mlframe.contracts import Deployer, Deployment
from mlframe.errors import StepError, UserError

__all__ = ["HttpDeployer"]


class HttpDeployer(Deployer):
    """Starts `python -m mlframe.serving`, which needs nothing of this process, and ends it.

    The parameters are the server's settings; `conf/deployer/http.yaml` says what each does.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 8080,
        workers: int = 1,
        threads: int = 1,
        reload: float = 2.0,
        wait_ms: float = 0.0,
        batch_rows: int = 1024,
        queue_rows: int = 20_000,
        body_mb: float = 16.0,
        header_kb: int = 32,
        rows: int = 10_000,
        timeout: float = 10.0,
        grace: float = 20.0,
        tls_cert: str | None = None,
        tls_key: str | None = None,
        auth: str = "auto",
        shadow: str | None = None,
        canary: Mapping[str, Any] | None = None,
        log: Mapping[str, Any] | None = None,
        access_log: str | None = "stderr",
    ) -> None:
        self.settings = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        self._process: subprocess.Popen[bytes] | None = None

    def deploy(self, order: Deployment) -> Mapping[str, Any]:
        """Start the server and return when it answers.

        Raises:
            UserError: what is asked for cannot be served; the text is the server's.
            StepError: the server ended before it answered.
        """
        file = order.folder / "serving.json"
        values = {
            **self.settings,
            "name": order.name,
            "version": order.follows or order.reference,
            "store": order.store_root,
            "run": order.folder.name,
            "block": order.blocked,
            "parent": os.getpid(),
        }
        file.write_text(json.dumps(values, indent=1), encoding="utf-8")
        environment = dict(os.environ)
        if order.store_url is not None:
            environment["MLFRAME_STORE_URL"] = order.store_url
        # A session of its own: Ctrl-C is for this process, which ends the server in good order.
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", "mlframe.serving", str(file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        try:
            facts = self._wait(process)
        except BaseException:
            self.undo()
            raise
        order.say(f"serving {', '.join(facts['versions'])} at {facts['address']}")
        print(f"  {order.reference} answers at {facts['address']} (Ctrl-C ends it)", flush=True)
        return {
            "address": facts["address"],
            "versions": facts["versions"],
            "pid": process.pid,
            "settings": str(file),
            "seconds": facts["seconds"],
            "undo": f"end process {process.pid}: Ctrl-C where it was started, or kill {process.pid}",
        }

    def _wait(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Read what the server says until it answers or fails."""
        assert process.stdout is not None
        for line in process.stdout:
            told = json.loads(line)
            if "ready" in told:
                ready: dict[str, Any] = told["ready"]
                return ready
            failed = told.get("failed") or {}
            if failed.get("what"):
                process.wait()
                given = {key: failed[key] for key in ("value", "where", "hint") if failed.get(key) is not None}
                raise UserError(failed["what"], **given)
        code = process.wait()
        raise StepError(
            f"The server ended with code {code} before it answered",
            where="deployer=http",
            hint="what it wrote is above; a worker that was killed may have had too little memory",
        )

    def attend(self) -> None:
        """Stay until the server ends; an interrupt ends it.

        Raises:
            StepError: the server has ended by itself.
        """
        process = self._process
        if process is None:
            return
        assert process.stdout is not None
        try:
            # A plain wait would go on through Ctrl-C: polars lets the system restart calls that SIGINT interrupts.
            while select.select([process.stdout], [], [])[0] and os.read(process.stdout.fileno(), 4096):
                pass
            code = process.wait()
        except KeyboardInterrupt:  # how a server is meant to end
            self.undo()
            return
        process.stdout.close()
        self._process = None
        if code:
            raise StepError(f"The server ended with code {code}", where="deployer=http", hint="its log says why")

    def undo(self) -> None:
        """End the server: what it accepted is answered, its logs are written."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            _patiently(process)
        if process.stdout is not None:
            process.stdout.close()


def _patiently(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end; a second interrupt means at once."""
    try:
        while process.poll() is None:
            time.sleep(0.05)
    except KeyboardInterrupt:
        process.kill()
        process.wait()
        raise
