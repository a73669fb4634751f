"""The Open Inference Protocol, version 2 (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol).

One tensor an input column, of shape [rows] or [rows, 1], as JSON or with the binary tensor extension that Triton's
clients use. A tensor has no null: NaN in a floating tensor stands for a missing value, as does null in JSON.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata as distributions
from typing import Any

from mlframe.serving import formats
from mlframe.serving.fields import LONGEST, Field, brief
from mlframe.serving.messages import JSON, Answer, Asked, Model, Reply, Request, RequestError

__all__ = ["Target", "datatype", "error", "get", "read", "target", "write"]

HEADER_LENGTH = "inference-header-content-length"
OCTETS = "application/octet-stream"
NUMPY: Mapping[str, str] = {
    "BOOL": "|b1",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    **{f"INT{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}
DATATYPES = {
    "Boolean": "BOOL",
    "Float32": "FP32",
    "Float64": "FP64",
    "Decimal": "FP64",
    **{f"{sign}Int{bits}": f"{sign.upper()}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
PATH = re.compile(r"/v2/models/(?P<name>[^/]+)(?:/versions/(?P<version>[^/]+))?(?:/(?P<verb>ready|infer))?/?")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: a model, maybe one version of it, and what to do (`""` asks for metadata)."""

    name: str
    version: str | None
    verb: str


@dataclass(slots=True)
class _Wanted:
    """What a request wants back: outputs by name with whether each is binary, and its own id."""

    outputs: list[tuple[str, bool]] | None
    binary: bool
    id: str | None


def target(path: str) -> Target:
    """Return what a path under `/v2/models/` names.

    Raises:
        RequestError: 404, the path is none of the protocol's.
    """
    found = PATH.fullmatch(path)
    if found is None:
        raise RequestError(404, f"There is no endpoint {brief(path)}")
    return Target(found["name"], found["version"], found["verb"] or "")


def datatype(field: Field) -> str:
    """Return the datatype of an input column's tensor."""
    return DATATYPES.get(field.dtype, "BYTES")


def error(fault: RequestError, request: Request) -> Reply:
    """Return an error in the protocol's form."""
    told = formats.encode({"error": fault.line()})
    return Reply(fault.status, told, [("content-type", JSON), ("x-request-id", request.id), *fault.headers])


def get(model: Model | None, request: Request, *, ready: bool, versions: Sequence[int] = ()) -> Reply:
    """Answer the protocol's GET requests: health, metadata of the server and of a model.

    Args:
        model: the model that the path names (the champion where it names no version); None when it names none, or
            there is none.
        request: the request.
        ready: whether predictions can be answered now.
        versions: versions of the model that can be asked now.

    Raises:
        RequestError: 404, no such endpoint, model or version; 503, not ready.
    """
    path = request.path.rstrip("/")
    if path == "/v2":
        told: dict[str, Any] = {
            "name": "mlframe",
            "version": distributions.version("mlframe"),
            "extensions": ["binary_tensor_data"],
        }
        return _json(told)
    if path == "/v2/health/live":
        return _json({"live": True})
    if path == "/v2/health/ready":
        if not ready:
            raise RequestError(503, "The server is not ready", retry_after=1)
        return _json({"ready": True})
    wanted = target(path)
    model = _named(model, wanted)
    if wanted.verb == "infer":
        raise RequestError(405, "Predictions are asked with POST")
    if wanted.verb == "ready":
        if not ready:
            raise RequestError(503, f"The model {model.name!r} is not ready", retry_after=1)
        return _json({"name": model.name, "ready": True})
    classes = model.learning.classes
    outputs = [{"name": "y_pred", "datatype": _label_type(model), "shape": [-1]}]
    if classes:
        outputs.append({"name": "probabilities", "datatype": "FP64", "shape": [-1, len(classes)]})
        outputs += [{"name": f"p_{name}", "datatype": "FP64", "shape": [-1]} for name in classes]
    told = {
        "name": model.name,
        "versions": [str(number) for number in versions or (model.number,)],
        "platform": "mlframe",
        "inputs": [
            {"name": field.name, "datatype": datatype(field), "shape": [-1]} for field in model.schema.fields.values()
        ],
        "outputs": outputs,
    }
    return _json(told)


def _json(told: Any) -> Reply:
    return Reply(200, formats.encode(told), [("content-type", JSON)])


def _named(model: Model | None, wanted: Target) -> Model:
    if model is None or model.name != wanted.name or wanted.version not in (None, str(model.number)):
        version = "" if wanted.version is None else f" in version {brief(wanted.version)}"
        raise RequestError(404, f"There is no model {brief(wanted.name)}{version} here")
    return model


# ------------------------------------------------------------------------------------------------ reading


