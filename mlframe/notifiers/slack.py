"""Tells a channel of Slack, or of a chat that takes Slack's webhooks (Mattermost, Rocket.Chat, Discord with /slack)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mlframe.contracts import Notice, Notifier
from mlframe.notifiers.post import address_of, check_address, post

__all__ = ["SlackNotifier", "check"]

NOTICES = 20
"""Notices of one message."""
LONGEST = 2900
"""Characters of a block of text; Slack takes 3,000."""
SIGNS = {"problem": ":red_circle:", "warning": ":large_yellow_circle:", "info": ":information_source:"}


class SlackNotifier(Notifier):
    """Posts messages to an incoming webhook; https://api.slack.com/messaging/webhooks.

    Args:
        url_env: name of the environment variable that holds the webhook's address, which is a secret.
        url: the address, where it is no secret, such as a gateway of one's own.
        timeout: seconds for one attempt.
        retries: further attempts when nobody answers, or with 429 or 5xx.
    """

    def __init__(
        self,
        url_env: str | None = "SLACK_WEBHOOK_URL",
        url: str | None = None,
        timeout: float = 10.0,
        retries: int = 2,
    ) -> None:
        self.url_env, self.url, self.timeout, self.retries = url_env, url, timeout, retries

    def ready(self) -> None:
        """Look for the address."""
        self._address()

    def notify(self, notices: Sequence[Notice]) -> None:
        """Post a message, or several where one would be too long."""
        url, called = self._address()
        for at in range(0, len(notices), NOTICES):
            message = message_of(notices[at : at + NOTICES])
            post(url, called, message, headers={}, timeout=self.timeout, retries=self.retries)

    def _address(self) -> tuple[str, str]:
        return address_of(self.url, self.url_env, "notifiers.slack.url_env")


def message_of(notices: Sequence[Notice]) -> dict[str, Any]:
    """Return a message: one line for notifications, and a block for each notice."""
    first = notices[0].title if len(notices) == 1 else f"{notices[0].name}: {len(notices)} notices"
    blocks = []
    for notice in notices:
        sign = ":white_check_mark:" if notice.kind == "over" else SIGNS[notice.severity]
        text = f"{sign} *{escaped(notice.title)}*\n{escaped(notice.text)}"
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": _short(text)}})
    return {"text": _short(escaped(first)), "blocks": blocks}


def escaped(text: str) -> str:
    """Return a text in which nothing is a link, a mention or a command for Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else re.sub(r"&[a-z]{0,3}$", "", text[:LONGEST]) + " …"


def check(target: type, parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters; an address of one's own replaces the variable."""
    url = parameters.get("url")
    return check_address(url, None if url else parameters.get("url_env", "SLACK_WEBHOOK_URL"))
