from __future__ import annotations

import json

import pytest
from wire_bench import ROW, post

from mlframe.serving.messages import Request, RequestError
from mlframe.serving.protocols import tensorflow

PATH = "/v1/models/shop:predict"


def ask(model, body, path=PATH):
    request = post(body, path)
    asked = tensorflow.read(model, request)
    answer = model.answer(asked, request)
    return answer, json.loads(tensorflow.write(model, asked, answer).body)


def test_rows_are_answered_with_predictions(served):
    answer, told = ask(served, {"instances": [ROW, ROW], "signature_name": "serving_default"})
    if not served.learning.classes:
        assert told == {"predictions": answer.labels}
        return
    names = [f"p_{name}" for name in served.learning.classes]
    assert [list(row) for row in told["predictions"]] == [["y_pred", *names]] * 2
    assert [row["y_pred"] for row in told["predictions"]] == answer.labels
    assert [[row[name] for name in names] for row in told["predictions"]] == answer.outputs.tolist()


def test_columns_are_answered_with_outputs(served):
    answer, told = ask(served, {"inputs": {name: [value] * 3 for name, value in ROW.items()}})
    if not served.learning.classes:
        assert told == {"outputs": answer.labels}
        return
    assert told["outputs"]["y_pred"] == answer.labels
    assert len(told["outputs"]) == 1 + len(served.learning.classes)
    assert all(len(values) == 3 for values in told["outputs"].values())


def test_a_version_can_be_named(binary):
    answer, _ = ask(binary, {"instances": [ROW]}, "/v1/models/shop/versions/7:predict")
    assert answer.version == "shop/7"
    reply = tensorflow.status(binary, Request("GET", "/v1/models/shop"), ready=True)
    (entry,) = json.loads(reply.body)["model_version_status"]
    assert entry == {"version": "7", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/other", "/v1/models/shop/versions/8", "/v1/models", "/v1/models/shop/labels/x"):
        with pytest.raises(RequestError) as error:
            tensorflow.status(binary, Request("GET", path), ready=True)
        assert error.value.status == 404


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"{", 400, "no JSON"),
        ([ROW], 400, "either 'instances'"),
        ({}, 400, "either 'instances'"),
        ({"instances": [ROW], "inputs": {}}, 400, "either 'instances'"),
        ({"instances": ROW}, 400, "list of objects"),
        ({"instances": [5]}, 422, "input schema"),
        ({"instances": []}, 422, "no rows"),
        ({"instances": [ROW], "signature_name": "other"}, 400, "no signature 'other'"),
        ({"instances": [ROW], "signature_name": {}}, 400, "no signature"),
        ({"inputs": []}, 400, "for each column"),
        ({"inputs": {}}, 400, "for each column"),
        ({"inputs": {"amount": 5}}, 400, "for each column"),
        ({"inputs": {"amount": [1], "count": [1, 2]}}, 400, "differ in length"),
        ({"inputs": {"amount": [1]}}, 422, "input schema"),
        ({"instances": [ROW | {"amount": -1}]}, 422, "input schema"),
    ],
)
def test_what_is_no_request_is_refused_in_its_form(binary, body, status, text):
    request = post(body, PATH)
    with pytest.raises(RequestError) as error:
        tensorflow.read(binary, request)
    assert error.value.status == status
    told = json.loads(tensorflow.error(error.value, request).body)
    assert list(told) == ["error"]
    assert text in told["error"]