def read(model: Model, request: Request) -> Asked:
    """Read a request for inference.

    Raises:
        RequestError: 4xx, whatever the bytes.
    """
    _named(model, target(request.path))
    body = memoryview(request.body)
    length = request.headers.get(HEADER_LENGTH)
    binary = body[len(body) :]
    if length is not None:
        if not (length.isascii() and length.isdigit() and len(length) < 12 and int(length) <= len(body)):
            raise RequestError(
                400, f"Inference-Header-Content-Length is {brief(length)}, the body has {len(body)} bytes"
            )
        body, binary = body[: int(length)], body[int(length) :]
    told = formats.read_json(body)
    if not isinstance(told, dict) or not isinstance(told.get("inputs"), list):
        raise RequestError(400, "The request must be an object with a list 'inputs'")
    columns: dict[str, Any] = {}
    rows: int | None = None
    place = 0
    for tensor in told["inputs"]:
        name, datatype, count, size = _header(tensor)
        if name in columns:
            raise RequestError(400, f"The input {brief(name)} is given twice")
        if rows is not None and count != rows:
            raise RequestError(400, f"The input {brief(name)} has {count:,} rows, those before it have {rows:,}")
        rows = count
        field = model.schema.fields.get(name)
        if field is not None and not _fits(field, datatype):
            fault = {"row": None, "field": name, "expected": f"the datatype {_wanted(field)}", "found": brief(datatype)}
            raise RequestError(422, "An input has another datatype than the model's", [fault])
        if size is None:
            columns[name] = _flat(tensor, name, count)
        else:
            columns[name] = _unpacked(binary[place : place + size], name, datatype, count, size)
            place += size
    if place != len(binary):
        raise RequestError(400, f"The body has {len(binary):,} bytes of binary data, the inputs name {place:,} of them")
    if rows is None:
        raise RequestError(400, "The request has no inputs")
    return Asked(model.schema.lists(columns, rows), rows, 0, _asked_outputs(model, told))


def _header(tensor: Any) -> tuple[str, str, int, int | None]:
    """Return a tensor's name, datatype, rows and size in bytes (None: its data is JSON)."""
    if not isinstance(tensor, dict):
        raise RequestError(400, f"An input must be an object, and is {brief(tensor)}")
    name, datatype, shape = tensor.get("name"), tensor.get("datatype"), tensor.get("shape")
    if not isinstance(name, str):
        raise RequestError(400, f"An input's name must be a text, and is {brief(name)}")
    if not isinstance(datatype, str) or datatype not in (*NUMPY, "BYTES"):
        known = ", ".join([*NUMPY, "BYTES"])
        raise RequestError(400, f"The input {brief(name)} has the datatype {brief(datatype)}, which is none of {known}")
    whole = isinstance(shape, list) and all(type(size) is int and 0 <= size < 1 << 31 for size in shape)
    if not whole or not shape or shape[1:] not in ([], [1]):
        raise RequestError(400, f"The input {brief(name)} must have the shape [rows] or [rows, 1], one tensor a column")
    parameters = tensor.get("parameters") or {}
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        if "data" not in tensor:
            raise RequestError(400, f"The input {brief(name)} has no data")
    elif type(size) is not int or size < 0:
        raise RequestError(400, f"The input {brief(name)} has the binary_data_size {brief(size)}")
    return name, datatype, shape[0], size


def _fits(field: Field, datatype: str) -> bool:
    if field.numeric:
        return datatype not in ("BYTES", "BOOL")
    return datatype == ("BOOL" if field.dtype == "Boolean" else "BYTES")


def _wanted(field: Field) -> str:
    if field.numeric:
        return f"{DATATYPES[field.dtype]}, or another one of numbers"
    return "BOOL" if field.dtype == "Boolean" else "BYTES"


def _flat(tensor: Mapping[str, Any], name: str, rows: int) -> list[Any]:
    data = tensor["data"]
    if isinstance(data, list) and data and all(isinstance(item, list) and len(item) == 1 for item in data):
        data = [item[0] for item in data]
    if not isinstance(data, list) or len(data) != rows:
        held = f"{len(data):,} values" if isinstance(data, list) else brief(data)
        raise RequestError(400, f"The input {brief(name)} says {rows:,} rows and holds {held}")
    return data


def _unpacked(data: memoryview, name: str, datatype: str, rows: int, size: int) -> Any:
    """Return a binary tensor as an array, or as a list where values are missing or are texts."""
    import numpy as np

    if len(data) != size:
        raise RequestError(400, f"The input {brief(name)} says {size:,} bytes, and the body ends after {len(data):,}")
    if datatype == "BYTES":
        return _texts(data, name, rows)
    dtype = np.dtype(NUMPY[datatype])
    if size != rows * dtype.itemsize:
        wanted = rows * dtype.itemsize
        raise RequestError(400, f"The input {brief(name)} has {size:,} bytes; {rows:,} of {datatype} are {wanted:,}")
    if datatype == "BOOL":
        return np.frombuffer(data, dtype=np.uint8) != 0
    values = np.frombuffer(data, dtype=dtype)
    if dtype.kind == "f" and np.isnan(values).any():
        return [None if value != value else value for value in values.tolist()]
    return values


