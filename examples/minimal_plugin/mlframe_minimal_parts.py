"""The source `mbox`: what mail programs export (RFC 4155)."""

from __future__ import annotations

import mailbox
from datetime import datetime
from email import message_from_binary_file, policy
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO, Any

import polars as pl

from mlframe import DataError
from mlframe.contracts import Source

SCHEMA = {"sender": pl.String, "subject": pl.String, "received": pl.Datetime("us"), "body": pl.String}


class MboxSource(Source):
    """Reads the mails of one mbox file.

    Args:
        path: the file.
        body: at most so many characters of a mail's plain text.
    """

    def __init__(self, path: str, body: int = 1000) -> None:
        self.path = path
        self.body = body

    def read(self) -> pl.DataFrame:
        """Return the columns sender, subject, received (UTC) and body; what a mail lacks is null."""
        box = mailbox.mbox(self._file(), factory=_parse, create=False)
        try:
            rows = [
                (mail.get("From"), mail.get("Subject"), _received(mail), (_text(mail) or "")[: self.body] or None)
                for mail in box
            ]
        finally:
            box.close()
        if not rows:
            hint = "export the folder again as mbox"
            raise DataError("The file holds no mail", value=self.path, where="data.source.path", hint=hint)
        return pl.DataFrame(rows, schema=SCHEMA, orient="row")

    def fingerprint(self) -> str:
        """Return size and time of the file."""
        state = self._file().stat()
        return f"{state.st_size}-{state.st_mtime_ns}"

    def _file(self) -> Path:
        file = Path(self.path)
        if not file.is_file():
            raise DataError("There is no such file", value=self.path, where="data.source.path", hint="check the path")
        return file


def _parse(file: IO[Any]) -> EmailMessage:
    return message_from_binary_file(file, policy=policy.default)  # decodes headers, unlike mailbox's own


def _received(mail: EmailMessage) -> datetime | None:
    try:
        found = parsedate_to_datetime(str(mail["Date"]))
    except ValueError:  # a mail without a readable date
        return None
    offset = found.utcoffset()
    return (found - offset if offset else found).replace(tzinfo=None)


def _text(mail: EmailMessage) -> str | None:
    part = mail.get_body(("plain",))
    return str(part.get_content()) if part is not None else None
