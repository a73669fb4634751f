"""Whatever the bytes are, a request is read or refused with 4xx: 10,000 mutated requests, and JSON of any shape."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire_bench import DTYPES, ROW, RULES, Served, mutated, post, records

from mlframe.pipeline.learning import Learning
from mlframe.serving.formats import ARROW_FILE, ARROW_STREAM, CSV
from mlframe.serving.messages import Asked, Request, RequestError
from mlframe.serving.protocols import native, tensorflow, v2
from mlframe.serving.schema import Schema

MUTATED = 10_000
TYPES = {"Float64": float, "Float32": float, "Boolean": bool, "String": str, "Categorical": str}
MODEL = Served(
    "shop/7",
    "shop",
    7,
    Schema(records(DTYPES, private=("city",)), RULES, [ROW], most=50),
    Learning("binary", "left", ("no", "yes"), ("no", "yes")),
)


def frame() -> pl.DataFrame:
    empty = dict.fromkeys(ROW) | {"amount": 1.0}
    made = pl.DataFrame([ROW, empty, ROW], schema_overrides={"big": pl.UInt64}, infer_schema_length=None)
    return made.with_columns(
        pl.col("born").str.to_date(), pl.col("seen").str.to_datetime(time_unit="us", time_zone="UTC")
    )


def written(how: str, **options) -> bytes:
    buffer = io.BytesIO()
    getattr(frame(), how)(buffer, **options)
    return buffer.getvalue()


def tensors() -> Request:
    """Give a request with binary tensors."""
    heads, data = [], b""
    for name, dtype in (("amount", "FP64"), ("count", "INT64"), ("member", "BOOL"), ("city", "BYTES")):
        text = "Köln".encode()
        raw = {
            "FP64": np.array([1.5]).tobytes(),
            "INT64": np.array([3]).tobytes(),
            "BOOL": b"\x01",
            "BYTES": len(text).to_bytes(4, "little") + text,
        }[dtype]
        heads.append({"name": name, "shape": [1], "datatype": dtype, "parameters": {"binary_data_size": len(raw)}})
        data += raw
    rest = {
        "ratio": "FP32",
        "small": "INT8",
        "big": "UINT64",
        "plan": "BYTES",
        "code": "BYTES",
        "born": "BYTES",
        "seen": "BYTES",
    }
    heads += [{"name": name, "shape": [1, 1], "datatype": dtype, "data": [ROW[name]]} for name, dtype in rest.items()]
    head = json.dumps({"id": "x", "inputs": heads, "outputs": [{"name": "y_pred"}]}).encode()
    return post(head + data, "/v2/models/shop/infer", inference_header_content_length=str(len(head)))


def seeds() -> list[tuple]:
    """Give good requests and what reads them."""
    fields = MODEL.schema.fields
    inputs = [{"name": n, "shape": [1], "datatype": v2.datatype(fields[n]), "data": [v]} for n, v in ROW.items()]
    texts = frame().with_columns(pl.col("seen").dt.to_string("iso:strict")).write_csv().encode()
    return [
        (native.read, post(ROW)),
        (native.read, post({"rows": [ROW, ROW], "explain": 2})),
        (native.read, post(texts, content_type=CSV)),
        (native.read, post(written("write_ipc_stream"), content_type=ARROW_STREAM)),
        (native.read, post(written("write_ipc"), content_type=ARROW_FILE)),
        (
            native.read,
            post(written("write_ipc_stream", compat_level=pl.CompatLevel.oldest()), content_type=ARROW_STREAM),
        ),
        (native.read_feedback, post([{"request_id": "a", "label": "yes", "time": "2024-05-01"}], "/feedback")),
        (v2.read, post({"inputs": inputs}, "/v2/models/shop/infer")),
        (v2.read, tensors()),
        (tensorflow.read, post({"instances": [ROW]}, "/v1/models/shop:predict")),
        (tensorflow.read, post({"inputs": {name: [value] for name, value in ROW.items()}}, "/v1/models/shop:predict")),
    ]


def judge(read, request: Request) -> str:
    """Read a request; anything but an answer or a 4xx fails."""
    refused = None
    try:
        asked = read(MODEL, request)
    except RequestError as error:
        refused = error
    if refused is not None:
        assert 400 <= refused.status < 500
        for reply in (refused.reply(request), v2.error(refused, request), tensorflow.error(refused, request)):
            json.loads(reply.body)
            assert len(reply.body) < 50_000
        return str(refused.status)
    if isinstance(asked, Asked):
        check(asked)
    return "read"


def check(asked: Asked) -> None:
    """Every column is there, as long as there are rows, and of its type."""
    assert list(asked.columns) == list(DTYPES)
    assert 0 < asked.rows <= 50
    for name, values in asked.columns.items():
        assert len(values) == asked.rows
        dtype = DTYPES[name].partition("(")[0]
        kind = TYPES.get(dtype, {"Date": dt.date, "Datetime": dt.datetime}.get(dtype, int))
        items = values.tolist() if isinstance(values, np.ndarray) else values
        assert all(item is None or type(item) is kind for item in items), (name, items)
        if kind is float:
            assert all(item is None or np.isfinite(item) for item in items)
        if kind is str:
            for item in items:
                (item or "").encode()


def test_the_seeds_are_good_requests():
    assert [judge(read, request) for read, request in seeds()].count("read") == len(seeds())


def test_mutated_requests_are_read_or_refused():
    rng = random.Random(20)
    good, outcomes = seeds(), Counter()
    for number in range(MUTATED):
        read, request = good[number % len(good)]
        headers = dict(request.headers)
        if rng.random() < 0.05:
            headers["inference-header-content-length"] = rng.choice(["", "0", "-1", "1e3", "999999", "٣", "7", " 5"])
        if rng.random() < 0.05:
            headers["content-type"] = rng.choice(["", ";", CSV, ARROW_STREAM, ARROW_FILE, "application/json; x=\xff"])
        body = mutated(request.body, rng)
        outcomes[judge(read, Request("POST", request.path, {}, headers, body, None, "r1"))] += 1
    assert sum(outcomes.values()) == MUTATED
    assert outcomes["read"] > 100  # some mutations change a value that may be so
    assert outcomes["400"] > 1000
    assert outcomes["422"] > 300


KEYS = st.sampled_from(
    [*ROW, "rows", "inputs", "instances", "explain", "name", "shape", "datatype", "data", "parameters"]
)
SCALARS = (
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.sampled_from(list(ROW.values()))
)
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=8), inner, max_size=12),
    max_leaves=30,
)


@settings(max_examples=300)
@given(ANY)
def test_json_of_any_shape_is_read_or_refused(value):
    body = json.dumps(value).encode()
    for read, path in (
        (native.read, "/predict"),
        (native.read_feedback, "/feedback"),
        (v2.read, "/v2/models/shop/infer"),
        (tensorflow.read, "/v1/models/shop:predict"),
    ):
        judge(read, post(body, path))


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(list(ROW)), SCALARS, min_size=1))
def test_a_row_with_any_values_is_read_or_refused(values):
    row = ROW | values
    judge(native.read, post(json.dumps({"rows": [row]}).encode()))
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": [value]} for name, value in row.items()]
    judge(v2.read, post(json.dumps({"inputs": inputs}).encode(), "/v2/models/shop/infer"))
    judge(
        tensorflow.read,
        post(json.dumps({"inputs": {k: [v] for k, v in row.items()}}).encode(), "/v1/models/shop:predict"),
    )


@pytest.mark.parametrize("path", ["/v2/models/shop/infer", "/v1/models/shop:predict", "/predict"])
def test_a_key_that_is_a_megabyte_long_costs_no_time(path):
    body = json.dumps({"instances": [{"x" * 1_000_000: 1}] * 3}).encode()
    read = {"/predict": native.read, "/v2/models/shop/infer": v2.read}.get(path, tensorflow.read)
    with pytest.raises(RequestError) as error:
        read(MODEL, post(body, path))
    assert len(error.value.reply(post(b"")).body) < 20_000
