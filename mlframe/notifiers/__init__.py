"""Ways to tell people what a monitor has seen and what was decided."""

from __future__ import annotations

from mlframe import Component, hookimpl


@hookimpl
def mlframe_notifiers() -> list[Component]:
    """Offer the built-in notifiers."""
    return [
        Component(
            "email",
            "mlframe.notifiers.email:EmailNotifier",
            "A message by SMTP, with TLS",
            check="mlframe.notifiers.email:check",
        ),
        Component("log", "mlframe.notifiers.log:LogNotifier", "Lines in Python's log, or JSON lines in a file"),
        Component(
            "slack",
            "mlframe.notifiers.slack:SlackNotifier",
            "Messages to Slack, or to what takes its incoming webhooks",
            check="mlframe.notifiers.slack:check",
        ),
        Component(
            "webhook",
            "mlframe.notifiers.webhook:WebhookNotifier",
            "JSON by HTTP POST",
            check="mlframe.notifiers.webhook:check",
        ),
    ]
