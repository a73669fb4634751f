from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from wire_bench import DTYPES, ROW, post

from mlframe.serving.messages import Request, RequestError
from mlframe.serving.protocols import v2

INFER = "/v2/models/shop/infer"
TYPES = {
    "amount": "FP64",
    "ratio": "FP32",
    "count": "INT64",
    "small": "INT8",
    "big": "UINT64",
    "member": "BOOL",
    **dict.fromkeys(("city", "plan", "code", "born", "seen"), "BYTES"),
}


@pytest.fixture(scope="module")
def triton():
    """Give Triton's own HTTP client."""
    import tritonclient.http

    return tritonclient.http


def tensors(rows: int = 2, **changes) -> list[dict]:
    return [
        {"name": name, "shape": [rows], "datatype": TYPES[name], "data": [ROW[name]] * rows} | changes.get(name, {})
        for name in ROW
    ]


def infer(body, header_length: int | None = None, path: str = INFER) -> Request:
    headers = {} if header_length is None else {"inference_header_content_length": str(header_length)}
    return post(body, path, **headers)


def by_client(triton, model, *, binary: bool, shape: tuple[int, ...] = (2,), outputs=None) -> Request:
    """Give the bytes that Triton's client would send."""
    from tritonclient.utils import triton_to_np_dtype

    inputs = []
    for name, datatype in TYPES.items():
        kind = triton_to_np_dtype(datatype)
        values = np.array([ROW[name]] * 2, dtype=kind).reshape(shape)
        made = triton.InferInput(name, list(shape), datatype)
        made.set_data_from_numpy(values, binary_data=binary)
        inputs.append(made)
    body, length = triton.InferenceServerClient.generate_request_body(inputs, outputs=outputs, request_id="mine")
    return infer(bytes(body), length)


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_tritons_client_asks_and_understands_the_answer(served, triton, binary_in, shape):
    request = by_client(triton, served, binary=binary_in, shape=shape)
    asked = v2.read(served, request)
    assert asked.rows == 2
    wanted = served.schema.rows([ROW, ROW])
    assert {name: list(values) for name, values in asked.columns.items()} == wanted
    answer = served.answer(asked, request)
    reply = v2.write(served, asked, answer)
    length = dict(reply.headers).get("inference-header-content-length")
    result = triton.InferResult.from_response_body(reply.body, header_length=length and int(length))
    told = result.get_response()
    assert (told["model_name"], told["model_version"], told["id"]) == ("shop", str(served.number), "mine")
    labels = [label.decode() if isinstance(label, bytes) else label for label in result.as_numpy("y_pred").tolist()]
    assert labels == answer.labels
    if served.learning.classes:
        np.testing.assert_array_equal(result.as_numpy("probabilities"), answer.outputs)


def test_outputs_are_those_that_were_asked_for(binary, triton):
    outputs = [
        triton.InferRequestedOutput("p_yes", binary_data=True),
        triton.InferRequestedOutput("y_pred", binary_data=False),
        triton.InferRequestedOutput("probabilities", binary_data=True),
    ]
    request = by_client(triton, binary, binary=True, outputs=outputs)
    asked = v2.read(binary, request)
    answer = binary.answer(asked, request)
    reply = v2.write(binary, asked, answer)
    length = int(dict(reply.headers)["inference-header-content-length"])
    result = triton.InferResult.from_response_body(reply.body, header_length=length)
    assert [output["name"] for output in result.get_response()["outputs"]] == ["p_yes", "y_pred", "probabilities"]
    np.testing.assert_array_equal(result.as_numpy("p_yes"), answer.outputs[:, 1])
    np.testing.assert_array_equal(result.as_numpy("probabilities"), answer.outputs)
    assert result.as_numpy("y_pred").tolist() == answer.labels


