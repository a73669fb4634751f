"""`GET /openapi.json`: how the server is asked, in OpenAPI 3.1, from the bundle's own input schema and examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlframe.serving import formats
from mlframe.serving.messages import JSON, PROBLEM, Model, Reply

__all__ = ["document", "reply"]

ID = {"type": "string", "description": "The request's id, as in the answer's header X-Request-ID and in the logs."}
VERSION = {"type": "string", "description": "The version that answered."}


def reply(model: Model, *, keys: bool = False) -> Reply:
    """Return the document."""
    return Reply(200, formats.encode(document(model, keys=keys)), [("content-type", JSON)])


def document(model: Model, *, keys: bool = False) -> dict[str, Any]:
    """Describe how a model is asked.

    Args:
        model: the champion.
        keys: whether requests need an API key.
    """
    row = model.schema.example()
    made: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"Predictions of {model.learning.target}",
            "version": model.reference,
            "description": f"The model {model.name}, {model.learning.task}; made by mlframe.",
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/predict": {"post": _predict(model, row)},
            "/feedback": {"post": _feedback(model)},
            f"/v2/models/{model.name}": {"get": _plain("Names, types and shapes of the tensors", "v2", "metadata")},
            f"/v2/models/{model.name}/infer": {"post": _infer(model, row)},
            f"/v1/models/{model.name}:predict": {"post": _tensorflow(model, row)},
            "/v2/health/live": {"get": _plain("Whether the server lives", "health", "live", open_=True)},
            "/v2/health/ready": {"get": _plain("Whether the server can answer", "health", "ready", open_=True)},
            "/metrics": {"get": _plain("Counts, for Prometheus", "operating", "metrics", kind="text/plain")},
            "/": {"get": _plain("The status page", "operating", "status", kind="text/html")},
        },
        "components": {
            "schemas": {
                "Row": _row(model),
                "Prediction": _prediction(model, many=False),
                "Predictions": _prediction(model, many=True),
                "Feedback": _feedback_schema(model),
                "Problem": PROBLEM_SCHEMA,
            },
            "responses": {
                "Problem": {
                    "description": "The request cannot be answered; every fault is named.",
                    "content": {PROBLEM: {"schema": _ref("Problem")}},
                },
                "Busy": {
                    "description": "Too many requests wait; come again.",
                    "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds"}},
                    "content": {PROBLEM: {"schema": _ref("Problem")}},
                },
            },
        },
    }
    if keys:
        made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        made["security"] = [{"key": []}]
    return made


def _ref(name: str, kind: str = "schemas") -> dict[str, Any]:
    return {"$ref": f"#/components/{kind}/{name}"}


def _row(model: Model) -> dict[str, Any]:
    fields = model.schema.fields
    made: dict[str, Any] = {
        "type": "object",
        "properties": {name: field.schema() for name, field in fields.items()},
        "required": list(fields),
        "additionalProperties": False,
    }
    return made | {"examples": [dict(row) for row in model.schema.examples] or [model.schema.example()]}


def _label(model: Model) -> dict[str, Any]:
    return {"enum": list(model.learning.values)} if model.learning.classes else {"type": "number"}


def _prediction(model: Model, *, many: bool) -> dict[str, Any]:
    def several(schema: dict[str, Any]) -> dict[str, Any]:
        return {"type": "array", "items": schema} if many else schema

    reason = {"type": "object", "properties": {"field": {"type": "string"}, "share": {"type": "number"}}}
    parts = {"request_id": ID, "version": VERSION, "predictions" if many else "prediction": several(_label(model))}
    if model.learning.classes:
        shares = {name: {"type": "number", "minimum": 0, "maximum": 1} for name in model.learning.classes}
        parts["probabilities"] = several({"type": "object", "properties": shares, "required": list(shares)})
    required = list(parts)
    parts["reasons"] = several({"type": "array", "items": reason})
    return {"type": "object", "properties": parts, "required": required}


def _predict(model: Model, row: Mapping[str, Any]) -> dict[str, Any]:
    explain = {"type": "integer", "minimum": 0, "maximum": 9999}
    rows = {"type": "array", "items": _ref("Row"), "minItems": 1, "maxItems": model.schema.most}
    many = {"type": "object", "properties": {"rows": rows, "explain": explain}, "required": ["rows"]}
    answers = {
        JSON: {"schema": {"oneOf": [_ref("Prediction"), _ref("Predictions")]}},
        formats.CSV: {"schema": {"type": "string"}},
        formats.ARROW_STREAM: {"schema": {"type": "string", "contentMediaType": formats.ARROW_STREAM}},
    }
    return {
        "operationId": "predict",
        "tags": ["predictions"],
        "summary": "Predict one row or many",
        "parameters": [
            {
                "name": "explain",
                "in": "query",
                "schema": explain,
                "description": "How many columns are named for each row: those that moved its score most.",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"anyOf": [_ref("Row"), rows, many]},
                    "examples": {
                        "one": {"summary": "One row", "value": dict(row)},
                        "many": {"summary": "Many rows", "value": {"rows": [dict(row)]}},
                    },
                },
                formats.CSV: {"schema": {"type": "string"}},
                formats.ARROW_STREAM: {"schema": {"type": "string", "contentMediaType": formats.ARROW_STREAM}},
                formats.ARROW_FILE: {"schema": {"type": "string", "contentMediaType": formats.ARROW_FILE}},
            },
        },
        "responses": {"200": {"description": "The predictions", "content": answers}, **FAULTS},
    }


def _feedback_schema(model: Model) -> dict[str, Any]:
    label = _label(model)
    return {
        "type": "object",
        "properties": {
            "request_id": ID,
            "row": {"type": "integer", "minimum": 0, "description": "The row's number in its request; 0 if left out."},
            "label": label | {"description": "The truth."},
            "outcome": {"description": "Anything else that is known."},
            "time": {"type": "string", "format": "date-time", "description": "When it became known; now if left out."},
        },
        "required": ["request_id"],
        "anyOf": [{"required": ["label"]}, {"required": ["outcome"]}],
        "additionalProperties": False,
    }


def _feedback(model: Model) -> dict[str, Any]:
    label = model.learning.values[0] if model.learning.classes else 1.0
    many = {"type": "array", "items": _ref("Feedback"), "minItems": 1}
    taken = {"type": "object", "properties": {"request_id": ID, "accepted": {"type": "integer"}}}
    return {
        "operationId": "feedback",
        "tags": ["predictions"],
        "summary": "Tell what became of predictions, now or months later",
        "requestBody": {
            "required": True,
            "content": {
                JSON: {
                    "schema": {"anyOf": [_ref("Feedback"), many]},
                    "example": {"request_id": "3f0c", "row": 0, "label": label},
                }
            },
        },
        "responses": {"202": {"description": "Taken", "content": {JSON: {"schema": taken}}}, **FAULTS},
    }


def _infer(model: Model, row: Mapping[str, Any]) -> dict[str, Any]:
    from mlframe.serving.protocols.v2 import datatype

    inputs = [
        {"name": name, "shape": [1], "datatype": datatype(field), "data": [row[name]]}
        for name, field in model.schema.fields.items()
    ]
    return _other("infer", "v2", "Predict by the Open Inference Protocol", {"inputs": inputs})


def _tensorflow(model: Model, row: Mapping[str, Any]) -> dict[str, Any]:
    return _other("tensorflow", "tensorflow", "Predict by TensorFlow Serving's form", {"instances": [dict(row)]})


def _other(name: str, tag: str, summary: str, example: Any) -> dict[str, Any]:
    error = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
    return {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}, "example": example}}},
        "responses": {
            "200": {"description": "The predictions", "content": {JSON: {"schema": {"type": "object"}}}},
            "4XX": {"description": "What is wrong", "content": {JSON: {"schema": error}}},
        },
    }


def _plain(summary: str, tag: str, name: str, *, kind: str = JSON, open_: bool = False) -> dict[str, Any]:
    schema = {"type": "object"} if kind == JSON else {"type": "string"}
    made: dict[str, Any] = {
        "operationId": name,
        "tags": [tag],
        "summary": summary,
        "responses": {"200": {"description": summary, "content": {kind: {"schema": schema}}}},
    }
    return made | ({"security": []} if open_ else {})


FAULTS = {
    **{code: _ref("Problem", "responses") for code in ("400", "413", "415", "422")},
    **{code: _ref("Busy", "responses") for code in ("429", "503")},
}
PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "request_id": ID,
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "row": {"type": ["integer", "null"]},
                    "field": {"type": ["string", "null"]},
                    "expected": {"type": "string"},
                    "found": {"type": "string"},
                },
            },
        },
        "more": {"type": "integer", "description": "How many more faults there are."},
    },
    "required": ["title", "status", "request_id"],
}
