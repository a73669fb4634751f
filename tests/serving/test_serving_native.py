from __future__ import annotations

import io
import json
import struct

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from wire_bench import ROW, post

from mlframe.serving.formats import ARROW_FILE, ARROW_STREAM, CSV
from mlframe.serving.messages import RequestError
from mlframe.serving.protocols import native

SECONDS = 1714559400.0


def refused(function, *args) -> RequestError:
    with pytest.raises(RequestError) as error:
        function(*args)
    return error.value


def csv(frame: pl.DataFrame) -> bytes:
    return frame.with_columns(pl.col("seen").dt.to_string("iso:strict")).write_csv().encode()


def arrow(frame: pl.DataFrame, kind: str = ARROW_STREAM, **options) -> bytes:
    buffer = io.BytesIO()
    if kind == ARROW_FILE:
        frame.write_ipc(buffer, **options)
    else:
        frame.write_ipc_stream(buffer, **options)
    return buffer.getvalue()


def test_one_object_is_answered_with_one_prediction(served):
    request = post(ROW)
    asked = native.read(served, request)
    assert (asked.rows, asked.explain) == (1, 0)
    reply = native.write(served, asked, served.answer(asked, request))
    told = json.loads(reply.body)
    assert reply.status == 200
    assert dict(reply.headers)["content-type"] == "application/json"
    assert (told["request_id"], told["version"]) == ("r1", served.reference)
    if served.learning.classes:
        assert told["prediction"] in served.learning.values
        assert list(told["probabilities"]) == list(served.learning.classes)
    else:
        assert isinstance(told["prediction"], float)
        assert "probabilities" not in told


@pytest.mark.parametrize("body", [[ROW, ROW], {"rows": [ROW, ROW]}, {"rows": [ROW, ROW], "explain": 2}])
def test_many_objects_are_answered_with_as_many_predictions(served, body):
    request = post(body)
    asked = native.read(served, request)
    assert asked.explain == (2 if isinstance(body, dict) and "explain" in body else 0)
    answer = served.answer(asked, request)
    answer.reasons = [[("amount", 0.5), ("plan", -0.1)], []]
    told = json.loads(native.write(served, asked, answer).body)
    assert len(told["predictions"]) == 2
    assert told["reasons"] == [[{"field": "amount", "share": 0.5}, {"field": "plan", "share": -0.1}], []]


def test_a_list_of_one_is_answered_as_a_list(binary):
    request = post([ROW])
    asked = native.read(binary, request)
    assert len(json.loads(native.write(binary, asked, binary.answer(asked, request)).body)["predictions"]) == 1


def test_csv_and_arrow_say_what_json_says(binary, frame):
    times = frame.with_columns(pl.col("seen").dt.to_string("iso:strict"), pl.col("born").cast(pl.String))
    wanted = native.read(binary, post(times.to_dicts()))
    bodies = [
        (csv(frame), CSV),
        (csv(frame), "Text/CSV; charset=utf-8"),
        (b"\xef\xbb\xbf" + csv(frame), CSV),
        (arrow(frame), ARROW_STREAM),
        (arrow(frame, ARROW_FILE), ARROW_FILE),
        (arrow(frame, ARROW_FILE), ARROW_STREAM),
        (arrow(frame, compat_level=pl.CompatLevel.oldest()), ARROW_STREAM),
        (arrow(frame.with_columns(pl.col("plan").cast(pl.Categorical))), ARROW_STREAM),
        (arrow(frame.with_columns(pl.col("seen").cast(pl.Datetime("ns", "Asia/Tokyo")))), ARROW_STREAM),
    ]
    for body, kind in bodies:
        asked = native.read(binary, post(body, content_type=kind))
        assert {name: list(values) for name, values in asked.columns.items()} == wanted.columns, kind
        assert asked.rows == 2