def test_without_the_extension_the_answer_is_plain_json(multiclass):
    request = infer({"inputs": tensors()})
    asked = v2.read(multiclass, request)
    reply = v2.write(multiclass, asked, multiclass.answer(asked, request))
    told = json.loads(reply.body)
    assert dict(reply.headers) == {"content-type": "application/json"}
    shapes = {output["name"]: (output["datatype"], output["shape"], len(output["data"])) for output in told["outputs"]}
    assert shapes == {"y_pred": ("INT64", [2], 2), "probabilities": ("FP64", [2, 3], 6)}
    assert told["id"] == "r1"


def test_missing_values_are_nan_or_null(binary, triton):
    made = tensors(
        count={"datatype": "FP64", "data": [None, 3.0]}, ratio={"data": [[None], [0.5]]}, city={"data": [None, "x"]}
    )
    columns = v2.read(binary, infer({"inputs": made})).columns
    assert (columns["count"], columns["ratio"], columns["city"]) == ([None, 3], [None, 0.5], [None, "x"])
    value = triton.InferInput("count", [2], "FP32")
    value.set_data_from_numpy(np.array([np.nan, 3], dtype=np.float32))
    rest = [tensor for tensor in tensors() if tensor["name"] != "count"]
    head = {"inputs": [value._get_tensor(), *rest]}
    raw = json.dumps(head).encode()
    assert v2.read(binary, infer(raw + value._get_binary_data(), len(raw))).columns["count"] == [None, 3]


def test_health_and_metadata(served):
    def get(path, model=served, ready=True):
        return v2.get(model, Request("GET", path, id="r1"), ready=ready, versions=(6, 7))

    assert json.loads(get("/v2").body)["extensions"] == ["binary_tensor_data"]
    assert get("/v2/health/live", None, False).status == 200
    assert get("/v2/health/ready").status == 200
    assert get("/v2/models/shop/ready").status == 200
    assert get(f"/v2/models/shop/versions/{served.number}/ready").status == 200
    told = json.loads(get("/v2/models/shop").body)
    assert told["versions"] == ["6", "7"]
    assert [tensor["name"] for tensor in told["inputs"]] == list(DTYPES)
    assert {tensor["name"]: tensor["datatype"] for tensor in told["inputs"]} == TYPES
    outputs = [output["name"] for output in told["outputs"]]
    assert outputs[:1] == ["y_pred"]
    assert set(outputs[1:]) == (
        {"probabilities", *(f"p_{name}" for name in served.learning.classes)} if served.learning.classes else set()
    )
    for path, ready, status in (
        ("/v2/health/ready", False, 503),
        ("/v2/models/shop/ready", False, 503),
        ("/v2/models/other", True, 404),
        ("/v2/models/shop/versions/99", True, 404),
        ("/v2/models/shop/infer", True, 405),
        ("/v2/models/shop/versions/7/infer/x", True, 404),
        ("/v2/nothing", True, 404),
    ):
        with pytest.raises(RequestError) as error:
            get(path, ready=ready)
        assert error.value.status == status, path


def test_a_path_names_model_version_and_verb():
    assert v2.target("/v2/models/shop") == v2.Target("shop", None, "")
    assert v2.target("/v2/models/shop/versions/7/infer") == v2.Target("shop", "7", "infer")
    assert v2.target("/v2/models/shop/ready") == v2.Target("shop", None, "ready")


