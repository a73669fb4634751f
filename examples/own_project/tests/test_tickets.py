"""The project's own validator keeps the contract; run with `pytest` in the project's folder."""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from mlframe.table import ROW, Table, describe_columns
from mlframe.testing import ValidatorSuite


class TestTickets(ValidatorSuite):
    @pytest.fixture
    def project_folder(self):
        return Path(__file__).parent.parent

    @pytest.fixture
    def component(self):
        return "tickets"

    @pytest.fixture
    def good(self):
        return _tickets()

    @pytest.fixture
    def bad(self):
        frame = _tickets().frame
        message = pl.when(pl.col(ROW) == 3).then(pl.lit("my card is 4111 1111 1111 1111")).otherwise("message")
        earlier = pl.when(pl.col(ROW) == 5).then(-1).otherwise("earlier_tickets")
        return _tickets(frame.with_columns(message=message, earlier_tickets=earlier)), {3, 5}


def _tickets(frame=None):
    if frame is None:
        rows = range(10)
        frame = pl.DataFrame(
            {
                ROW: pl.Series(rows, dtype=pl.UInt32),
                "ticket": [f"T{row:04d}" for row in rows],
                "opened": [datetime(2024, 1, 1, row) for row in rows],
                "message": ["cannot log in"] * 10,
                "earlier_tickets": [row % 3 for row in rows],
                "escalated": ["no", "yes"] * 5,
            }
        )
    return Table(frame, describe_columns(frame, {"escalated": {"role": "target"}, "opened": {"role": "time"}}))