def _texts(data: memoryview, name: str, rows: int) -> list[str]:
    found: list[str] = []
    place = 0
    try:
        while place < len(data):
            (length,) = struct.unpack_from("<I", data, place)
            place += 4 + length
            if place > len(data):
                raise RequestError(400, f"The input {brief(name)} has a text that ends after the tensor")
            found.append(str(data[place - length : place], "utf-8"))
    except struct.error:
        raise RequestError(400, f"The input {brief(name)} ends within the length of a text") from None
    except UnicodeDecodeError:
        raise RequestError(400, f"The input {brief(name)} has a text that is not UTF-8") from None
    if len(found) != rows:
        raise RequestError(400, f"The input {brief(name)} says {rows:,} rows and holds {len(found):,} texts")
    return found


def _asked_outputs(model: Model, told: Mapping[str, Any]) -> _Wanted:
    def binary(holder: Mapping[str, Any], key: str, default: bool) -> bool:
        parameters = holder.get("parameters") or {}
        value = parameters.get(key, default) if isinstance(parameters, dict) else default
        if not isinstance(value, bool):
            raise RequestError(400, f"{key} must be true or false, and is {brief(value)}")
        return value

    default = binary(told, "binary_data_output", False)
    name = told.get("id")
    if name is not None and (not isinstance(name, str) or len(name) > 4 * LONGEST):
        raise RequestError(400, f"The request's id must be a text of at most {4 * LONGEST} characters")
    asked = told.get("outputs")
    if not asked:
        return _Wanted(None, default, name)
    known = _outputs(model)
    if not isinstance(asked, list) or len(asked) > len(known):
        raise RequestError(400, f"'outputs' must be a list of at most {len(known)} objects")
    outputs = []
    for output in asked:
        wanted = output.get("name") if isinstance(output, dict) else None
        if not isinstance(wanted, str) or wanted not in known:
            raise RequestError(400, f"There is no output {brief(wanted)}; the model gives {', '.join(known[:50])}")
        outputs.append((wanted, binary(output, "binary_data", default)))
    return _Wanted(outputs, default, name)


def _outputs(model: Model) -> list[str]:
    classes = model.learning.classes
    return ["y_pred", *(["probabilities"] if classes else []), *(f"p_{name}" for name in classes)]


# ------------------------------------------------------------------------------------------------ writing


def write(model: Model, asked: Asked, answer: Answer) -> Reply:
    """Return the outputs that were asked for (else `y_pred` and `probabilities`), as JSON or binary."""
    import numpy as np

    wanted: _Wanted = asked.note
    classes = model.learning.classes
    outputs = wanted.outputs or [(name, wanted.binary) for name in ("y_pred", *(("probabilities",) if classes else ()))]
    told: list[dict[str, Any]] = []
    tail: list[bytes] = []
    for name, binary in outputs:
        values: Any
        if name == "y_pred":
            datatype, values = _label_type(model), answer.labels
        else:
            datatype = "FP64"
            values = answer.outputs if name == "probabilities" else answer.outputs[:, classes.index(name[2:])]
        shape = [asked.rows, len(classes)] if name == "probabilities" else [asked.rows]
        entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if not binary:
            entry["data"] = values if isinstance(values, list) else values.ravel().tolist()
        else:
            if datatype == "BYTES":
                texts = [str(value).encode() for value in values]
                data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
            else:
                data = np.ascontiguousarray(values, dtype=NUMPY[datatype]).tobytes()
            entry["parameters"] = {"binary_data_size": len(data)}
            tail.append(data)
        told.append(entry)
    body: dict[str, Any] = {"model_name": model.name, "model_version": answer.version.rpartition("/")[2]}
    body |= {"id": wanted.id or answer.request_id, "outputs": told}
    encoded = formats.encode(body)
    if not tail:
        return Reply(200, encoded, [("content-type", JSON)])
    headers = [("content-type", OCTETS), (HEADER_LENGTH, str(len(encoded)))]
    return Reply(200, encoded + b"".join(tail), headers)


def _label_type(model: Model) -> str:
    values = model.learning.values
    if not model.learning.classes:
        return "FP64"
    if all(isinstance(value, bool) for value in values):
        return "BOOL"
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return "INT64"
    if all(isinstance(value, float) for value in values):
        return "FP64"
    return "BYTES"