def binary_body(datatype: str, shape: list, size, data: bytes) -> Request:
    head = {"name": "amount", "datatype": datatype, "shape": shape, "parameters": {"binary_data_size": size}}
    raw = json.dumps({"inputs": [head, *tensors(1)[1:]]}).encode()
    return infer(raw + data, len(raw))


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (infer(b""), 400, "no JSON"),
        (infer([]), 400, "list 'inputs'"),
        (infer({"inputs": {}}), 400, "list 'inputs'"),
        (infer({"inputs": []}), 400, "no inputs"),
        (infer({"inputs": [5]}), 400, "must be an object"),
        (infer({"inputs": [{}]}), 400, "name must be a text"),
        (infer({"inputs": tensors(amount={"datatype": "FP7"})}), 400, "datatype 'FP7'"),
        (infer({"inputs": tensors(amount={"datatype": ["FP64"]})}), 400, "datatype"),
        (infer({"inputs": tensors(amount={"datatype": "BYTES"})}), 422, "another datatype"),
        (infer({"inputs": tensors(city={"datatype": "INT8"})}), 422, "another datatype"),
        (infer({"inputs": tensors(amount={"shape": []})}), 400, "shape"),
        (infer({"inputs": tensors(amount={"shape": [1, 2]})}), 400, "shape"),
        (infer({"inputs": tensors(amount={"shape": [-1]})}), 400, "shape"),
        (infer({"inputs": tensors(amount={"shape": [True]})}), 400, "shape"),
        (infer({"inputs": tensors(amount={"shape": [1e9]})}), 400, "shape"),
        (infer({"inputs": tensors(amount={"shape": [3]})}), 400, "says 3 rows"),
        (infer({"inputs": tensors(amount={"data": "xx"})}), 400, "says 2 rows"),
        (infer({"inputs": tensors(ratio={"shape": [1], "data": [1]})}), 400, "has 1 rows"),
        (infer({"inputs": [*tensors(), tensors()[0]]}), 400, "given twice"),
        (infer({"inputs": tensors()[1:]}), 422, "input schema"),
        (infer({"inputs": tensors(0)}), 422, "no rows"),
        (infer({"inputs": tensors(), "outputs": 5}), 400, "'outputs'"),
        (infer({"inputs": tensors(), "outputs": [{"name": "p_maybe"}]}), 400, "no output 'p_maybe'"),
        (infer({"inputs": tensors(), "outputs": [{"name": "y_pred"}] * 9}), 400, "at most 4"),
        (infer({"inputs": tensors(), "parameters": {"binary_data_output": 1}}), 400, "true or false"),
        (infer({"inputs": tensors(), "id": 7}), 400, "id must be"),
        (infer({"inputs": tensors()}, 99_999), 400, "Inference-Header"),
        (infer({"inputs": tensors()}, -1), 400, "Inference-Header"),
        (infer(b"{}abc", 2), 400, "list 'inputs'"),
        (
            infer(json.dumps({"inputs": tensors()}).encode() + b"abc", len(json.dumps({"inputs": tensors()}))),
            400,
            "3 bytes",
        ),
        (binary_body("FP64", [1], 8, b"1234567"), 400, "ends after 7"),
        (binary_body("FP64", [1], 4, b"1234"), 400, "are 8"),
        (binary_body("FP64", [1], -8, b""), 400, "binary_data_size"),
        (binary_body("FP64", [1], "8", b"12345678"), 400, "binary_data_size"),
        (binary_body("FP64", [1], 8, struct.pack("<d", np.inf)), 422, "input schema"),
        (infer({"inputs": tensors()}, path="/v2/models/other/infer"), 404, "no model 'other'"),
        (infer({"inputs": tensors()}, path="/v2/models/shop/versions/3/infer"), 404, "in version '3'"),
    ],
)
def test_what_is_no_request_is_refused_in_the_protocols_form(binary, request_, status, text):
    with pytest.raises(RequestError) as error:
        v2.read(binary, request_)
    assert error.value.status == status
    assert text in error.value.title
    reply = v2.error(error.value, request_)
    assert text in json.loads(reply.body)["error"]
    assert list(json.loads(reply.body)) == ["error"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\x01\x00", "ends within the length"),
        (struct.pack("<I", 9) + b"abc", "ends after the tensor"),
        (struct.pack("<I", 2) + b"\xff\xff", "not UTF-8"),
        (struct.pack("<I", 1) + b"a" + struct.pack("<I", 1) + b"b", "holds 2 texts"),
        (b"", "holds 0 texts"),
    ],
)
def test_texts_that_are_torn_are_refused(binary, data, text):
    head = {"name": "city", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(data)}}
    raw = json.dumps({"inputs": [head, *(tensor for tensor in tensors(1) if tensor["name"] != "city")]}).encode()
    with pytest.raises(RequestError, match=text):
        v2.read(binary, infer(raw + data, len(raw)))