@pytest.mark.parametrize("kind", [CSV, ARROW_STREAM, ARROW_FILE])
def test_answers_come_in_the_form_that_is_accepted(served, kind):
    request = post([ROW, ROW], accept=f"{kind}, application/json;q=0.5")
    asked = native.read(served, request)
    answer = served.answer(asked, request)
    answer.reasons = [[("amount", 0.5)], []]
    reply = native.write(served, asked, answer)
    read = {CSV: pl.read_csv, ARROW_STREAM: pl.read_ipc_stream, ARROW_FILE: pl.read_ipc}[kind]
    found = read(io.BytesIO(reply.body))
    classes = served.learning.classes
    columns = [pl.Series("y_pred", answer.labels)]
    columns += [pl.Series(f"p_{name}", answer.outputs[:, place]) for place, name in enumerate(classes)]
    wanted = pl.DataFrame([*columns, pl.Series("why", ["amount: +0.5", ""])])
    assert_frame_equal(found.with_columns(pl.col("why").fill_null("")), wanted)
    assert dict(reply.headers) == {"content-type": kind, "x-request-id": "r1", "x-model-version": served.reference}


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"", {}, 400, "no JSON"),
        (b"{", {}, 400, "no JSON"),
        (b'{"amount": NaN}', {}, 400, "no JSON"),
        (b"[1e999]", {}, 400, "no JSON"),
        (b"\xff\xfe{\x00}\x00", {}, 400, "no JSON"),
        (b'{"city": "\xff"}', {}, 400, "not UTF-8"),
        (b"[" * 100_000, {}, 400, "nested too deeply"),
        (b'{"a":' * 100_000, {}, 400, "nested too deeply"),
        (b"null", {}, 422, "holds null"),
        (b"5", {}, 422, "holds 5"),
        (b'"text"', {}, 422, "holds 'text'"),
        (b"[]", {}, 422, "no rows"),
        (b'{"rows": []}', {}, 422, "no rows"),
        (b'{"rows": {}}', {}, 422, "an object of 0 keys"),
        (b'{"rows": [{}], "explian": 1}', {}, 422, "no key 'explian'"),
        (b'{"rows": [{}], "explain": -1}', {}, 400, "'explain'"),
        (b'{"rows": [{}], "explain": true}', {}, 400, "'explain'"),
        (b"{}", {"content_type": "text/yaml"}, 415, "'text/yaml'"),
        (b"{}", {"accept": "image/png"}, 406, "application/json"),
        (b"", {"content_type": CSV}, 400, "no CSV"),
        (b"a,b\n1,2,3\n", {"content_type": CSV}, 400, "no CSV"),
        (b'a,b\n"1,2\n', {"content_type": CSV}, 400, "no CSV"),
        (b"a\n\xff\xff\n", {"content_type": CSV}, 400, "no CSV"),
        (b"a,a\n1,2\n", {"content_type": CSV}, 422, "input schema"),
        (b",".join(name.encode() for name in ROW), {"content_type": CSV}, 422, "no rows"),
        (b"", {"content_type": ARROW_STREAM}, 400, "no Arrow"),
        (b"ARROW1\0\0", {"content_type": ARROW_FILE}, 400, "no Arrow"),
        (b"\xff\xff\xff\xff\xff\xff\xff\x7f", {"content_type": ARROW_STREAM}, 400, "no Arrow"),
    ],
)
def test_what_is_no_request_is_refused(binary, body, headers, status, text):
    error = refused(native.read, binary, post(body, **headers))
    assert error.status == status
    assert text in error.title
    reply = error.reply(post(b""))
    assert dict(reply.headers)["content-type"] == "application/problem+json"
    assert json.loads(reply.body)["request_id"] == "r1"


@pytest.mark.parametrize(("text", "status"), [("-1", 400), ("x", 400), ("1e3", 400), ("٣", 400), ("1" * 500, 400)])
def test_explain_is_a_small_whole_number(binary, text, status):
    request = post(ROW)
    request.query = {"explain": text}
    assert refused(native.read, binary, request).status == status
    request.query = {"explain": "3"}
    assert native.read(binary, request).explain == 3


def test_a_few_bytes_of_arrow_cannot_become_many_rows(binary):
    import pyarrow as pa

    rows = 50_000_000
    array = pa.nulls(rows)
    for names in (["amount"], list(ROW)):
        batch = pa.record_batch([array] * len(names), names=names)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        assert len(sink.getvalue()) < 10_000
        error = refused(native.read, binary, post(sink.getvalue(), content_type=ARROW_STREAM))
        assert (error.status, "10,000 rows" in error.title) == (413, True)


def test_a_few_bytes_of_arrow_cannot_become_long_texts(binary):
    import pyarrow as pa

    long = "x" * 1_000_000
    coded = pa.DictionaryArray.from_arrays(pa.array([0] * 5000, pa.int8()), pa.array([long]))
    view = struct.pack("<i4sii", len(long), b"xxxx", 0, 0)  # each text is the same stretch of the same buffer
    buffers = [None, pa.py_buffer(view * 5000), pa.py_buffer(long.encode())]
    shared = pa.Array.from_buffers(pa.string_view(), 5000, buffers)
    for array in (coded, shared):
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, pa.schema([("city", array.type)])) as writer:
            writer.write_batch(pa.record_batch([array], names=["city"]))
        assert len(sink.getvalue()) < 5_000_000
        error = refused(native.read, binary, post(sink.getvalue(), content_type=ARROW_STREAM))
        assert (error.status, "64 MB" in error.title) == (413, True)


