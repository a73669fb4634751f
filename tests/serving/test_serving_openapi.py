from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from wire_bench import ROW, post

from mlframe.serving import openapi
from mlframe.serving.messages import Request, RequestError
from mlframe.serving.protocols import native, tensorflow, v2


def resolved(document: dict, name: str) -> Draft202012Validator:
    """Give a validator of one of the document's schemas."""
    return Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": document["components"]})


@pytest.mark.parametrize("keys", [False, True])
def test_the_document_is_openapi(served, keys):
    document = json.loads(openapi.reply(served, keys=keys).body)
    OpenAPIV31SpecValidator(document).validate()
    assert ("security" in document) == keys
    assert document["info"]["version"] == served.reference


def test_its_schema_takes_what_the_server_takes_and_refuses_what_it_refuses(binary):
    check = resolved(openapi.document(binary), "Row")
    for row in (ROW, dict.fromkeys(ROW) | {"amount": 0}, *binary.schema.examples, binary.schema.example()):
        check.validate(row)
        binary.schema.rows([row])
    bad = [
        {name: value for name, value in ROW.items() if name != "amount"},
        ROW | {"other": 1},
        ROW | {"amount": None},
        ROW | {"amount": -1},
        ROW | {"small": 128},
        ROW | {"big": -1},
        ROW | {"count": 2.5},
        ROW | {"plan": "gold"},
        ROW | {"code": "50"},
        ROW | {"member": 1},
        ROW | {"city": 5},
    ]
    for row in bad:
        assert not check.is_valid(row), row
        with pytest.raises(RequestError):
            binary.schema.rows([row])


def test_every_example_is_answered_as_the_document_says(served):
    document = openapi.document(served)
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    for name, schema in (("one", "Prediction"), ("many", "Predictions")):
        request = post(content["examples"][name]["value"])
        asked = native.read(served, request)
        told = json.loads(native.write(served, asked, served.answer(asked, request)).body)
        resolved(document, schema).validate(told)
    feedback = document["paths"]["/feedback"]["post"]["requestBody"]["content"]["application/json"]["example"]
    resolved(document, "Feedback").validate(feedback)
    assert native.read_feedback(served, post(feedback))
    for path, protocol in (("/v2/models/shop/infer", v2), ("/v1/models/shop:predict", tensorflow)):
        example = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert protocol.read(served, post(example, path)).rows == 1


def test_an_error_is_what_the_document_says(binary):
    check = resolved(openapi.document(binary), "Problem")
    with pytest.raises(RequestError) as error:
        native.read(binary, post([ROW | {"amount": -1, "other": 5}] * 100))
    told = json.loads(error.value.reply(Request("POST", "/predict", id="r1")).body)
    check.validate(told)
    assert told["more"] == 150


def test_private_values_are_made_up(binary):
    assert "Köln" not in json.dumps(openapi.document(binary), ensure_ascii=False)
