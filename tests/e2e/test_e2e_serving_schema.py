"""A trained version asks of requests what its validators asked of the data, and takes its own rows in every form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from e2e_tools import Workspace

from mlframe.pipeline.learning import Learning
from mlframe.serving.formats import CSV
from mlframe.serving.messages import Request, RequestError
from mlframe.serving.openapi import document
from mlframe.serving.protocols import native
from mlframe.serving.schema import Schema


@dataclass
class Opened:
    """A version as protocols see it."""

    reference: str
    name: str
    number: int
    schema: Schema
    learning: Learning
    manifest: dict[str, Any]
    folder: Path


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    """Train on mail and open the version."""
    workspace = Workspace.make(tmp_path_factory.mktemp("serving-schema"))
    quick = ["experiment=quick", "model=dummy", "reporters=[]", "trackers=[]"]
    workspace.ok("data=email", *quick)
    with workspace.store() as store:
        folder = store.open_bundle("email/1")
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    learning = Learning.from_record(manifest["learning"])
    return Opened("email/1", "email", 1, Schema.load(folder, manifest["inputs"]), learning, manifest, folder)


def test_the_version_keeps_the_rules_of_its_features(opened: Opened) -> None:
    rules = json.loads((opened.folder / "schema.json").read_text(encoding="utf-8"))["rules"]
    assert set(rules) == set(opened.schema.fields)  # neither id nor target
    assert rules["n_to"] == {"nullable": False, "min": 0}
    assert rules["is_reply"] == {"nullable": False, "allowed": [0, 1]}
    assert rules["subject"] == {"nullable": True}


def test_its_own_rows_are_good_requests_in_json_and_csv(opened: Opened) -> None:
    rows = pl.read_ipc(opened.folder / "examples.arrow")
    asked = native.read(opened, Request("POST", "/predict", body=json.dumps(rows.to_dicts()).encode()))
    assert asked.columns == rows.to_dict(as_series=False)
    text = Request("POST", "/predict", headers={"content-type": CSV}, body=rows.write_csv().encode())
    assert {name: list(values) for name, values in native.read(opened, text).columns.items()} == asked.columns


def test_what_the_validators_would_refuse_is_refused(opened: Opened) -> None:
    row = opened.schema.example()
    for name, value in (("n_to", -1), ("is_reply", 2), ("content_type", None), ("n_chars", "many")):
        with pytest.raises(RequestError) as error:
            native.read(opened, Request("POST", "/predict", body=json.dumps(row | {name: value}).encode()))
        assert [fault["field"] for fault in error.value.details] == [name]


def test_no_mail_is_in_what_everybody_may_read(opened: Opened) -> None:
    text = json.dumps(document(opened), ensure_ascii=False)
    rows = pl.read_ipc(opened.folder / "examples.arrow")
    for name in ("subject", "body"):
        assert not any(value in text for value in rows[name].head(10) if value and len(value) > 8)
