"""Updates as bytes: cut out of an answer, bounded, numbered, kept, whatever stands in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.chat.updates import (
    ENCODED,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_NODES,
    Batch,
    Unreadable,
    arrived,
    as_bytes,
    as_text,
    cut,
    kind_of,
    load,
    order_key,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MESSAGE = {"message_id": 1, "chat": {"id": 7, "type": "private"}}


@given(st.binary())
def test_bytes_come_back_as_they_were(body: bytes) -> None:
    text = as_text(body)
    assert as_bytes(text) == body
    # what every store keeps: no NUL, no lone surrogate
    assert "\0" not in text
    text.encode()


@pytest.mark.parametrize("body", [b"{}", b'{"a":"\\u0000"}', '{"a":"é😀"}'.encode(), b'{"a":"\\ud800"}'])
def test_json_stays_readable_in_the_store(body: bytes) -> None:
    assert as_text(body) == body.decode()


@pytest.mark.parametrize("body", [b"\0", b"\xff", b'{"a":"\0"}', b"\xed\xa0\x80", ENCODED.encode() + b"AAAA"])
def test_what_no_store_keeps_is_encoded(body: bytes) -> None:
    assert as_text(body).startswith(ENCODED)
    assert as_bytes(as_text(body)) == body


@given(st.lists(JSON, max_size=5), st.sampled_from(["", " ", "\n\t "]), st.booleans())
def test_elements_are_cut_out_as_they_stand(values: list[object], space: str, indented: bool) -> None:
    elements = [json.dumps(value, indent=2 if indented else None) for value in values]
    inside = f"{space},{space}".join(elements)
    answer = f'{{"ok"{space}:{space}true,{space}"result"{space}:{space}[{space}{inside}{space}]{space}}}'
    assert cut(answer.encode()) == Batch(updates=[element.encode() for element in elements])


@given(st.binary(max_size=200))
def test_nothing_breaks_the_knife(body: bytes) -> None:
    for answer in (body, b'{"ok":true,"result":[' + body, b'{"ok":true,"result":[' + body + b"]}"):
        found = cut(answer)
        if found is not None:
            assert all(element in answer for element in (*found.updates, found.rest))
    assert arrived(body).body == body


@pytest.mark.parametrize(
    ("inside", "updates", "rest"),
    [
        (b'{"a":1},{"b":tru},\xff\xfe,{"c":"]},{"}]', [b'{"a":1}', b'{"b":tru}', b"\xff\xfe", b'{"c":"]},{"}'], b""),
        (b'{"a":1},{"b":"x', [b'{"a":1}'], b'{"b":"x'),
        (b'{"a":"' + b"[" * 5000 + b'"},' + b"[" * 5000 + b"]" * 5000 + b"]", None, b""),
        (b'{"a":"\\""},{"b":"\\\\"}]', [b'{"a":"\\""}', b'{"b":"\\\\"}'], b""),
        (b"]", [], b""),
    ],
)
def test_what_is_wrong_in_one_element_spoils_no_other(inside: bytes, updates: list[bytes] | None, rest: bytes) -> None:
    found = cut(b'{"ok":true,"result":[' + inside)
    assert found is not None
    assert found.rest == rest
    if updates is not None:
        assert found.updates == updates
    else:
        assert len(found.updates) == 2


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b'{"ok":false,"description":"result"}', b'{"result":true}', b'{"a":{"result":[1]}}', b'"result"'],
)
def test_an_answer_without_updates_is_none(answer: bytes) -> None:
    assert cut(answer) is None


@given(JSON)
def test_any_json_anywhere_has_a_key_and_a_number(value: object) -> None:
    for update in (
        value,
        {"update_id": value},
        {"update_id": 5, "future_kind": value},
        *({"update_id": 5, kind: value} for kind in ("message", "callback_query", "my_chat_member")),
        {"update_id": 5, "message": {"chat": value, "from": value}},
        {"update_id": 5, "message": {"chat": {"id": value}, "from": {"id": value}}},
        {"update_id": 5, "callback_query": {"message": value}},
        {"update_id": 5, "callback_query": {"message": {"chat": value}, "from": {"id": 7}}},
    ):
        one = arrived(json.dumps(update).encode())
        assert one.chat_key
        assert len(one.chat_key) <= 40
        assert abs(one.number) < 2**63


@pytest.mark.parametrize(
    ("update", "key"),
    [
        ({"message": MESSAGE}, "7"),
        ({"message": {**MESSAGE, "from": {"id": 8}}}, "7"),
        ({"callback_query": {"from": {"id": 8}, "message": MESSAGE}}, "7"),
        ({"callback_query": {"from": {"id": 8}, "message": "gone"}}, "8"),
        ({"callback_query": {"from": {"id": 8}}}, "8"),
        ({"my_chat_member": {"chat": {"id": -9}, "from": {"id": 8}}}, "-9"),
        ({"message": {"chat": {"id": True}, "from": {"id": "8"}}}, "update 5"),
        ({"future_kind": {"message": "thanks"}}, "update 5"),
        ({"poll": {"chat": {"id": 7}}}, "update 5"),
    ],
)
def test_updates_of_one_chat_have_one_key(update: dict[str, object], key: str) -> None:
    assert order_key({"update_id": 5, **update}) == key


@pytest.mark.parametrize("number", ["5", True, 1.5, None, -1, 2**53, 10**400, [5], {}])
def test_what_has_no_number_gets_one_of_its_bytes(number: object) -> None:
    body = json.dumps({"update_id": number, "message": MESSAGE}).encode()
    one = arrived(body)
    assert one.number == arrived(body).number
    assert one.nameless == (type(number) is not int or number == 10**400)
    assert -(2**57) < one.number < 0
    assert one.number != arrived(body + b" ").number
    assert one.reason is not None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"update_id":5,"message":' + b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH + b"}", "levels deep"),
        (b'{"update_id":5,"message":' + b"[" * 5000 + b"]" * 5000 + b"}", "not JSON"),
        (b'{"update_id":5,"message":[' + b"0," * MAX_NODES + b"0]}", "values"),
        (b'{"update_id":5,"message":[' + b"[]," * (4 * MAX_NODES) + b"0]}", "values"),
        (b'{"update_id":5,"message":"' + b"x" * MAX_BYTES + b'"}', "larger than"),
        (b'{"update_id":5,"message":tru}', "not JSON"),
        (b'{"update_id":5,"message":"\xff"}', "not JSON"),
        (b'{"update_id":5,"message":"\\ud800"}', "not JSON"),
        (b'{"update_id":5,"message":NaN}', "not JSON"),
    ],
)
def test_what_is_out_of_bounds_is_set_aside_under_its_number(body: bytes, reason: str) -> None:
    one = arrived(body)
    assert one.number == 5
    assert one.reason is not None
    assert reason in one.reason
    with pytest.raises(Unreadable):
        load(body)


def test_what_is_within_bounds_is_read() -> None:
    deep = b'{"update_id":5,"message":' + b"[" * (MAX_DEPTH - 2) + b"]" * (MAX_DEPTH - 2) + b"}"
    assert arrived(deep).reason is None
    assert kind_of(load(deep)) == "message"


@pytest.mark.parametrize("kind", ["poll", "future_kind", "message_reaction", "chat_boost", "edited_message"])
def test_other_kinds_are_not_for_pilot(kind: str) -> None:
    one = arrived(json.dumps({"update_id": 5, kind: {}}).encode())
    assert (one.used, one.reason) == (False, None)
