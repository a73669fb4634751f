"""What a ticket must be, as a Pandera class; imported only when a config picks `tickets`."""

from __future__ import annotations

from typing import Literal

import pandera.polars as pa
import polars as pl

from mlframe.validators.pandera import PanderaValidator


class Tickets(pa.DataFrameModel):
    """Rules of the rows."""

    ticket: str = pa.Field(unique=True, str_matches=r"T\d{4}$")
    message: str = pa.Field(str_length={"min_value": 3})
    earlier_tickets: int = pa.Field(ge=0)

    @pa.check("message")
    def message_holds_no_card_number(cls, data: pa.PolarsData) -> pl.LazyFrame:
        """A card number must not reach a model."""
        return data.lazyframe.select(~pl.col(data.key).str.contains(r"\b(?:\d[ -]?){15}\d\b"))


class TicketsValidator(PanderaValidator):
    """Checks tickets.

    Args:
        policy: fail, drop or quarantine.
    """

    def __init__(self, policy: Literal["fail", "drop", "quarantine"] = "quarantine") -> None:
        super().__init__(Tickets, policy)
