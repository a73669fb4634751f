"""Integration tests of a version behind an endpoint: ready, schema, refusals, parity, latency, throughput.

Collected by `pytest --mlframe-bundle VERSION --mlframe-endpoint start` (or the address of one that answers already). They ask
as a caller asks, over HTTP, and compare with what the bundle says was predicted where it was made.
"""

# ruff: noqa: D103 (a test's name is its documentation)

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pytest

from mlframe.serving.models import body_of

if TYPE_CHECKING:
    from mlframe.testing.bundles import Bundle
    from mlframe.testing.endpoint import Endpoint

ALIKE = 1e-6
SINGLE = 20
CALLS = 100
WARM = 10
BATCH = 500
BATCHES = 5


def test_endpoint_is_ready_with_this_version(bundle: Bundle, endpoint: Endpoint) -> None:
    status, told, _ = endpoint.send("GET", "/v2/health/ready")
    if status != 200:
        fail(f"{endpoint.address} is not ready: {status} {told}")
    version = _ask(endpoint, bundle, 0, 1)["version"]
    if "/" in bundle.reference and version != bundle.reference:
        fail(f"{endpoint.address} answers with {version}, {bundle.reference} is to be tested")


def test_endpoint_schema(bundle: Bundle, endpoint: Endpoint) -> None:
    status, told, _ = endpoint.send("GET", "/openapi.json")
    if status != 200:
        fail(f"/openapi.json gives {status}")
    found = sorted(told["components"]["schemas"]["Row"]["properties"])
    wanted = sorted(bundle.pipeline.inputs)
    if found != wanted:
        fail(f"the endpoint takes the columns {found}, the version has {wanted}")


def test_endpoint_refuses_what_does_not_fit(bundle: Bundle, endpoint: Endpoint) -> None:
    """A row without a column, and one with a column too many, are the caller's mistake: 422, and the field is named."""
    row = json.loads(body_of(_examples(bundle).head(1)))["rows"][0]
    column = bundle.pipeline.inputs[0]
    without = {name: value for name, value in row.items() if name != column}
    for what, body, field in (
        (f"without {column!r}", without, column),
        ("with an unknown column", {**row, "no_such_column": 1}, "no_such_column"),
        ("with a list as a value", {**row, column: [1]}, column),
    ):
        status, told, _ = endpoint.send("POST", "/predict", json.dumps(body).encode())
        if status != 422:
            fail(f"a row {what} gives {status}, 422 was expected: {str(told)[:200]}")
        if field not in json.dumps(told, ensure_ascii=False):
            fail(f"a row {what} is refused, and the answer does not name {field!r}: {str(told)[:200]}")


def test_endpoint_parity(bundle: Bundle, endpoint: Endpoint) -> None:
    """Every example, some alone and the others together, gets the answer of the place where the version was made."""
    rows = len(_examples(bundle))
    for start, count in [*((row, 1) for row in range(min(SINGLE, rows))), (0, rows)]:
        told = _ask(endpoint, bundle, start, count)
        _compare(bundle, told, start, count)


def test_endpoint_latency(bundle: Bundle, endpoint: Endpoint) -> None:
    """The time of a request with one row, as a caller sees it: 95 of 100 are faster."""
    limit = bundle.expectations.endpoint["latency_ms"]
    if limit is None:
        pytest.skip("there is no limit: tests.endpoint.latency_ms sets one")
    rows = min(50, len(_examples(bundle)))
    took = [_time(endpoint, bundle, call % rows, 1) for call in range(WARM + CALLS)][WARM:]
    found = float(np.percentile(took, 95)) * 1000
    if found > limit:
        fail(
            f"95 of 100 requests with one row take up to {found:.3g} ms (half of them {np.median(took) * 1000:.3g} ms); "
            f"wanted at most {limit:g} ms"
        )


def test_endpoint_throughput(bundle: Bundle, endpoint: Endpoint) -> None:
    """Rows a second when they come in large requests, one after the other."""
    limit = bundle.expectations.endpoint["throughput"]
    if limit is None:
        pytest.skip("there is no limit: tests.endpoint.throughput sets one")
    examples = _examples(bundle)
    body = body_of(examples[np.arange(BATCH) % len(examples)])
    took = []
    for _ in range(BATCHES):
        status, told, seconds = endpoint.send("POST", "/predict", body)
        if status != 200:
            fail(f"a request with {BATCH} rows gives {status}: {str(told)[:300]}")
        took.append(seconds)
    found = BATCH / float(np.median(took))
    if found < limit:
        fail(f"{found:,.0f} rows a second in requests of {BATCH}; wanted at least {limit:,.0f}")


# ------------------------------------------------------------------------------------------------ helpers


def fail(text: str) -> NoReturn:
    """Fail with a sentence and without a traceback."""
    raise pytest.fail.Exception(text, pytrace=False) from None


def _examples(bundle: Bundle) -> Any:
    if not len(bundle.examples):
        pytest.skip("the bundle has no examples: it was made without a holdout")
    return bundle.examples


def _ask(endpoint: Endpoint, bundle: Bundle, start: int, count: int) -> dict[str, Any]:
    status, told, _ = endpoint.send("POST", "/predict", body_of(_examples(bundle).slice(start, count)))
    if status != 200:
        fail(f"examples {start} to {start + count - 1} get {status}: {str(told)[:300]}")
    return dict(told)


def _time(endpoint: Endpoint, bundle: Bundle, start: int, count: int) -> float:
    status, told, seconds = endpoint.send("POST", "/predict", body_of(_examples(bundle).slice(start, count)))
    if status != 200:
        fail(f"example {start} gets {status}: {str(told)[:300]}")
    return seconds


def _compare(bundle: Bundle, told: dict[str, Any], start: int, count: int) -> None:
    expected = bundle.expected.slice(start, count)
    classes = bundle.pipeline.learning.classes
    if len(told["predictions"]) != count:
        fail(f"{count} rows were asked, {len(told['predictions'])} answers came")
    for row in range(count):
        if classes:
            scores = {f"p_{name}": told["probabilities"][row][name] for name in classes}
            answer, wanted = str(told["predictions"][row]), expected["y_pred"][row]
            spelled = dict(zip(map(str, bundle.pipeline.learning.values), classes, strict=True))
            if spelled.get(answer, answer) != wanted:
                fail(f"example {start + row} is called {answer!r} by the endpoint, {wanted!r} where it was made")
        else:
            scores = {"y_pred": told["predictions"][row]}
        for name, found in scores.items():
            wanted = expected[name][row]
            if not abs(found - wanted) <= ALIKE * max(1.0, abs(wanted)):
                fail(f"{name} of example {start + row} is {found:.6g} at the endpoint, {wanted:.6g} where it was made")
