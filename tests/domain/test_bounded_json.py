"""JSON from outside: what is read, what is refused and with which code, and that neither takes long."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.bounded_json import BadJson, Bounds, Meter, loads, measure
from tests.cost import HOLDS_NOBODY, cpu

BOUNDS = Bounds(size=1_000_000, depth=64, nodes=20_000)
M = 1_000_000

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


def wide(item: bytes) -> bytes:
    return b"[" + (item + b",") * (M // (len(item) + 1) - 2) + b"0]"


REFUSED: list[tuple[str, bytes, str]] = [
    ("numbers", wide(b"0"), "json_too_many"),
    ("empty lists", wide(b"[]"), "json_too_many"),
    ("empty objects", wide(b"{}"), "json_too_many"),
    ("empty texts", wide(b'""'), "json_too_many"),
    ("members", b"{" + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}", "json_too_many"),
    ("too long", b'"' + b"x" * M + b'"', "json_too_large"),
    ("brackets", b"[" * M, "json_too_many"),
    ("a chat's worth of brackets", b"[" * 3900, "json_too_deep"),
    ("nested", b"[" * 65 + b"]" * 65, "json_too_deep"),
    ("nested objects", b'{"a":' * 65 + b"0" + b"}" * 65, "json_too_deep"),
    ("nested behind much that is flat", b"[" + b"[[]]," * 3000 + b"[" * 64 + b"]" * 65, "json_too_deep"),
    ("quotation marks", b'"' * (M - 1), "json_too_many"),
    ("an open text", b'"' + b"a" * (M - 10), "invalid_json"),
    ("backslashes", b'"' + b"\\" * (M - 10), "invalid_json"),
    ("5,000 digits", b"1" * 5000, "json_number"),
    ("many long numbers", b"[" + b",".join([b"1" * 399] * 2400) + b"]", "json_number"),
    ("digits behind a point", b"[0." + b"1" * 900_000 + b"]", "json_number"),
    ("digits of an exponent", b"[1e" + b"9" * 900_000 + b"]", "json_number"),
    ("infinite", b"1e999", "invalid_json"),
    ("no number", b"[NaN]", "invalid_json"),
    ("nothing", b"", "invalid_json"),
    ("half a character", b'"\\ud800"', "invalid_json"),
    ("no UTF-8", b'"\xff"', "invalid_json"),
    ("a byte order mark", b"\xef\xbb\xbf{}", "invalid_json"),
    ("single quotes", b"{'a': 1}", "invalid_json"),
    ("a name twice", b'{"a":1,"a":2}', "duplicate_name"),
    ("a name twice, written otherwise", b'{"a":1,"\\u0061":2}', "duplicate_name"),
    ("a name twice, further in", b'[{"b":{"c":1,"d":[],"c":2}}]', "duplicate_name"),
    ("a name twice, to the same", b'{"a":1,"a":1}', "duplicate_name"),
    ("one name very often", b"{" + b",".join([b'"a":0'] * 19_000) + b"}", "duplicate_name"),
]


# telephones and models may write these otherwise
STRICT_ONLY = ("invalid_json", "json_number")


@pytest.mark.parametrize(
    ("raw", "code", "lenient"),
    [
        pytest.param(raw, code, lenient, id=f"{name}, {'lenient' if lenient else 'strict'}")
        for name, raw, code in REFUSED
        for lenient in (False, True)
        if not (lenient and code in STRICT_ONLY)
    ],
)
def test_what_is_refused_has_its_code_and_costs_next_to_nothing(raw: bytes, code: str, lenient: bool) -> None:
    def read() -> None:
        with pytest.raises(BadJson) as refused:
            loads(raw, BOUNDS, lenient=lenient)
        assert (refused.value.code, refused.value.status) == (code, 400)
        assert len(str(refused.value)) < 200

    assert cpu(read) < HOLDS_NOBODY


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * 9_990 + b"0]",
        b"{" + b",".join(b'"%d":0' % n for n in range(19_000)) + b"}",
        json.dumps(",[{:" * 200_000).encode(),
        ('["' + "\u0300" * 400_000 + '"]').encode(),
        b'["' + b"\\u0061" * 160_000 + b'"]',
        b'["' + b"\\\\" * 400_000 + b'"]',
    ],
)
def test_what_fits_is_read_quickly(raw: bytes) -> None:
    assert loads(raw, BOUNDS) == json.loads(raw)
    assert cpu(lambda: loads(raw, BOUNDS)) < HOLDS_NOBODY


def test_the_name_that_comes_twice_is_named() -> None:
    with pytest.raises(BadJson) as refused:
        loads(b'{"to":"a","cc":{"to":1},"to":"b"}')
    assert refused.value.details["fieldErrors"] == {"to": ["comes twice in one object"]}
    assert loads(b'{"to":"a","to":"b"}', refuse_duplicates=False) == {"to": "b"}


def test_no_json_is_refused_with_its_place() -> None:
    with pytest.raises(BadJson) as refused:
        loads(b'{"a":\n 1,,}')
    assert (refused.value.details["line"], refused.value.details["column"]) == (2, 4)


@settings(max_examples=300, deadline=None)
@given(VALUES, st.booleans(), st.sampled_from([None, 2]))
def test_everything_else_is_read_as_it_is(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    for lenient in (False, True):
        assert loads(text, lenient=lenient) == value


@settings(max_examples=300, deadline=None)
@given(VALUES, st.lists(st.integers(0, 400), max_size=6))
def test_in_pieces_the_same_is_measured(value: Any, cuts: list[int]) -> None:
    raw = json.dumps(value).encode()
    whole, pieces = Meter(), Meter()
    whole.feed(raw)
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    for begin, end in pairwise(places):
        pieces.feed(raw[begin:end])
    assert (whole.size, whole.nodes, whole.members) == (pieces.size, pieces.nodes, pieces.members)
    assert measure(value).nodes <= whole.nodes


def test_each_event_of_a_stream_is_measured_for_itself() -> None:
    meter = Meter(Bounds(nodes=10))
    for _ in range(50):
        meter.feed_lines(b'data: {"a":[1,2,3]}\r\n\r\n')
    for piece in (b"data: [1,2,3,", b"\n4,5,6,7]\n", b'data: "a\\n', b'"\n'):
        meter.feed_lines(piece)
    with pytest.raises(BadJson):
        meter.feed_lines(b"data: [1,2,3,\ndata: 4,5,6,7,8,\ndata: 9,10]\n")


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ([0] * 20_001, "json_too_many"),
        ([[0] * 200] * 200, "json_too_many"),
        ({"a": ["x" * 600_000] * 2}, "json_too_large"),
        ({"x" * (M + 1): 0}, "json_too_large"),
    ],
)
def test_values_are_measured_too(value: Any, code: str) -> None:
    with pytest.raises(BadJson) as refused:
        measure(value, BOUNDS)
    assert refused.value.code == code


def test_a_value_of_any_depth_is_measured() -> None:
    value: Any = 0
    for _ in range(100_000):
        value = [value]
    with pytest.raises(BadJson) as refused:
        measure(value, BOUNDS)
    assert refused.value.code == "json_too_deep"
    # what is taken apart by itself would recurse
    while isinstance(value, list):
        value = value.pop()
    assert measure([{"a": [1, "xy"]}]).depth == 3
