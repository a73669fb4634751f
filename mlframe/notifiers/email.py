"""Tells people by e-mail (SMTP)."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from mlframe.contracts import Notice, Notifier
from mlframe.errors import ConfigError, MlframeError
from mlframe.notifiers.post import from_variable

__all__ = ["EmailNotifier", "check"]

PAUSE = 1.0
"""Seconds before another attempt; doubled each time."""

TLS = ("starttls", "ssl", "none")


class EmailNotifier(Notifier):
    """Sends one message with all notices.

    Args:
        host: the mail server.
        port: its port; 587 with `starttls`, 465 with `ssl`, 25 with `none`, as a rule.
        tls: `starttls`, `ssl` (from the first byte), or `none`. Certificates are checked.
        ca_file: PEM file of one's own authority; None takes the system's.
        user: name to log in with; None logs in nowhere.
        password_env: name of the environment variable that holds the password.
        sender: address that it comes from.
        to: addresses that it goes to.
        subject: what subjects begin with.
        timeout: seconds for one answer of the server.
        retries: further attempts when it cannot be reached, or asks to try later (4xx).
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 587,
        tls: str = "starttls",
        ca_file: str | None = None,
        user: str | None = None,
        password_env: str | None = "SMTP_PASSWORD",
        sender: str = "mlframe@localhost",
        to: Sequence[str] = (),
        subject: str = "[mlframe]",
        timeout: float = 15.0,
        retries: int = 2,
    ) -> None:
        self.host, self.port, self.tls, self.ca_file = host, port, tls, ca_file
        self.user, self.password_env = user, password_env
        self.sender, self.to, self.subject = sender, list(to), subject
        self.timeout, self.retries = timeout, retries

    def ready(self) -> None:
        """Look for the password, where one is needed."""
        if self.user:
            self._password()

    def notify(self, notices: Sequence[Notice]) -> None:
        """Send it; somebody who is refused while others are not is named and not tried again."""
        message = message_of(notices, self.sender, self.to, self.subject)
        text = ""
        for attempt in range(self.retries + 1):
            try:
                self._send(message)
            except smtplib.SMTPResponseException as error:
                said = (
                    error.smtp_error.decode(errors="replace")
                    if isinstance(error.smtp_error, bytes)
                    else error.smtp_error
                )
                text = f"{self._called} answered {error.smtp_code} {said}"
                if error.smtp_code >= 500:
                    break
            except smtplib.SMTPRecipientsRefused as error:
                text = f"{self._called} refuses {', '.join(sorted(error.recipients))}"
                if any(code >= 500 for code, _ in error.recipients.values()):
                    break
            except (smtplib.SMTPException, OSError) as error:
                text = f"{self._called} cannot be reached: {error}"
                if isinstance(error, ssl.SSLCertVerificationError | smtplib.SMTPNotSupportedError):
                    break
            else:
                return
            if attempt < self.retries:
                time.sleep(PAUSE * 2.0**attempt)
        raise MlframeError(text, hint="what could not be told is told the next time")

    @property
    def _called(self) -> str:
        return f"the mail server {self.host}:{self.port}"

    def _send(self, message: EmailMessage) -> None:
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            raise ConfigError(
                f"The certificates cannot be read: {error}",
                value=self.ca_file,
                where="notifiers.email.ca_file",
                hint="name a PEM file",
            ) from error
        server: smtplib.SMTP
        if self.tls == "ssl":
            server = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.timeout)
        with server:
            if self.tls == "starttls":
                server.starttls(context=context)
            if self.user:
                server.login(self.user, self._password())
            server.send_message(message)

    def _password(self) -> str:
        return from_variable(str(self.password_env), "notifiers.email.password_env")


def message_of(notices: Sequence[Notice], sender: str, to: Sequence[str], subject: str) -> EmailMessage:
    """Return one message in plain text with all notices."""
    message = EmailMessage()
    title = (
        notices[0].title
        if len(notices) == 1
        else f"{notices[0].name}: {len(notices)} notices, first: {notices[0].title}"
    )
    message["Subject"] = " ".join(f"{subject} {title}".split())[:240]
    message["From"], message["To"] = sender, ", ".join(to)
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="mlframe.invalid")
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    message.set_content("\n\n".join(f"{notice.title}\n{notice.text}" for notice in notices) + "\n")
    return message


def check(target: type, parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the parameters."""
    wrong = []
    if not parameters.get("to"):
        wrong.append("it needs somebody to tell: give addresses, such as to=[team@example.com]")
    elif not all("@" in str(address) and not set(str(address)) & set(" \r\n,") for address in parameters["to"]):
        wrong.append("to holds something that is no address")
    if parameters.get("tls", "starttls") not in TLS:
        wrong.append(f"tls is one of {', '.join(TLS)}")
    if parameters.get("user") and parameters.get("tls") == "none":
        wrong.append("a password is not sent without TLS: give tls=starttls or tls=ssl, or leave user out")
    return wrong
