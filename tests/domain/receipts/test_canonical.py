"""Canonical JSON against published vectors and against the reference implementation."""

import hashlib
import json
from enum import IntEnum, StrEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st
from ledger_vectors import load

from domain.receipts import standalone
from domain.receipts.canonical import MAX_SAFE_INTEGER, canonical, canonical_payload, parse_canonical, payload_hash
from domain.receipts.errors import NotCanonical

text = st.text(st.characters(exclude_categories=("Cs",)))
integers = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
scalars = st.none() | st.booleans() | integers | text


def trees(leaves):
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20)


@pytest.mark.parametrize("vector", load("rfc8785.json")["vectors"], ids=lambda vector: vector["name"])
def test_rfc8785_vectors(vector):
    assert canonical_payload(json.loads(vector["input"])).decode() == vector["output"]


@pytest.mark.parametrize("vector", load("canonical-json-v1.json")["vectors"], ids=lambda vector: vector["id"])
def test_canonical_json_v1_vectors(vector):
    if vector["interoperable"]:
        value = json.loads(vector["input"])
        assert hashlib.sha256(canonical(value)).hexdigest() == vector["sha256"]
        assert standalone.canonical(value) == canonical(value)
        assert parse_canonical(canonical(value)) == value
        return
    with pytest.raises(NotCanonical):
        parse_canonical(vector["input"].encode())
    with pytest.raises(ValueError):
        standalone.parse_canonical(vector["input"].encode())
    if vector["canonical"] is None:
        with pytest.raises(NotCanonical):
            canonical_payload(json.loads(vector["input"]))
    else:
        assert canonical_payload(json.loads(vector["input"])).decode() == vector["canonical"]


@given(trees(scalars))
def test_all_three_writers_give_the_same_bytes(value):
    expected = rfc8785.dumps(value)
    assert canonical(value) == expected
    assert standalone.canonical(value) == expected
    assert parse_canonical(expected) == value
    assert standalone.parse_canonical(expected) == value


@given(trees(scalars | st.floats(allow_nan=False, allow_infinity=False)))
def test_payloads_are_written_as_the_rfc_says(value):
    assert canonical_payload(value) == rfc8785.dumps(value)


@given(st.text(st.characters(codec="utf-8")), st.characters(max_codepoint=0x1F))
def test_every_control_character_is_escaped_alike(around, control):
    value = {"name": f'{around}{control}{around}\x7f\u2028\u2029"\\/'}
    assert canonical(value) == rfc8785.dumps(value) == standalone.canonical(value)


@pytest.mark.parametrize(
    "value",
    [1.5, 2**53, -(2**53), float("nan"), {"a": [0.0]}, "\ud800", {"\ud800": 1}, {1: 2}, b"x", object(), {"a": {1, 2}}],
)
def test_refuses_what_is_not_interoperable(value):
    with pytest.raises(NotCanonical):
        canonical(value)


@pytest.mark.parametrize("value", [2**53, float("nan"), float("inf"), [2**70]])
def test_payloads_refuse_numbers_json_cannot_hold(value):
    with pytest.raises(NotCanonical):
        canonical_payload(value)


def test_refuses_endless_nesting():
    value: list = []
    value.append(value)
    with pytest.raises(NotCanonical):
        canonical(value)


def test_enums_are_their_values():
    words = StrEnum("words", {"YES": "yes"})
    numbers = IntEnum("numbers", {"TWO": 2})
    assert canonical({"a": words.YES, "b": numbers.TWO}) == b'{"a":"yes","b":2}'


@pytest.mark.parametrize(
    "raw", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1,"a":1}', b'{"a":1}\n', b'"\\u0041"', b'{"a":1.0}', b"", b'"\xff"']
)
def test_only_the_canonical_bytes_parse(raw):
    with pytest.raises(NotCanonical):
        parse_canonical(raw)
    with pytest.raises(ValueError):
        standalone.parse_canonical(raw)


def test_a_salt_separates_equal_payloads():
    value = {"to": "someone", "amount": 12.5}
    plain = hashlib.sha256(b'{"amount":12.5,"to":"someone"}').hexdigest()
    assert payload_hash(value) == plain
    assert payload_hash(value, salt=b"1") == hashlib.sha256(b'1{"amount":12.5,"to":"someone"}').hexdigest()
