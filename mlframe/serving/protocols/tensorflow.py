"""TensorFlow Serving's REST form (https://www.tensorflow.org/tfx/serving/api_rest): `POST /v1/models/NAME:predict`.

Rows (`instances`) are answered with `predictions`, columns (`inputs`) with `outputs`. The outputs are `y_pred` and one
`p_<class>` a class; a single output, that of a regression, stands without its name, as TensorFlow Serving has it.
"""

from __future__ import annotations

import re
from typing import Any

from mlframe.serving import formats
from mlframe.serving.fields import brief
from mlframe.serving.messages import JSON, Answer, Asked, Model, Reply, Request, RequestError

__all__ = ["error", "read", "status", "target", "write"]

PATH = re.compile(r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?::(?P<verb>predict))?/?")
SIGNATURES = (None, "", "serving_default")


def target(path: str) -> tuple[str, str | None, str]:
    """Return the model, the version (None: the champion) and the verb (`predict` or `""`) that a path names.

    Raises:
        RequestError: 404, the path is none of the protocol's.
    """
    found = PATH.fullmatch(path)
    if found is None:
        raise RequestError(404, f"There is no endpoint {brief(path)}")
    return found["name"], found["version"], found["verb"] or ""


def error(fault: RequestError, request: Request) -> Reply:
    """Return an error in the protocol's form."""
    told = formats.encode({"error": fault.line()})
    return Reply(fault.status, told, [("content-type", JSON), ("x-request-id", request.id), *fault.headers])


def status(model: Model | None, request: Request, *, ready: bool) -> Reply:
    """Answer `GET /v1/models/NAME[/versions/V]`: the state of the served version.

    Raises:
        RequestError: 404, no such model or version.
    """
    model = _named(model, request.path)
    entry = {
        "version": str(model.number),
        "state": "AVAILABLE" if ready else "LOADING",
        "status": {"error_code": "OK", "error_message": ""},
    }
    return Reply(200, formats.encode({"model_version_status": [entry]}), [("content-type", JSON)])


def _named(model: Model | None, path: str) -> Model:
    name, version, _ = target(path)
    if model is None or model.name != name or version not in (None, str(model.number)):
        wanted = "" if version is None else f" in version {brief(version)}"
        raise RequestError(404, f"There is no model {brief(name)}{wanted} here")
    return model


def read(model: Model, request: Request) -> Asked:
    """Read a request for predictions.

    Raises:
        RequestError: 4xx, whatever the bytes.
    """
    _named(model, request.path)
    body = formats.read_json(request.body)
    if not isinstance(body, dict) or ("instances" in body) == ("inputs" in body):
        raise RequestError(400, "The request must be an object with either 'instances' (rows) or 'inputs' (columns)")
    if body.get("signature_name") not in SIGNATURES:
        raise RequestError(400, f"There is no signature {brief(body['signature_name'])}, only 'serving_default'")
    if "instances" in body:
        rows = body["instances"]
        if not isinstance(rows, list):
            raise RequestError(400, f"'instances' must be a list of objects, and is {brief(rows)}")
        return Asked(model.schema.rows(rows), len(rows), 0, True)
    columns = body["inputs"]
    if not isinstance(columns, dict) or not columns or not all(isinstance(column, list) for column in columns.values()):
        raise RequestError(400, "'inputs' must be an object with a list of values for each column")
    lengths = {len(column) for column in columns.values()}
    if len(lengths) > 1:
        raise RequestError(
            400, f"The columns in 'inputs' differ in length: {', '.join(map(str, sorted(lengths)[:10]))}"
        )
    rows = lengths.pop()
    return Asked(model.schema.lists(columns, rows), rows, 0, False)


def write(model: Model, asked: Asked, answer: Answer) -> Reply:
    """Return predictions by row, or outputs by column."""
    names = [f"p_{name}" for name in model.learning.classes]
    told: Any
    if asked.note:
        told = answer.labels
        if names:
            told = [
                {"y_pred": label, **dict(zip(names, row, strict=True))}
                for label, row in zip(answer.labels, answer.outputs.tolist(), strict=True)
            ]
    else:
        told = answer.labels
        if names:
            told = {"y_pred": answer.labels, **dict(zip(names, answer.outputs.T.tolist(), strict=True))}
    body = {"predictions" if asked.note else "outputs": told}
    headers = [("content-type", JSON), ("x-request-id", answer.request_id), ("x-model-version", answer.version)]
    return Reply(200, formats.encode(body), headers)