def test_types_that_no_column_has_are_refused(binary):
    body = arrow(pl.DataFrame({"amount": [[1.0]]}))
    error = refused(native.read, binary, post(body, content_type=ARROW_STREAM))
    assert (error.status, "no input column" in error.title) == (422, True)


def test_compressed_arrow_is_refused(binary, frame):
    bodies = [arrow(frame, kind, compression=name) for kind in (ARROW_STREAM, ARROW_FILE) for name in ("zstd", "lz4")]
    bodies.append(arrow(frame.select(pl.col("plan").cast(pl.Categorical)), compression="zstd"))
    for body in bodies:
        error = refused(native.read, binary, post(body, content_type=ARROW_STREAM))
        assert (error.status, "compressed" in error.title) == (415, True)


def test_a_model_whose_column_is_called_rows_takes_it_for_one(binary):
    from wire_bench import records

    from mlframe.serving.schema import Schema

    binary.schema = Schema(records({"rows": "Int64"}))
    assert native.read(binary, post({"rows": 3})).columns == {"rows": [3]}
    assert native.read(binary, post([{"rows": 3}])).rows == 1


# ------------------------------------------------------------------------------------------------ feedback


def test_feedback_is_read_one_or_many(binary):
    one = {"request_id": "a", "label": "yes"}
    many = [one, {"request_id": "b", "row": 4, "outcome": {"paid": 12}, "time": "2024-05-01T12:30:00+02:00"}]
    wanted = [
        native.Feedback("a", 0, "yes", None, 5.0),
        native.Feedback("b", 4, None, '{"paid":12}', SECONDS),
    ]
    for body, entries in ((one, wanted[:1]), (many, wanted), ({"feedback": many}, wanted)):
        found = native.read_feedback(binary, post(body, "/feedback"), now=5.0)
        assert found == entries
    reply = native.write_feedback(found, post(b""))
    assert (reply.status, json.loads(reply.body)) == (202, {"request_id": "r1", "accepted": 2})


def test_labels_are_spelt_as_the_data_spells_them(binary, multiclass, regression):
    def label(model, value):
        return native.read_feedback(model, post({"request_id": "a", "label": value}, "/feedback"))[0].label

    assert label(multiclass, 2) == label(multiclass, "2") == label(multiclass, 2.0) == 2
    assert label(regression, 3) == 3.0
    for model, value in (
        (binary, "maybe"),
        (binary, 1),
        (binary, True),
        (multiclass, True),
        (multiclass, 4),
        (multiclass, [1]),
        (regression, "3"),
        (regression, True),
    ):
        error = refused(label, model, value)
        assert (error.status, error.details[0]["field"]) == (422, "label")


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (5, None),
        ({}, "request_id"),
        ({"request_id": 5, "label": "yes"}, "request_id"),
        ({"request_id": "", "label": "yes"}, "request_id"),
        ({"request_id": "x" * 300, "label": "yes"}, "request_id"),
        ({"request_id": "a"}, "label"),
        ({"request_id": "a", "label": "yes", "row": -1}, "row"),
        ({"request_id": "a", "label": "yes", "row": True}, "row"),
        ({"request_id": "a", "label": "yes", "row": 1 << 40}, "row"),
        ({"request_id": "a", "label": "yes", "time": "soon"}, "time"),
        ({"request_id": "a", "label": "yes", "time": "0001-01-01T00:00:00+10:00"}, "time"),
        ({"request_id": "a", "outcome": "x" * 20_000}, "outcome"),
        ({"request_id": "a", "label": "yes", "lable": "yes"}, "lable"),
    ],
)
def test_feedback_that_cannot_be_kept_is_refused_as_a_whole(binary, entry, field):
    body = json.dumps([{"request_id": "good", "label": "yes"}, entry]).encode()
    error = refused(native.read_feedback, binary, post(body, "/feedback"))
    assert error.status == 422
    assert (1, field) in [(fault["row"], fault["field"]) for fault in error.details]


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [(b"{", {}, 400), (b"[]", {}, 422), (b"5", {}, 422), (b"a,b", {"content_type": CSV}, 415)],
)
def test_what_is_no_feedback_is_refused(binary, body, headers, status):
    assert refused(native.read_feedback, binary, post(body, "/feedback", **headers)).status == status
