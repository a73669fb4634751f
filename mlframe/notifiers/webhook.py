"""Tells a program: JSON by HTTP POST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlframe.contracts import Notice, Notifier
from mlframe.notifiers.post import address_of, check_address, from_variable, post

__all__ = ["WebhookNotifier", "check"]


class WebhookNotifier(Notifier):
    """Posts `{"notices": [{model, version, kind, severity, title, text, record}, …]}`; any 2xx counts as told.

    Args:
        url: the address, where it is no secret.
        url_env: name of the environment variable that holds it, where it is one.
        token_env: name of an environment variable whose value is sent as `Authorization: Bearer …`; None sends none.
        timeout: seconds for one attempt.
        retries: further attempts when nobody answers, or with 408, 425, 429 or 5xx; `Retry-After` is kept.
    """

    def __init__(
        self,
        url: str | None = None,
        url_env: str | None = None,
        token_env: str | None = None,
        timeout: float = 10.0,
        retries: int = 2,
    ) -> None:
        self.url, self.url_env, self.token_env = url, url_env, token_env
        self.timeout, self.retries = timeout, retries

    def ready(self) -> None:
        """Look for address and token."""
        self._ends()

    def notify(self, notices: Sequence[Notice]) -> None:
        """Post all of them at once."""
        url, called, headers = self._ends()
        post(url, called, payload(notices), headers=headers, timeout=self.timeout, retries=self.retries)

    def _ends(self) -> tuple[str, str, dict[str, str]]:
        url, called = address_of(self.url, self.url_env, "notifiers.webhook.url_env")
        if not self.token_env:
            return url, called, {}
        token = from_variable(self.token_env, "notifiers.webhook.token_env")
        return url, called, {"Authorization": f"Bearer {token}"}


def payload(notices: Sequence[Notice]) -> dict[str, Any]:
    """Return what is posted."""
    return {
        "notices": [
            {
                "model": notice.name,
                "version": notice.version,
                "kind": notice.kind,
                "severity": notice.severity,
                "title": notice.title,
                "text": notice.text,
                "record": dict(notice.record),
            }
            for notice in notices
        ]
    }


def check(target: type, parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters."""
    return check_address(parameters.get("url"), parameters.get("url_env"))
