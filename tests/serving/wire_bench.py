"""What tests of requests share: a schema with every type of column, and a model as the protocols see it."""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlframe.pipeline.learning import Learning
from mlframe.serving.messages import Answer, Asked, Request
from mlframe.serving.schema import Schema

DTYPES = {
    "amount": "Float64",
    "ratio": "Float32",
    "count": "Int64",
    "small": "Int8",
    "big": "UInt64",
    "member": "Boolean",
    "city": "String",
    "plan": "Categorical",
    "code": "String",
    "born": "Date",
    "seen": "Datetime(time_unit='us', time_zone=None)",
}
RULES: dict[str, dict[str, Any]] = {
    "amount": {"nullable": False, "min": 0, "max": 1e6},
    "count": {"nullable": True, "min": 0},
    "plan": {"nullable": True, "allowed": ["free", "pro"]},
    "code": {"nullable": True, "pattern": "[A-Z]{2}\\d+"},
    "born": {"nullable": True, "above": "1900-01-01"},
    "seen": {"nullable": True, "max": "2030-01-01T00:00:00"},
}
ROW: dict[str, Any] = {
    "amount": 12.5,
    "ratio": 0.5,
    "count": 3,
    "small": -7,
    "big": 1 << 63,
    "member": True,
    "city": "Köln",
    "plan": "pro",
    "code": "DE50",
    "born": "1980-02-29",
    "seen": "2024-05-01T12:30:00+02:00",
}


SPICE = [
    *(b"NaN", b"Infinity", b"-1e999", b"1e308", b"9" * 400, b"-0", b"null", b"true", b"[]", b"{}", b'""', b"\\ud800"),
    *(
        b"\x00",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\r\n",
        b'"',
        b'""',
        b",",
        b"[" * 50,
        b'{"a":' * 50,
        b"\xc3",
        b"\xf0\x9f\x98\x80",
    ),
    *(b"\x80\x00\x00\x00", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00" * 8, b"99999-12-31", b"\xe2\x80\xae"),
]


@dataclass
class Served:
    """A model as protocols see it."""

    reference: str
    name: str
    number: int
    schema: Schema
    learning: Learning
    manifest: dict[str, Any] = field(default_factory=dict)
    folder: Path = Path()

    def answer(self, asked: Asked, request: Request) -> Answer:
        """Score rows by a rule that a test can repeat: the first column of numbers decides."""
        first = next((column for column in asked.columns.values() if column[0] is not None), [0.0] * asked.rows)
        numbers = np.array([hash(str(value)) % 97 / 100 for value in first])
        if not self.learning.classes:
            return Answer(self.reference, numbers, numbers.tolist(), request.id)
        outputs = np.full((asked.rows, len(self.learning.classes)), 0.0)
        outputs[:, 0], outputs[:, 1] = 1 - numbers, numbers
        labels = [self.learning.values[code] for code in outputs.argmax(axis=1)]
        return Answer(self.reference, outputs, labels, request.id)


def records(dtypes: dict[str, str], private: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """Give column records."""
    kinds = {"B": "boolean", "S": "categorical", "C": "categorical", "D": "datetime"}
    return [
        {
            "name": name,
            "role": "feature",
            "kind": kinds.get(dtype[0], "numeric"),
            "tags": ["pii"] if name in private else [],
            "dtype": dtype,
            "inferred": True,
        }
        for name, dtype in dtypes.items()
    ]


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where none of the programs is installed, but never where they are required."""
    absent = not any(map(shutil.which, programs)) and os.environ.get("MLFRAME_TEST_SERVERS") != "required"
    return pytest.mark.skipif(absent, reason=f"{programs[0]} is not installed")


def post(body: Any, path: str = "/predict", **headers: str) -> Request:
    """Give a request; a body that is no bytes is written as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request("POST", path, headers=named, body=raw, id="r1")


def mutated(body: bytes, rng: random.Random) -> bytes:
    """Give a body with a few things wrong."""
    made = bytearray(body)
    for _ in range(rng.randint(1, 4)):
        place = rng.randrange(len(made) + 1)
        match rng.randrange(6):
            case 0 if made:
                made[place % len(made)] = rng.randrange(256)
            case 1:
                made[place:place] = rng.choice(SPICE)
            case 2:
                del made[place : place + rng.randint(1, 12)]
            case 3 if rng.random() < 0.3:
                del made[place:]
            case 4:
                spice = rng.choice(SPICE)
                made[place : place + len(spice)] = spice
            case _:
                start = rng.randrange(len(made) + 1)
                made[place:place] = made[start : start + rng.randint(1, 40)]
    return bytes(made)
