"""The bundled data: real tables with known sources and licences, one folder each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable

__all__ = ["DATASETS", "Dataset"]


@dataclass(frozen=True)
class Dataset:
    """A bundled table.

    Args:
        name: name of its folder and of its `conf/data/<name>.yaml`.
        summary: one line: what it is, how many rows, what is predicted.
        file: name of the data file.
        sha256: digest of the data file.
        times: column to strftime format, for a file that keeps times as text.
    """

    name: str
    summary: str
    file: str
    sha256: str
    times: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Traversable:
        """The folder that holds the data file and its NOTICE.md."""
        return resources.files(__name__) / self.name


DATASETS: Mapping[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "churn",
            "7,043 customers of a made-up telephone company: who leaves?",
            "data.parquet",
            "7346847ed0abf7dda5c4ba75fd5c991652411d648b33c7f841e1914f66d06314",
        ),
        Dataset(
            "diamonds",
            "53,940 round-cut diamonds: what is the price?",
            "data.parquet",
            "0eb6de7f918e0e4c13ef12704c75b5c860c9e2a374b0fd820df305bde27aa31a",
        ),
        Dataset(
            "electricity",
            "45,312 half-hours of an electricity market, 1996-1998: does the price go up or down?",
            "data.parquet",
            "c4484840551d9887fa2653236df728f660e824adca22bf51e65322d5b263760c",
        ),
        Dataset(
            "email",
            "5,920 e-mails in the order in which they arrived, 2001-2002: spam or ham?",
            "email.csv.gz",
            "413cf3a91b347622b7188eab4aa023691126be0217933f5b1b225305158f838b",
            {"received": "%Y-%m-%d %H:%M:%S"},
        ),
        Dataset(
            "sms_spam",
            "5,574 English text messages: spam or ham?",
            "data.parquet",
            "addc6092f0ed8edafe72934c329f30e8e7b6aed69870ecac3d559cd44ed0009c",
        ),
        Dataset(
            "spambase",
            "4,601 e-mails of one office as 57 word and character frequencies, 1999: spam or not?",
            "data.parquet",
            "8e43510a93216af26c5f4eb9af53cf1e2b07e3c8ffc031056044409fe9e46575",
        ),
    )
}
"""Every bundled table by name."""
